//! Names of signers. Only their written form: curve arithmetic belongs to `ledger`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::hex::HexError;

/// A signer's name in events: the 20 bytes of an Ethereum address, written `0x` and 40 hex digits.
///
/// Compared as bytes: two spellings that differ in case name the same signer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address([u8; 20]);

/// A compressed secp256k1 public key, written as 66 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 33]);

/// Why a text names no signer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An address without its mark.
    #[error("an address starts with 0x")]
    Prefix,
    /// The digits are wrong.
    #[error(transparent)]
    Hex(#[from] HexError),
    /// The first byte of a compressed key is 02 or 03.
    #[error("a compressed public key starts with 02 or 03, not {0:02x}")]
    Form(u8),
}

impl Address {
    /// Reads `0x` and 40 hex digits of either case.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let digits = text.strip_prefix("0x").ok_or(KeyError::Prefix)?;
        Ok(Self(crate::hex::decode(&digits.to_ascii_lowercase())?))
    }

    /// Wraps the 20 bytes of an address that was derived elsewhere.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Returns the 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl PublicKey {
    /// Reads 66 lower-case hex digits. Whether the point is on the curve shows when it is used.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes: [u8; 33] = crate::hex::decode(text)?;
        if matches!(bytes[0], 2 | 3) { Ok(Self(bytes)) } else { Err(KeyError::Form(bytes[0])) }
    }

    /// Returns the 33 bytes.
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("0x")?;
        crate::hex::write(&self.0, out)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::hex::write(&self.0, out)
    }
}

macro_rules! written_as_text {
    ($type:ident) => {
        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($type), "({})"), self)
            }
        }

        impl FromStr for $type {
            type Err = KeyError;

            fn from_str(text: &str) -> Result<Self, KeyError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = KeyError;

            fn try_from(text: String) -> Result<Self, KeyError> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(it: $type) -> Self {
                it.to_string()
            }
        }
    };
}

written_as_text!(Address);
written_as_text!(PublicKey);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_spellings_of_an_address_are_one_signer() {
        let mixed = Address::parse("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266").unwrap();
        let lower = Address::parse("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266").unwrap();
        assert_eq!(mixed, lower);
        assert_eq!(mixed.to_string(), "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_reason() {
        let of = |text: &str| Address::parse(text).unwrap_err().to_string();
        assert_eq!(of("f39f"), "an address starts with 0x");
        assert_eq!(of("0xf39f"), "expected 40 hex digits, found 4 characters");
        let wrong = PublicKey::parse(&"04".repeat(33)).unwrap_err();
        assert_eq!(wrong.to_string(), "a compressed public key starts with 02 or 03, not 04");
    }

    proptest! {
        #[test]
        fn parse_and_display_are_inverse(bytes: [u8; 20], rest: [u8; 32], odd: bool) {
            let address = Address::from_bytes(bytes);
            prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            let mut key = [2 + u8::from(odd); 33];
            key[1..].copy_from_slice(&rest);
            let key = PublicKey(key);
            prop_assert_eq!(PublicKey::parse(&key.to_string()), Ok(key));
        }
    }
}
