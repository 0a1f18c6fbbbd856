//! What is known about a partial file: which of its bytes are safely on disk, and where they came from.
//!
//! - A journal claims only bytes that were synced before it was written.
//! - It is replaced as a whole, so a crash leaves the old one or the new one.
//! - Bytes that are to be overwritten are first taken out of the journal.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use base::{CommitId, Sha256};
use serde::{Deserialize, Serialize};

use crate::spans::Spans;

/// No journal of ours comes near this size.
const JOURNAL_BYTES_MAX: u64 = 4 << 20;

/// The record beside a partial file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// The promised digest.
    pub(crate) digest: Sha256,
    /// The promised size.
    pub(crate) size_bytes: u64,
    /// Which source the validators below belong to.
    pub(crate) source: Option<String>,
    /// What the source called these bytes: sent back as `If-Range`.
    pub(crate) etag: Option<String>,
    /// The commit that the hub's branch stood at when the download began.
    pub(crate) commit: Option<CommitId>,
    /// Bytes that were synced.
    pub(crate) spans: Spans,
    /// Who writes the file; only for messages, the lock is what counts.
    pub(crate) process: u32,
}

impl Journal {
    /// Returns the journal of a file that has no bytes yet.
    pub(crate) fn fresh(digest: Sha256, size_bytes: u64) -> Self {
        let process = std::process::id();
        Self { digest, size_bytes, source: None, etag: None, commit: None, spans: Spans::default(), process }
    }

    /// Reads a journal. One that is missing, damaged or of another shape claims nothing.
    pub(crate) fn load(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = io::read_to_string(io::Read::take(file, JOURNAL_BYTES_MAX));
        Ok(text.ok().and_then(|it| serde_json::from_str(&it).ok()))
    }

    /// Replaces the journal at `path`, and returns when it is on disk.
    pub(crate) fn store(&self, path: &Path) -> io::Result<()> {
        let aside = path.with_extension("json.new");
        let mut file = File::create(&aside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_data()?;
        fs::rename(&aside, path)?;
        sync_folder(path)
    }
}

/// Makes a rename in the folder of `path` outlast a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |it| File::open(it)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_comes_back_and_a_damaged_one_claims_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        assert_eq!(Journal::load(&path).unwrap(), None);
        let mut journal = Journal::fresh(Sha256::of(b"abc"), 3);
        journal.spans.add(0..2);
        journal.etag = Some("\"abc\"".into());
        journal.store(&path).unwrap();
        assert_eq!(Journal::load(&path).unwrap(), Some(journal));
        let text = fs::read(&path).unwrap();
        for damaged in [&text[..text.len() / 2], b"", b"\xff\xfe", b"{}"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(Journal::load(&path).unwrap(), None);
        }
    }
}
