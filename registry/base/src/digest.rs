//! SHA-256: the name of an artifact's bytes.

use std::{fmt, io, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, digest::common::hazmat::SerializableState as _};

pub use crate::hex::HexError;

/// SHA-256 works on blocks of this length.
const BLOCK_BYTES: u64 = 64;

/// The SHA-256 of some bytes, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Reads 64 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, HexError> {
        crate::hex::decode(text).map(Self)
    }

    /// Returns the digest of bytes that are at hand.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Returns the digest of a whole stream, and its length.
    pub fn of_reader(mut reader: impl io::Read) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok((hasher.clone().finish(), hasher.length_bytes())),
                Ok(length) => hasher.update(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Wraps the 32 bytes of a digest that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Says whether this is the all-zero placeholder that no real file has.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 32]
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::hex::write(&self.0, out)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sha256({self})")
    }
}

impl FromStr for Sha256 {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        Self::parse(text)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// What SHA-256 carries from one block to the next: eight words of 32 bits, written little-endian.
///
/// It says of the bytes before it as much as a digest of them would. Who holds the one at an offset can hash on
/// from there without those bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Midstate([u8; 32]);

impl Midstate {
    /// Wraps 32 bytes that were a midstate's. They cannot be checked; only the digest they lead to can.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Midstate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Midstate(")?;
        crate::hex::write(&self.0, out)?;
        out.write_str(")")
    }
}

/// Hashes bytes as they stream by.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    state: sha2::Sha256,
    length_bytes: u64,
}

impl Hasher {
    /// Starts with no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.length_bytes += bytes.len() as u64;
    }

    /// Returns how many bytes went in.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Returns the state after all that went in, or `None` inside a block: there is one only after every 64 bytes.
    pub fn midstate(&self) -> Option<Midstate> {
        if !self.length_bytes.is_multiple_of(BLOCK_BYTES) {
            return None;
        }
        // The state stands first; behind it come the number of blocks, which is known, and an empty buffer.
        let serialized = self.state.serialize();
        serialized.first_chunk().copied().map(Midstate)
    }

    /// Goes on where another hasher was after `length_bytes`, or returns `None` where no block ends there.
    pub fn resume(midstate: &Midstate, length_bytes: u64) -> Option<Self> {
        if !length_bytes.is_multiple_of(BLOCK_BYTES) {
            return None;
        }
        let mut serialized = sha2::Sha256::new().serialize();
        let (state, rest) = serialized.split_first_chunk_mut()?;
        *state = midstate.0;
        *rest.first_chunk_mut()? = (length_bytes / BLOCK_BYTES).to_le_bytes();
        let state = sha2::Sha256::deserialize(&serialized).ok()?;
        Some(Self { state, length_bytes })
    }

    /// Returns the digest of all that went in.
    pub fn finish(self) -> Sha256 {
        Sha256(self.state.finalize().into())
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_digest_is_sixty_four_lower_case_digits_and_nothing_else() {
        let check = |text: &str, wrong: &str| {
            assert_eq!(Sha256::parse(text).unwrap_err().to_string(), wrong, "{text}");
        };
        check("", "expected 64 hex digits, found 0 characters");
        check(&"a".repeat(63), "expected 64 hex digits, found 63 characters");
        check(&"A".repeat(64), "character 'A' at position 0 is not a lower-case hex digit");
        check(&format!("{}g", "a".repeat(63)), "character 'g' at position 63 is not a lower-case hex digit");
        check(&"é".repeat(32), "character 'é' at position 0 is not a lower-case hex digit");
    }

    #[test]
    fn the_digest_of_abc_is_the_one_in_the_standard() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sha256::of(b"abc").to_string(), abc);
        assert_eq!(serde_json::to_string(&Sha256::of(b"abc")).unwrap(), format!("\"{abc}\""));
    }

    #[test]
    fn hashing_starts_from_the_state_in_the_standard_and_there_is_none_inside_a_block() {
        let words: [u32; 8] = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        let mut hasher = Hasher::new();
        let first = hasher.midstate().unwrap();
        assert_eq!(first.as_bytes().as_slice(), words.map(u32::to_le_bytes).as_flattened());
        hasher.update(&[0; 63]);
        assert_eq!(hasher.midstate(), None);
        assert!(Hasher::resume(&first, 63).is_none());
    }

    proptest! {
        #[test]
        fn resuming_from_any_midstate_gives_the_digest_of_the_whole(
            bytes in prop::collection::vec(any::<u8>(), 0..2000), piece in 1_usize..300,
        ) {
            let mut hasher = Hasher::new();
            let mut midstates = Vec::from_iter(hasher.midstate());
            for block in bytes.as_chunks::<64>().0 {
                hasher.update(block);
                midstates.extend(hasher.midstate());
            }
            prop_assert_eq!(midstates.len(), bytes.len() / 64 + 1);
            for (index, midstate) in midstates.iter().enumerate() {
                let stored = Midstate::from_bytes(*midstate.as_bytes());
                let mut resumed = Hasher::resume(&stored, index as u64 * 64).unwrap();
                prop_assert_eq!(resumed.midstate(), Some(*midstate));
                bytes[index * 64..].chunks(piece).for_each(|it| resumed.update(it));
                prop_assert_eq!(resumed.length_bytes(), bytes.len() as u64);
                prop_assert_eq!(resumed.finish(), Sha256::of(&bytes));
            }
        }

        #[test]
        fn parse_and_display_are_inverse(bytes: [u8; 32]) {
            let digest = Sha256::from_bytes(bytes);
            prop_assert_eq!(Sha256::parse(&digest.to_string()), Ok(digest));
        }

        #[test]
        fn streaming_in_pieces_gives_the_digest_of_the_whole(pieces: Vec<Vec<u8>>) {
            let mut hasher = Hasher::new();
            for piece in &pieces {
                hasher.update(piece);
            }
            let whole = pieces.concat();
            prop_assert_eq!(hasher.length_bytes(), whole.len() as u64);
            prop_assert_eq!(hasher.finish(), Sha256::of(&whole));
            prop_assert_eq!(Sha256::of_reader(&whole[..]).unwrap(), (Sha256::of(&whole), whole.len() as u64));
        }
    }
}
