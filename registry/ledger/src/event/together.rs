//! Many signatures checked at once, in less time.
//!
//! - A signature with its recovery id names a point `R`, and is the author's if `R = z/s G + r/s Q`, where `Q` is the
//!   author's key and `z` what was signed. Each such equation is multiplied by a random number, and all are added: the
//!   sum holds if each of them does, and else with a chance of 2^-128 (the small exponents of Bellare, Garay and Rabin).
//!   Nobody can choose signatures whose errors cancel out, since the numbers are drawn behind them. To add up many
//!   multiples of points takes far less than to compute each alone, and an author's key is multiplied once for all.
//! - This only ever says yes. If the sum does not hold, or a signature has anything unusual about it, each is checked
//!   alone, as it would be without this: what is found is the same.
//! - An author's key is known from a signature that was checked alone. Nothing here is secret, so nothing takes care to
//!   need the same time for everything.

use std::{cell::RefCell, iter, rc::Rc, sync::LazyLock};

use base::Address;
use k256::{
    AffinePoint, FieldBytes, ProjectivePoint, Scalar, Sec1Point,
    elliptic_curve::{PrimeField as _, group::ff::BatchInverter, ops::Reduce as _, sec1::FromSec1Point as _},
};
use rand::Rng as _;
use secp256k1::PublicKey;
use wnaf::{WnafBase, WnafScalar, array::typenum::U5};

use super::{
    body::Signable,
    signature::{Signature, SignatureError},
    signers::{KeyTable, Signer, Signers},
};

/// How many are added up at most: more would take memory, and little less time for each.
pub(crate) const TOGETHER_MAX: usize = 256;
/// How many are added up again if more of them do not hold together: the errors of one client are not all others' loss.
const FEWER: usize = 64;

/// What is asked of one signature: which of some digests it is of, if it is the author's at all.
pub(super) struct Asked<'t> {
    pub(super) signature: &'t Signature,
    pub(super) signable: &'t Signable,
    pub(super) author: Address,
    pub(super) accept_eip2098: bool,
}

/// Which of the digests it was.
type Found = Result<Option<usize>, SignatureError>;

static GENERATOR: LazyLock<KeyTable> = LazyLock::new(|| WnafBase::new(&ProjectivePoint::GENERATOR));

thread_local! {
    static MET: RefCell<Signers> = RefCell::default();
}

