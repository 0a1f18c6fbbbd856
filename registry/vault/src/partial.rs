//! Bytes on disk that nobody has checked yet, and the lock that keeps two processes from writing them at once.
//!
//! - `<folder>/<hex>.part` holds the bytes, `<hex>.json` the [`Journal`].
//! - Whoever writes holds the file's lock. The lock belongs to the open file, so it follows a rename and ends
//!   with the process.
//! - Of a file found on disk only what its journal claims is trusted; the rest is fetched again.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use base::Sha256;

use crate::{chunks::ChunkList, journal::Journal, shelf::Shelf, want::Want};

/// How often a file may vanish between being opened and being locked before we give up.
const RACES_MAX: usize = 16;

/// The folder of partial files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partials {
    folder: PathBuf,
    /// Where another process may have put the whole file meanwhile.
    shelf: Option<Shelf>,
}

/// A whole file's worth of bytes that nobody has compared with the promise. Only
/// [`verify`](Partial::verify) leads on from here.
#[derive(Debug)]
pub struct Partial {
    pub(crate) file: Arc<File>,
    pub(crate) path: PathBuf,
    pub(crate) journal: PathBuf,
    pub(crate) source: String,
    pub(crate) counted: ChunkList,
}

/// A partial file that is ours to write.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) file: Arc<File>,
    pub(crate) path: PathBuf,
    pub(crate) journal_path: PathBuf,
    pub(crate) journal: Journal,
}

/// Why a partial file is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Another one writes it.
    #[error("another process writes it")]
    Busy { process: Option<u32> },
    #[error("open it")]
    Disk(#[from] io::Error),
}

impl Partials {
    /// Names the folder. It is made when the first download begins.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), shelf: None }
    }

    /// Names a shelf's own folder. What another process shelves meanwhile is not fetched again.
    pub fn of(shelf: &Shelf) -> Self {
        Self { folder: shelf.partials(), shelf: Some(shelf.clone()) }
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns where the bytes of `digest` grow.
    pub fn path(&self, digest: &Sha256) -> PathBuf {
        self.folder.join(format!("{digest}.part"))
    }

    /// Says whether the whole file stands on the shelf by now.
    pub(crate) fn is_shelved(&self, want: &Want) -> bool {
        // A shelf that cannot be looked at has nothing: the fetch goes on, and to shelve the file will tell.
        let object = |shelf: &Shelf| shelf.object_of_size(&want.digest, want.size_bytes).ok().flatten();
        self.shelf.as_ref().and_then(object).is_some()
    }

    /// Opens and locks the partial file of a want, and forgets whatever was not synced.
    pub(crate) fn open(&self, want: &Want) -> Result<Slot, OpenError> {
        fs::create_dir_all(&self.folder)?;
        let path = self.path(&want.digest);
        let journal_path = path.with_extension("json");
        let file = lock(&path, &journal_path)?;
        let known = Journal::load(&journal_path)?;
        let known = known.filter(|it| (it.digest, it.size_bytes) == (want.digest, want.size_bytes));
        let mut journal = known.unwrap_or_else(|| Journal::fresh(want.digest, want.size_bytes));
        journal.process = std::process::id();
        journal.spans.cut(file.metadata()?.len().min(want.size_bytes));
        file.set_len(journal.spans.end())?;
        journal.store(&journal_path)?;
        Ok(Slot { file: Arc::new(file), path, journal_path, journal })
    }
}

impl Slot {
    /// Says whether nothing was there before.
    pub(crate) fn is_empty(&self) -> bool {
        self.journal.spans.covered() == 0
    }

    /// Starts over. The journal forgets first, so that no crash leaves it claiming bytes of another file.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        self.journal = Journal::fresh(self.journal.digest, self.journal.size_bytes);
        self.journal.store(&self.journal_path)?;
        self.file.set_len(0)
    }

    /// Removes a file that was made for nothing.
    pub(crate) fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        fs::remove_file(&self.journal_path)
    }
}

/// Opens and locks the file that stands at `path`, not one that was moved away meanwhile.
fn lock(path: &Path, journal_path: &Path) -> Result<File, OpenError> {
    for _ in 0..RACES_MAX {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let process = Journal::load(journal_path)?.map(|it| it.process);
                return Err(OpenError::Busy { process });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let ours = file.metadata()?;
        match fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => return Ok(file),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(OpenError::Busy { process: None })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn want(bytes: &[u8]) -> Want {
        Want {
            digest: Sha256::of(bytes),
            size_bytes: bytes.len() as u64,
            name: "a".into(),
            sources: Vec::new(),
        }
    }

    #[test]
    fn bytes_that_were_not_synced_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (partials, want) = (Partials::new(folder.path()), want(b"0123456789"));
        let mut slot = partials.open(&want).unwrap();
        slot.file.write_all_at(b"0123456", 0).unwrap();
        slot.journal.spans.add(0..4);
        slot.journal.store(&slot.journal_path).unwrap();
        drop(slot);
        let slot = partials.open(&want).unwrap();
        assert_eq!(slot.file.metadata().unwrap().len(), 4);
        assert_eq!(slot.journal.spans.contiguous(), 4);
    }

    #[test]
    fn a_file_shorter_than_its_journal_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let (partials, want) = (Partials::new(folder.path()), want(b"0123456789"));
        let mut slot = partials.open(&want).unwrap();
        slot.file.write_all_at(b"012", 0).unwrap();
        slot.journal.spans.add(0..8);
        slot.journal.store(&slot.journal_path).unwrap();
        drop(slot);
        assert_eq!(partials.open(&want).unwrap().journal.spans.covered(), 3);
    }

    #[test]
    fn one_partial_has_one_writer_and_the_second_learns_who_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (partials, want) = (Partials::new(folder.path()), want(b"abc"));
        let slot = partials.open(&want).unwrap();
        let Err(OpenError::Busy { process }) = partials.open(&want) else { panic!("two writers") };
        assert_eq!(process, Some(std::process::id()));
        drop(slot);
        assert!(partials.open(&want).is_ok());
    }
}
