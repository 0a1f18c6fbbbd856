//! The names inside an event: ids, authors, kinds, subspaces. Each is parsed once.

use std::{fmt, str::FromStr, sync::Arc};

use base::{Address, Sha256, hex, hex::HexError};
use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Keccak256};

/// An event's id as its author computed it: SHA-256 or Keccak, both 32 bytes; 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId([u8; 32]);

/// The SHA-256 of an event's serialized body. The log holds each once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BodyId(Sha256);

/// The kind of an event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(pub u16);

/// Who signed: an address, in the spelling that the signature covers.
///
/// Two spellings are one author, yet a body signed in one of them has no other.
#[derive(Clone)]
pub struct Author {
    text: [u8; 40],
    address: Address,
}

/// The name of a subspace, as its tag has it: `0x` and 64 hex digits, or a symbol such as `0xMG`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sid(Arc<str>);

/// Why a text names no author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorError {
    /// Written with its mark, which is no part of the signed text.
    #[error("a pubkey is written without 0x")]
    Marked,
    /// A Schnorr key of Nostr, or a padded address.
    #[error("a pubkey is the 40 hex digits of an ETH address; 64 digits are not supported")]
    Schnorr,
    /// Mixed case which is not the checksum's: most likely a slip.
    #[error("a pubkey is lower-case or has the case of its EIP-55 checksum, {expected}")]
    Checksum {
        /// The right mix.
        expected: String,
    },
    /// Not an address at all.
    #[error("a pubkey is the 40 hex digits of an ETH address")]
    Hex(#[from] HexError),
}

/// Why a text names no subspace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SidError {
    /// Nothing there.
    #[error("a sid is not empty")]
    Empty,
    /// Longer than any index should carry.
    #[error("a sid has at most {max} bytes, not {found}")]
    Long {
        /// The limit.
        max: usize,
        /// The length.
        found: usize,
    },
}

impl EventId {
    /// Reads 64 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, HexError> {
        hex::decode(text).map(Self)
    }

    /// Wraps the 32 bytes of an id that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl BodyId {
    /// Returns the name of a serialized body.
    pub fn of(serialized: &[u8]) -> Self {
        Self(Sha256::of(serialized))
    }

    /// Wraps the digest of a body that was serialized elsewhere.
    pub const fn from_digest(digest: Sha256) -> Self {
        Self(digest)
    }

    /// Returns the digest.
    pub const fn digest(&self) -> &Sha256 {
        &self.0
    }
}

impl Author {
    /// Reads 40 hex digits: all lower-case, or in the case of their EIP-55 checksum.
    pub fn parse(text: &str) -> Result<Self, AuthorError> {
        if text.starts_with("0x") || text.starts_with("0X") {
            return Err(AuthorError::Marked);
        }
        if text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(AuthorError::Schnorr);
        }
        if let Ok(address) = hex::decode(text) {
            return Ok(Self::spelled(text, Address::from_bytes(address)));
        }
        let address = Address::from_bytes(hex::decode(&text.to_ascii_lowercase())?);
        let expected = checksum_case(&address);
        if text == expected {
            Ok(Self::spelled(text, address))
        } else {
            Err(AuthorError::Checksum { expected })
        }
    }

    /// Joins an address and 40 digits that name it.
    fn spelled(digits: &str, address: Address) -> Self {
        let mut text = [b'0'; 40];
        text.iter_mut().zip(digits.bytes()).for_each(|(place, digit)| *place = digit);
        Self { text, address }
    }

    /// Writes an address in lower case, as the specification does.
    pub fn lower(address: Address) -> Self {
        Self::spelled(&hex::text(address.as_bytes()), address)
    }

    /// Writes an address in the case of its EIP-55 checksum, as the clients' libraries do.
    pub fn checksum(address: Address) -> Self {
        Self::spelled(&checksum_case(&address), address)
    }

    /// Returns the spelling that was signed.
    pub fn as_str(&self) -> &str {
        // Hex digits are ASCII.
        str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Returns the address: what authors are compared by.
    pub fn address(&self) -> Address {
        self.address
    }
}

/// Authors are equal if their addresses are, however they are written.
impl PartialEq for Author {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for Author {}

impl Sid {
    /// The longest sid that is taken.
    pub const BYTES_MAX: usize = 128;

    /// Takes any text that is neither empty nor longer than [`Sid::BYTES_MAX`].
    pub fn parse(text: &str) -> Result<Self, SidError> {
        Self::check(text).map(|()| Self(text.into()))
    }

    /// Says why a text would not be taken.
    pub(super) fn check(text: &str) -> Result<(), SidError> {
        match text.len() {
            0 => Err(SidError::Empty),
            found if found > Self::BYTES_MAX => Err(SidError::Long { max: Self::BYTES_MAX, found }),
            _ => Ok(()),
        }
    }

    /// Computes the sid of a subspace: SHA-256 over its name, operations and rules, with nothing between them.
    pub fn computed(name: &str, ops: &str, rules: &str) -> Self {
        Self(format!("0x{}", Sha256::of([name, ops, rules].concat().as_bytes())).into())
    }

    /// Says whether this is a digest, which can be checked, and not a symbol, which cannot.
    pub fn is_digest(&self) -> bool {
        self.0.strip_prefix("0x").is_some_and(|it| hex::decode::<32>(it).is_ok())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the Keccak-256 of several pieces in a row.
pub(crate) fn keccak(pieces: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize().into()
}

/// EIP-55: a letter is upper-case where the digest of the lower-case text has a digit above 7.
fn checksum_case(address: &Address) -> String {
    let lower = hex::text(address.as_bytes());
    let digest = keccak(&[lower.as_bytes()]);
    let nibble =
        |index: usize| if index.is_multiple_of(2) { digest[index / 2] >> 4 } else { digest[index / 2] & 15 };
    let cased = lower.chars().enumerate();
    cased.map(|(index, it)| if nibble(index) > 7 { it.to_ascii_uppercase() } else { it }).collect()
}

macro_rules! written_as_text {
    ($type:ident, $error:ty, |$it:ident, $out:ident| $write:expr) => {
        impl fmt::Display for $type {
            fn fmt(&self, $out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $it = self;
                $write
            }
        }

        impl FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }
    };
}

written_as_text!(EventId, HexError, |it, out| hex::write(&it.0, out));
written_as_text!(Author, AuthorError, |it, out| out.write_str(it.as_str()));
written_as_text!(Sid, SidError, |it, out| out.write_str(&it.0));

impl fmt::Display for BodyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

macro_rules! debug_as_text {
    ($($type:ident),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($type), "({})"), self)
            }
        }
    )*};
}

debug_as_text!(EventId, BodyId, Kind, Author, Sid);

impl TryFrom<String> for EventId {
    type Error = HexError;

    fn try_from(text: String) -> Result<Self, HexError> {
        Self::parse(&text)
    }
}

impl From<EventId> for String {
    fn from(it: EventId) -> Self {
        it.to_string()
    }
}

impl TryFrom<String> for Sid {
    type Error = SidError;

    fn try_from(text: String) -> Result<Self, SidError> {
        Self::parse(&text)
    }
}

impl From<Sid> for String {
    fn from(it: Sid) -> Self {
        it.0.as_ref().into()
    }
}
