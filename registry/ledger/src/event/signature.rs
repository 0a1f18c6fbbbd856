//! Signatures, parsed strictly, and the addresses that can be recovered from them.
//!
//! A high `s` is refused before anything is recovered: with it every signature would have a twin.

use std::{cell::RefCell, fmt};

use base::{Address, hex};
use secp256k1::{
    Message, PublicKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use super::name::keccak;
use crate::lately::Lately;

/// Half of the group's order; `s` above it is the malleable twin.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// A signature in the form in which it came: 64 bytes, or 65 with the recovery id.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    compact: [u8; 64],
    v: Option<u8>,
}

/// Why a text is no signature that is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Neither form, or upper case.
    #[error("a signature is 128 or 130 lower-case hex digits without 0x")]
    Hex(#[source] hex::HexError),
    /// The last byte of a long one.
    #[error("a signature's last byte is 00, 01, 1b or 1c, not {0:02x}")]
    RecoveryId(u8),
    /// The malleable twin of a signature that would be taken.
    #[error("a signature's s is in the lower half of the order; this one is in the upper half")]
    HighS,
    /// No point of the curve.
    #[error("the signature's numbers are out of range")]
    Range,
}

impl Signature {
    pub(crate) fn parse(text: &str) -> Result<Self, SignatureError> {
        if text.len() == 128 {
            return Ok(Self { compact: hex::decode(text).map_err(SignatureError::Hex)?, v: None });
        }
        let bytes: [u8; 65] = hex::decode(text).map_err(SignatureError::Hex)?;
        let (compact, v) = bytes.split_first_chunk().ok_or(SignatureError::Range)?;
        let v = v.first().copied().unwrap_or_default();
        if matches!(v, 0 | 1 | 27 | 28) {
            Ok(Self { compact: *compact, v: Some(v) })
        } else {
            Err(SignatureError::RecoveryId(v))
        }
    }

    /// Wraps what was just signed, with the recovery id as wallets write it.
    pub(crate) fn of(signature: &RecoverableSignature) -> Self {
        let (recovery, compact) = signature.serialize_compact();
        Self { compact, v: Some(27 + recovery.to_u8()) }
    }

    /// Finds the first of the digests that `address` signed, and with which key; `None` if it signed none of them.
    pub(crate) fn which(
        &self,
        digests: impl Iterator<Item = [u8; 32]>,
        address: Address,
        accept_eip2098: bool,
    ) -> Result<Option<(usize, PublicKey)>, SignatureError> {
        let (compact, parities) = self.numbers(accept_eip2098)?;
        for (index, digest) in digests.enumerate() {
            for parity in parities {
                let recovered = recover(&compact, *parity, digest)?;
                if let Some((key, _)) = recovered.filter(|it| it.1 == address) {
                    return Ok(Some((index, key)));
                }
            }
        }
        Ok(None)
    }

    /// Returns both numbers and the parities to try.
    pub(super) fn numbers(
        &self,
        accept_eip2098: bool,
    ) -> Result<([u8; 64], &'static [RecoveryId]), SignatureError> {
        let mut compact = self.compact;
        let parities: &[RecoveryId] = match self.v {
            Some(0 | 27) => &[RecoveryId::Zero],
            Some(_) => &[RecoveryId::One],
            // EIP-2098 keeps the parity in the top bit of s, which is never set otherwise.
            None if accept_eip2098 && compact[32] & 0x80 != 0 => {
                compact[32] &= 0x7f;
                &[RecoveryId::One]
            }
            None => &[RecoveryId::Zero, RecoveryId::One],
        };
        if compact[32..] > HALF_ORDER[..] { Err(SignatureError::HighS) } else { Ok((compact, parities)) }
    }
}

impl Signature {
    /// Appends its text.
    pub(super) fn append(&self, bytes: &mut Vec<u8>) {
        hex::append(&self.compact, bytes);
        hex::append(self.v.as_slice(), bytes);
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.compact, out)?;
        self.v.map_or(Ok(()), |it| write!(out, "{it:02x}"))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signature({self})")
    }
}

/// Returns the key that signed the digest, and its address; `None` if there is no such key.
fn recover(
    compact: &[u8; 64],
    parity: RecoveryId,
    digest: [u8; 32],
) -> Result<Option<(PublicKey, Address)>, SignatureError> {
    let signature = RecoverableSignature::from_compact(compact, parity).map_err(|_| SignatureError::Range)?;
    // Numbers that lead to no point are a signature of nobody, not a fault of the form.
    let key = signature.recover_ecdsa(Message::from_digest(digest)).ok();
    Ok(key.map(|it| (it, LATELY.with_borrow_mut(|lately| address_of_lately(lately, &it)))))
}

thread_local! {
    static LATELY: RefCell<Lately<Address>> = RefCell::default();
}

fn address_of_lately(lately: &mut Lately<Address>, key: &PublicKey) -> Address {
    lately.get(&key.serialize(), || address_of(key))
}

/// Returns the address of a public key: the last 20 bytes of its Keccak.
pub(crate) fn address_of(key: &PublicKey) -> Address {
    let digest = keccak(&[&key.serialize_uncompressed()[1..]]);
    let mut address = [0; 20];
    address.copy_from_slice(&digest[12..]);
    Address::from_bytes(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_whatever_came_before() {
        let mut lately = Lately::default();
        let keys = (1..=20_u8).map(|it| {
            let key = secp256k1::SecretKey::from_secret_bytes([it; 32]).unwrap();
            PublicKey::from_secret_key(&key)
        });
        let keys: Vec<_> = keys.collect();
        for key in keys.iter().flat_map(|it| [it, it, &keys[0]]) {
            assert_eq!(address_of_lately(&mut lately, key), address_of(key));
        }
    }
}
