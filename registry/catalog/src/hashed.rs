//! Bytes and their digest, which is computed once, however many ask for it.

use base::Sha256;

/// The bytes of an index as they were read.
#[derive(Clone, Debug)]
pub struct Hashed {
    bytes: Vec<u8>,
    digest: Sha256,
}

impl Hashed {
    /// Hashes bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { digest: Sha256::of(&bytes), bytes }
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes and forgets their digest.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns their digest.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// Returns the bytes as a text, without a copy, or gives them back if they are none.
    pub(crate) fn into_text(self) -> Result<HashedText, Self> {
        let digest = self.digest;
        match String::from_utf8(self.bytes) {
            Ok(text) => Ok(HashedText { text, digest }),
            Err(error) => Err(Self { bytes: error.into_bytes(), digest }),
        }
    }
}

/// Bytes that turned out to be a text.
#[derive(Debug)]
pub(crate) struct HashedText {
    pub(crate) text: String,
    pub(crate) digest: Sha256,
}