/// Answers all of them, in order; to what is not asked there is no digest.
pub(super) fn which(asked: &[Option<Asked<'_>>]) -> Vec<Found> {
    MET.with_borrow_mut(|met| asked.chunks(TOGETHER_MAX).flat_map(|part| which_of(met, part)).collect())
}

fn which_of(met: &mut Signers, asked: &[Option<Asked<'_>>]) -> Vec<Found> {
    let (mut found, mut sum, mut known) = (vec![None; asked.len()], Sum::default(), Vec::new());
    for (place, it) in asked.iter().enumerate() {
        let Some(it) = it else { continue };
        match met.find(it.author) {
            Some(signer) => known.push((place, it, sum.number(signer))),
            None => found[place] = Some(it.meet(met)),
        }
    }
    if sum.is_worth_it(known.len()) {
        known.retain(|(_, it, signer)| sum.add(it, *signer));
        if sum.holds(|| rand::rng().random()) {
            for (place, _, signer) in known {
                found[place] = Some(Ok(Some(sum.signers[signer].way)));
            }
        } else if asked.len() > FEWER {
            return asked.chunks(FEWER).flat_map(|part| which_of(met, part)).collect();
        }
    }
    let mut alone = |it: &Option<Asked<'_>>| it.as_ref().map_or(Ok(None), |it| it.meet(met));
    asked.iter().zip(found).map(|(it, found)| found.unwrap_or_else(|| alone(it))).collect()
}

impl Asked<'_> {
    /// Answers with the author's key, by itself.
    pub(super) fn alone(&self) -> Result<Option<(usize, PublicKey)>, SignatureError> {
        let digests = self.signable.iter().flatten().map(|it| it.1);
        self.signature.which(digests, self.author, self.accept_eip2098)
    }

    /// Answers by itself, and remembers the author.
    fn meet(&self, met: &mut Signers) -> Found {
        let Some((way, key)) = self.alone()? else { return Ok(None) };
        // Whoever is known keeps the table, which took a while.
        if met.find(self.author).is_none_or(|it| it.way != way)
            && let Some(key) = point(&key)
        {
            met.put(self.author, Rc::new(Signer::new(key, way)));
        }
        Ok(Some(way))
    }
}

/// Equations that hold together, or not.
#[derive(Default)]
struct Sum {
    equations: Vec<Equation>,
    /// Each once.
    signers: Vec<Rc<Signer>>,
}

/// `s R = z G + r Q`, where `Q` is the key of the signer with a number.
struct Equation {
    point: AffinePoint,
    r: Scalar,
    s: Scalar,
    z: Scalar,
    signer: usize,
}

impl Sum {
    /// Returns the number of a signer.
    fn number(&mut self, signer: Rc<Signer>) -> usize {
        self.signers.iter().position(|it| Rc::ptr_eq(it, &signer)).unwrap_or_else(|| {
            self.signers.push(signer);
            self.signers.len() - 1
        })
    }

    /// Says whether so many equations take less time together than alone. In thirds of the time for one alone, each
    /// saves two, each signer's key takes one, and what is done once for all takes seven.
    fn is_worth_it(&self, equations: usize) -> bool {
        2 * equations >= self.signers.len() + 7
    }

    /// Adds a signature; `false` if it is not clear what it would have to be.
    fn add(&mut self, asked: &Asked<'_>, signer: usize) -> bool {
        let equation = Equation::of(asked, self.signers[signer].way, signer);
        equation.map(|it| self.equations.push(it)).is_some()
    }

    /// Says whether each of them holds: for sure if not, and else but for a chance of 2^-128 if the weights are random.
    fn holds(&self, mut weight: impl FnMut() -> u128) -> bool {
        let mut inverses: Vec<_> = self.equations.iter().map(|it| it.s).collect();
        let mut scratch = inverses.clone();
        BatchInverter::invert_with_external_scratch(&mut inverses, &mut scratch);
        let (mut generator, mut keys) = (Scalar::ZERO, vec![Scalar::ZERO; self.signers.len()]);
        let mut points = Vec::with_capacity(self.equations.len());
        for (it, inverse) in self.equations.iter().zip(inverses) {
            let weight = weight();
            let share = Scalar::from(weight) * inverse;
            generator += share * it.z;
            keys[it.signer] += share * it.r;
            let table = WnafBase::<_, U5>::new(&ProjectivePoint::from(it.point));
            // A weight has half as many digits as other numbers: so it takes half of the work.
            points.push((table, WnafScalar::from_le_bytes(&weight.to_le_bytes())));
        }
        let points = WnafBase::multiscalar_mul(points.iter().map(|it| (&it.0, &it.1)));
        let keys: Vec<_> = iter::once(&generator).chain(&keys).map(WnafScalar::new).collect();
        let tables = iter::once(&*GENERATOR).chain(self.signers.iter().map(|it| it.table()));
        points == WnafBase::multiscalar_mul(tables.zip(&keys))
    }
}

impl Equation {
    /// Returns what a signature says if it was made in one of the ways; `None` if it has no recovery id, or numbers that
    /// no signature has.
    fn of(asked: &Asked<'_>, way: usize, signer: usize) -> Option<Self> {
        let (_, digest) = asked.signable.get(way).copied().flatten()?;
        let (compact, [parity]) = asked.signature.numbers(asked.accept_eip2098).ok()? else { return None };
        let (r, s) = compact.split_first_chunk::<32>()?;
        let mut named = [0; 33];
        named[0] = 2 + parity.to_u8();
        named[1..].copy_from_slice(r);
        let point = point(&PublicKey::from_slice(&named).ok()?)?;
        let (r, s) = (number(r)?, number(s.first_chunk()?)?);
        Some(Self { point, r, s, z: Scalar::reduce(&FieldBytes::from(digest)), signer })
    }
}

/// Reads one of a signature's numbers.
fn number(bytes: &[u8; 32]) -> Option<Scalar> {
    Option::from(Scalar::from_repr(FieldBytes::from(*bytes))).filter(|it| *it != Scalar::ZERO)
}

/// Takes a point over from one library to the other, which looks whether it is one. The first is quicker to find it.
fn point(key: &PublicKey) -> Option<AffinePoint> {
    let bytes = Sec1Point::from_bytes(key.serialize_uncompressed()).ok()?;
    AffinePoint::from_sec1_point(&bytes).into()
}

#[cfg(test)]
mod tests {
    use secp256k1::{Message, SecretKey, ecdsa::RecoverableSignature};

    use super::*;
    use crate::event::{Scheme, signature::address_of};

    /// What the key of a number signed.
    fn signed(key: u8, digest: u8) -> (PublicKey, Signature, Signable) {
        let secret = SecretKey::from_secret_bytes([key; 32]).unwrap();
        let signature =
            RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest([digest; 32]), &secret);
        let ways = [(Scheme::SpecEip191, [255; 32]), (Scheme::SpecRaw, [digest; 32])].map(Some);
        let signable = [ways[0], ways[1], None, None];
        (secret.public_key(), Signature::of(&signature), signable)
    }

    fn asked((_, signature, signable): &(PublicKey, Signature, Signable), author: Address) -> Asked<'_> {
        Asked { signature, signable, author, accept_eip2098: false }
    }

    fn sum(of: &[(PublicKey, Signature, Signable)]) -> Sum {
        let (mut sum, mut signers) = (Sum::default(), Signers::default());
        for it in of {
            let address = address_of(&it.0);
            let known =
                signers.find(address).unwrap_or_else(|| Rc::new(Signer::new(point(&it.0).unwrap(), 1)));
            signers.put(address, Rc::clone(&known));
            let signer = sum.number(known);
            assert!(sum.add(&asked(it, address), signer));
        }
        sum
    }

    fn random() -> u128 {
        rand::rng().random()
    }

    #[test]
    fn it_holds_if_each_does() {
        let all: Vec<_> = (0..60).map(|it| signed(1 + it % 7, it)).collect();
        assert!(sum(&all).holds(random));
        for broken in 0..all.len() {
            let mut sum = sum(&all);
            sum.equations[broken].z += Scalar::ONE;
            assert!(!sum.holds(random), "{broken}");
        }
    }

    #[test]
    fn errors_that_cancel_out_are_found_by_the_random_numbers_alone() {
        let mut sum = sum(&[signed(1, 1), signed(1, 2), signed(1, 3)]);
        let (first, second) = (sum.equations[0].s, sum.equations[1].s);
        sum.equations[0].z += first;
        sum.equations[1].z -= second;
        assert!(sum.holds(|| 1), "the one is as much too large as the other is too small");
        assert!(!sum.holds(random));
    }

    #[test]
    fn many_are_added_up_and_few_are_not() {
        // A key that is remembered for somebody else's address: by itself, no signature is found to be theirs.
        let (all, other) =
            ((0..40).map(|it| signed(1, it)).collect::<Vec<_>>(), Address::from_bytes([7; 20]));
        let mut met = Signers::default();
        met.put(other, Rc::new(Signer::new(point(&all[0].0).unwrap(), 1)));
        let asked: Vec<_> = all.iter().map(|it| Some(asked(it, other))).collect();
        assert_eq!(which_of(&mut met, &asked[..3]), vec![Ok(None); 3]);
        assert_eq!(which_of(&mut met, &asked), vec![Ok(Some(1)); 40]);
    }

    #[test]
    fn an_author_is_met_once() {
        let all: Vec<_> = (0..40).map(|it| signed(1, it)).collect();
        let author = address_of(&all[0].0);
        let asked: Vec<_> = all.iter().map(|it| Some(asked(it, author))).collect();
        let mut met = Signers::default();
        assert_eq!(which_of(&mut met, &asked[..1]), vec![Ok(Some(1))]);
        let first = met.find(author).unwrap();
        assert_eq!(which_of(&mut met, &asked), vec![Ok(Some(1)); 40]);
        assert!(Rc::ptr_eq(&met.find(author).unwrap(), &first), "it was not checked alone again");
        let few = which_of(&mut met, &asked[..2]);
        assert_eq!(few, vec![Ok(Some(1)); 2]);
        assert!(Rc::ptr_eq(&met.find(author).unwrap(), &first), "what was computed for it is kept");
    }
}
