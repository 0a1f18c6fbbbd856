//! Turns bytes on disk into a proof that they are what was promised.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use base::{Hasher, Sha256};

/// Length of the pieces whose digests are kept beside an object.
pub const CHUNK_BYTES: u64 = 16 << 20;

/// Bytes that are what the catalog promised: a synced temporary file that nobody else writes.
#[derive(Debug)]
pub struct Verified {
    path: PathBuf,
    digest: Sha256,
    size_bytes: u64,
    chunks: Vec<Sha256>,
}

/// Bytes that were hashed but not held to a promise, because the operator said so.
#[derive(Debug)]
pub struct Unverified {
    path: PathBuf,
    digest: Sha256,
    size_bytes: u64,
}

/// Bytes that are not what was promised.
#[derive(Debug)]
pub struct Refused {
    path: PathBuf,
    promised: Sha256,
    promised_size_bytes: u64,
    found: Sha256,
    found_size_bytes: u64,
}

/// Why a file gave no [`Verified`].
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The bytes are others than promised. Put them into quarantine.
    #[error("Model checksum verification failed: {} holds {} bytes with sha256 {}, promised were {} bytes with {}",
        .0.path.display(), .0.found_size_bytes, .0.found, .0.promised_size_bytes, .0.promised)]
    Refused(Box<Refused>),
    /// The file cannot be read. Nothing is known about its bytes.
    #[error("read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Verified {
    /// Returns where the bytes are.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Returns the digest of the whole.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }
    /// Returns how many bytes there are.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
    /// Returns the digest of each 16 MiB piece, the last one shorter.
    pub fn chunks(&self) -> &[Sha256] {
        &self.chunks
    }
}

impl Unverified {
    /// Returns where the bytes are.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Returns the digest that was found.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }
    /// Returns how many bytes there are.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

impl Refused {
    /// Returns where the bytes are.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Returns the digest that the catalog promised.
    pub fn promised(&self) -> Sha256 {
        self.promised
    }
    /// Returns the size that the catalog promised.
    pub fn promised_size_bytes(&self) -> u64 {
        self.promised_size_bytes
    }
    /// Returns the digest that was found.
    pub fn found(&self) -> Sha256 {
        self.found
    }
    /// Returns the size that was found.
    pub fn found_size_bytes(&self) -> u64 {
        self.found_size_bytes
    }
}

/// Hashes a file in one pass and holds it to the promise.
pub fn verify_file(path: &Path, promised: Sha256, promised_size_bytes: u64) -> Result<Verified, VerifyError> {
    let (found, found_size_bytes, chunks) =
        hash(path).map_err(|source| VerifyError::Read { path: path.to_owned(), source })?;
    if (found, found_size_bytes) == (promised, promised_size_bytes) {
        return Ok(Verified { path: path.to_owned(), digest: found, size_bytes: found_size_bytes, chunks });
    }
    Err(VerifyError::Refused(Box::new(Refused {
        path: path.to_owned(),
        promised,
        promised_size_bytes,
        found,
        found_size_bytes,
    })))
}

/// Hashes a file without holding it to anything.
pub fn hash_unverified(path: &Path) -> io::Result<Unverified> {
    let (digest, size_bytes, _) = hash(path)?;
    Ok(Unverified { path: path.to_owned(), digest, size_bytes })
}

fn hash(path: &Path) -> io::Result<(Sha256, u64, Vec<Sha256>)> {
    let mut file = File::open(path)?;
    file.sync_all()?;
    let (mut whole, mut chunks) = (Hasher::new(), Vec::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        let mut chunk = Hasher::new();
        let mut piece = (&mut file).take(CHUNK_BYTES);
        loop {
            let length = piece.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            whole.update(&buffer[..length]);
            chunk.update(&buffer[..length]);
        }
        if chunk.length_bytes() == 0 {
            let size_bytes = whole.length_bytes();
            return Ok((whole.finish(), size_bytes, chunks));
        }
        chunks.push(chunk.finish());
    }
}
