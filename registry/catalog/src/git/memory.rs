//! What survives a restart: which commit was taken, and the index it held.
//!
//! - The index is kept beside the clone, not only in it: a clone can be thrown away at any time, the last good index
//!   cannot.
//! - The bytes are on disk before the note that names them, each put in place by a rename: a crash leaves the old
//!   pair or the new one.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base::{CommitId, Sha256, UnixSeconds};
use serde::{Deserialize, Serialize};

use super::Provenance;
use crate::hashed::Hashed;

const NOTE: &str = "taken.json";

/// The commit that was taken last, as it is noted in the state folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Repository and path: a note about another one is no memory of this one.
    source: String,
    branch: String,
    path: String,
    pub(super) commit: CommitId,
    committed_at: UnixSeconds,
    taken_at: UnixSeconds,
    pub(super) digest: Sha256,
}

impl Memory {
    pub(super) fn new(source: &str, provenance: &Provenance, digest: Sha256) -> Self {
        Self {
            source: source.to_owned(),
            branch: provenance.branch.clone(),
            path: provenance.path.clone(),
            commit: provenance.commit,
            committed_at: provenance.committed_at,
            taken_at: provenance.taken_at,
            digest,
        }
    }

    pub(super) fn provenance(&self) -> Provenance {
        Provenance {
            commit: self.commit,
            branch: self.branch.clone(),
            path: self.path.clone(),
            committed_at: self.committed_at,
            taken_at: self.taken_at,
        }
    }

    /// Reads the note, unless there is none, or it is about another source, or cannot be read.
    pub(super) fn load(folder: &Path, source: &str) -> Option<Self> {
        let note = fs::read(folder.join(NOTE)).ok()?;
        match serde_json::from_slice::<Self>(&note) {
            Ok(memory) => Some(memory).filter(|it| it.source == source),
            Err(error) => {
                tracing::warn!(%error, "{NOTE} in {} is broken: the branch is taken as it is now", folder.display());
                None
            }
        }
    }

    /// Reads the index of the remembered commit; `None` if it is gone or is not what it was.
    pub(super) fn found(&self, folder: &Path) -> Option<Hashed> {
        let bytes = fs::read(index_path(folder, self.digest)).ok()?;
        Some(Hashed::of(bytes)).filter(|it| it.digest() == self.digest)
    }

    /// Puts the index and the note in place, and removes the index of the note before.
    pub(super) fn store(&self, folder: &Path, bytes: &[u8]) -> io::Result<()> {
        put(&index_path(folder, self.digest), bytes)?;
        put(&folder.join(NOTE), &serde_json::to_vec_pretty(self)?)?;
        File::open(folder)?.sync_all()?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let index = path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("index-"));
            if index && path != index_path(folder, self.digest) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn index_path(folder: &Path, digest: Sha256) -> PathBuf {
    folder.join(format!("index-{digest}.json"))
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, path)
}
