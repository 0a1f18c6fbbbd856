//! The one door between bytes that arrived and bytes that are what the catalog promised.
//!
//! - A [`Verified`] is made here and nowhere else, and only where digest and size are the promised ones.
//! - The bytes of each were synced before it was made.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use base::{Hasher, Sha256};

use crate::CHUNK_BYTES;

/// Bytes that turned out to be what was promised. They stand in a temporary file until they are shelved.
#[derive(Debug)]
pub struct Verified {
    path: PathBuf,
    digest: Sha256,
    size_bytes: u64,
    chunks: Vec<Sha256>,
}

/// Bytes that differ from the promise, of a host that waived it. Never served to anybody.
#[derive(Debug)]
pub struct Unverified {
    path: PathBuf,
    promised: Sha256,
    found: Sha256,
    size_bytes: u64,
}

/// Bytes that differ from the promise. They stand apart, for quarantine.
#[derive(Debug, thiserror::Error)]
#[error(
    "Model checksum verification failed: {name} from {origin}: promised {promised} of {promised_bytes} bytes, \
     found {found} of {found_bytes} bytes; they are kept apart in {path}"
)]
pub struct Refused {
    /// The want's name.
    pub name: String,
    /// Which source the bytes came from.
    pub origin: String,
    /// The digest that the catalog promised.
    pub promised: Sha256,
    /// The size that the catalog promised.
    pub promised_bytes: u64,
    /// The digest of what came.
    pub found: Sha256,
    /// The size of what came.
    pub found_bytes: u64,
    /// Where the bytes stand.
    pub path: PathBuf,
}

/// Whether the catalog's promise has to be kept on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Bytes that differ are refused.
    Kept,
    /// The operator set `verifyChecksums = false`: bytes that differ are marked, not refused.
    Waived,
}

/// What a check under a [`Promise`] let through.
#[derive(Debug)]
pub enum Checked {
    /// The bytes are the promised ones, whether or not they had to be.
    Verified(Verified),
    /// The bytes differ, and the promise was waived.
    Unverified(Unverified),
}

/// Why a file that stands somewhere did not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The file cannot be read. Nothing is known about its bytes.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file can be read and is not what was promised.
    #[error(transparent)]
    Refused(Box<Refused>),
}

/// Hashes a file that stands somewhere, in one pass, syncs it and compares it with a promise.
pub fn verify_file(path: &Path, promised: Sha256, promised_bytes: u64) -> Result<Verified, VerifyError> {
    let (digest, size_bytes, chunks) =
        hash(path).map_err(|source| VerifyError::Read { path: path.into(), source })?;
    if (digest, size_bytes) == (promised, promised_bytes) {
        return Ok(Verified { path: path.into(), digest, size_bytes, chunks });
    }
    let name = path.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
    let (origin, path, found, found_bytes) = (path.display().to_string(), path.into(), digest, size_bytes);
    let refused = Refused { name, origin, promised, promised_bytes, found, found_bytes, path };
    Err(VerifyError::Refused(Box::new(refused)))
}

/// Hashes a file as [`verify_file`] does, and lets bytes that differ through where the promise was waived.
pub fn check_file(
    path: &Path,
    promised: Sha256,
    promised_bytes: u64,
    promise: Promise,
) -> Result<Checked, VerifyError> {
    match verify_file(path, promised, promised_bytes) {
        Ok(verified) => Ok(Checked::Verified(verified)),
        Err(VerifyError::Refused(it)) if promise == Promise::Waived => {
            let Refused { promised, found, found_bytes: size_bytes, path, .. } = *it;
            Ok(Checked::Unverified(Unverified { path, promised, found, size_bytes }))
        }
        Err(error) => Err(error),
    }
}

impl Verified {
    /// Returns where the bytes stand for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the digest, which is the promised one.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// Returns the size, which is the promised one.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the digests of the file's 16 MiB chunks, in order.
    pub fn chunks(&self) -> &[Sha256] {
        &self.chunks
    }
}

impl Unverified {
    /// Returns where the bytes stand for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the digest that the catalog promised.
    pub fn promised(&self) -> Sha256 {
        self.promised
    }

    /// Returns the digest of what came.
    pub fn found(&self) -> Sha256 {
        self.found
    }

    /// Returns the size of what came.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
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
