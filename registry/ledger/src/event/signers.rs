//! Authors whose keys are known: the same come again and again.

use std::{cell::OnceCell, collections::HashMap, mem, rc::Rc};

use base::Address;
use foldhash::fast::RandomState;
use k256::{AffinePoint, ProjectivePoint};
use wnaf::{WnafBase, array::typenum::U6};

/// How many are met before those are forgotten that were not met again meanwhile. With its table, each takes 2 KB.
const YOUNG_MAX: usize = if cfg!(test) { 4 } else { 256 };

/// Some multiples of a key. A table of the next size takes twice the memory, and hardly less time.
pub(super) type KeyTable = WnafBase<ProjectivePoint, U6>;

/// An author whose key is known, and which of the ways to sign was the last one's.
pub(super) struct Signer {
    key: ProjectivePoint,
    pub(super) way: usize,
    table: OnceCell<Box<KeyTable>>,
}

/// Those whom this thread has met lately: always the last [`YOUNG_MAX`], and at most twice as many.
#[derive(Default)]
pub(super) struct Signers {
    young: HashMap<Address, Rc<Signer>, RandomState>,
    old: HashMap<Address, Rc<Signer>, RandomState>,
}

impl Signer {
    pub(super) fn new(key: AffinePoint, way: usize) -> Self {
        Self { key: key.into(), way, table: OnceCell::new() }
    }

    /// Returns some multiples of the key, which are computed when they are needed first: many come only once.
    pub(super) fn table(&self) -> &KeyTable {
        self.table.get_or_init(|| Box::new(WnafBase::new(&self.key)))
    }
}

impl Signers {
    /// Returns whose address this is.
    pub(super) fn find(&mut self, author: Address) -> Option<Rc<Signer>> {
        if let Some(signer) = self.young.get(&author) {
            return Some(Rc::clone(signer));
        }
        let signer = self.old.remove(&author)?;
        self.put(author, Rc::clone(&signer));
        Some(signer)
    }

    /// Remembers whose address it is.
    pub(super) fn put(&mut self, author: Address, signer: Rc<Signer>) {
        if self.young.len() >= YOUNG_MAX {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(author, signer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_come_again_are_known_and_others_are_forgotten() {
        let mut signers = Signers::default();
        let author = |number: usize| Address::from_bytes([u8::try_from(number).unwrap(); 20]);
        let signer = |way| Rc::new(Signer::new(AffinePoint::GENERATOR, way));
        signers.put(author(0), signer(100));
        for number in 1..100 {
            signers.put(author(number), signer(number));
            assert_eq!(signers.find(author(0)).unwrap().way, 100, "it came again");
            for known in number.saturating_sub(YOUNG_MAX - 2).max(1)..=number {
                assert_eq!(signers.find(author(known)).unwrap().way, known);
            }
            assert!(signers.young.len() + signers.old.len() <= 2 * YOUNG_MAX);
        }
        assert!(signers.find(author(1)).is_none());
        signers.put(author(0), signer(7));
        assert_eq!(signers.find(author(0)).unwrap().way, 7, "the last way to sign is the likely one");
    }
}
