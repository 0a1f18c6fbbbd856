//! The one door between bytes that arrived and bytes that are what the catalog promised.
//!
//! - A [`Verified`] is made here and nowhere else, and only where digest and size are the promised ones.
//! - Whoever holds one holds the file's lock, so nobody writes to it.
//! - The bytes of each were synced before it was made.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use base::Sha256;

use crate::{chunks::ChunkList, cursor::Tally, lease, partial::Partial, want::Want};

/// Bytes that turned out to be what was promised. They stand in a temporary file until they are shelved.
#[derive(Debug)]
pub struct Verified {
    place: Place,
    chunks: ChunkList,
}

/// Bytes that differ from the promise, of a host that waived it. Never served to anybody.
#[derive(Debug)]
pub struct Unverified {
    place: Place,
    promised: Sha256,
    found: Sha256,
    size_bytes: u64,
}

/// Bytes that differ from the promise. They stand apart, for quarantine.
#[derive(Debug, thiserror::Error)]
#[error(
    "Model checksum verification failed: {name} from {origin}: promised {promised} of {promised_bytes} bytes, \
     found {found} of {found_bytes} bytes"
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

impl Partial {
    /// Compares what arrived with what was promised. Bytes that differ are moved aside, so that the next try
    /// starts with none; unless they are put in quarantine, gc removes them with the partials.
    pub fn verify(self, want: &Want) -> Result<Verified, Box<Refused>> {
        if !self.holds(want) {
            return Err(Box::new(self.refuse(want)));
        }
        let place = Place { path: self.path, journal: Some(self.journal), lock: Some(self.file) };
        Ok(Verified { place, chunks: self.counted })
    }

    /// Compares, and lets bytes that differ through where the promise was waived.
    pub fn check(self, want: &Want, promise: Promise) -> Result<Checked, Box<Refused>> {
        if promise == Promise::Kept || self.holds(want) {
            return self.verify(want).map(Checked::Verified);
        }
        let place = Place { path: self.path, journal: Some(self.journal), lock: Some(self.file) };
        let (promised, found, size_bytes) = (want.digest, self.counted.digest, self.counted.size_bytes);
        Ok(Checked::Unverified(Unverified { place, promised, found, size_bytes }))
    }

    fn holds(&self, want: &Want) -> bool {
        (self.counted.digest, self.counted.size_bytes) == (want.digest, want.size_bytes)
    }

    fn refuse(self, want: &Want) -> Refused {
        let found = self.counted.digest;
        let aside = self.path.with_file_name(format!("{}.{found}.refused", want.digest));
        // Where the move fails the bytes stay, and without a journal the next download overwrites them.
        let moved = fs::rename(&self.path, &aside);
        // From now on gc counts its days, even where the last byte came long ago.
        if let Err(error) = lease::mark_used(&self.file) {
            tracing::warn!(%error, "Could not set the time of {}", aside.display());
        }
        if let Err(error) = fs::remove_file(&self.journal) {
            tracing::warn!(%error, "Could not remove {}", self.journal.display());
        }
        Refused {
            name: want.name.clone(),
            origin: self.source,
            promised: want.digest,
            promised_bytes: want.size_bytes,
            found,
            found_bytes: self.counted.size_bytes,
            path: if moved.is_ok() { aside } else { self.path },
        }
    }
}

/// Hashes a file that stands somewhere, in one pass, syncs it and compares it with a promise.
pub fn verify_file(path: &Path, promised: Sha256, promised_bytes: u64) -> Result<Verified, VerifyError> {
    let read = |source| VerifyError::Read { path: path.into(), source };
    let file = File::open(path).map_err(read)?;
    let chunks = Tally::of_file(&file).map_err(read)?;
    let (digest, size_bytes) = (chunks.digest, chunks.size_bytes);
    if (digest, size_bytes) != (promised, promised_bytes) {
        let name = path.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
        let (origin, path) = (path.display().to_string(), path.into());
        let (found, found_bytes) = (digest, size_bytes);
        let refused = Refused { name, origin, promised, promised_bytes, found, found_bytes, path };
        return Err(VerifyError::Refused(Box::new(refused)));
    }
    file.sync_data().map_err(read)?;
    let place = Place { path: path.into(), journal: None, lock: None };
    Ok(Verified { place, chunks })
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
            let place = Place { path, journal: None, lock: None };
            Ok(Checked::Unverified(Unverified { place, promised, found, size_bytes }))
        }
        Err(error) => Err(error),
    }
}

impl Verified {
    /// Returns where the bytes stand for now.
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Returns the digest, which is the promised one.
    pub fn digest(&self) -> Sha256 {
        self.chunks.digest
    }

    /// Returns the size, which is the promised one.
    pub fn size_bytes(&self) -> u64 {
        self.chunks.size_bytes
    }

    /// Returns what each of the file's 16 MiB chunks can be checked by later.
    pub fn chunks(&self) -> &ChunkList {
        &self.chunks
    }
}

impl Unverified {
    /// Returns where the bytes stand for now.
    pub fn path(&self) -> &Path {
        &self.place.path
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

/// A temporary file, its journal, and the lock on it.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    journal: Option<PathBuf>,
    #[expect(dead_code, reason = "held, not read: its drop gives the file free")]
    lock: Option<Arc<File>>,
}

impl Drop for Place {
    /// Once the bytes have moved on, what the journal says about them is over. If they have not, it stays, so
    /// that whoever comes next need not fetch them again.
    fn drop(&mut self) {
        let Some(journal) = &self.journal else { return };
        if matches!(fs::exists(&self.path), Ok(false))
            && let Err(error) = fs::remove_file(journal)
        {
            tracing::warn!(%error, "Could not remove {}", journal.display());
        }
    }
}
