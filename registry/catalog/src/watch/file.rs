//! Reads one index file, whole and as it stood at one moment, or says why not.

use std::{
    fs::{File, FileType, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::OFlags,
    io::Errno,
    time::{ClockId, clock_gettime},
};

use super::trail::Trail;

/// The longest index that is read: 256 MiB, some two hundred thousand entries.
pub const INDEX_BYTES_MAX: u64 = 256 << 20;

/// How often a file that changes under the reader is read again.
const TRIES_MAX: u32 = 5;

/// More than one tick of any file system's clock: two writes so close together may leave the same times.
const TICK: Duration = Duration::from_millis(20);

/// Why a file gave no bytes. None of them changes what is in force.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file, or a link on the way leads nowhere. Create it, or correct the path.
    #[error("read {path}: {missing} does not exist: create it, or correct the path")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The first name on the way that is not there.
        missing: PathBuf,
    },
    /// Symbolic links on the way lead round in a circle. Correct them.
    #[error("read {path}: its symbolic links lead in a circle: correct them")]
    Loop {
        /// The file.
        path: PathBuf,
    },
    /// This user may not read it. Change the file's mode or owner, or those of a folder above it.
    #[error("read {path}: no permission: let this user read the file and enter each folder above it")]
    Permission {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder stands there. Name the file in it.
    #[error("read {path}: it is a directory: name the file itself, such as {path}/index.json")]
    Directory {
        /// The folder.
        path: PathBuf,
    },
    /// A fifo, socket or device stands there; reading one might never end. Put the index in a regular file.
    #[error("read {path}: it is {kind}, not a regular file: put the index in a regular file")]
    NotAFile {
        /// What was named.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The file is longer than any index. Look whether the path names the right file.
    #[error(
        "read {path}: it has {size_bytes} bytes and an index may have {INDEX_BYTES_MAX}: is this the right file?"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
    },
    /// The file changed each time it was read. Try again; write to another name and rename it into place.
    #[error(
        "read {path}: it changed during each of {TRIES_MAX} tries: write it under another name, then rename it into place"
    )]
    Unsettled {
        /// The file.
        path: PathBuf,
    },
    /// The disk or file system fails. Look at the cause.
    #[error("read {path}: the system refused: look at the disk and the file system")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads a whole index file. Follows links, never blocks on a fifo, and reads again what changes meanwhile.
///
/// A writer that rests half-way leaves a file at rest: that one shows only when it goes on. Hence the advice to rename.
pub fn read_index_file(path: &Path) -> Result<Vec<u8>, ReadError> {
    settled(path, |file, metadata| {
        let bytes = read_bounded(file, metadata)?;
        Ok(bytes.map(|it| (it.len() as u64, it)))
    })
}

/// Looks at an index file, which stays as it is meanwhile, without taking it into memory.
pub(crate) fn glance_index_file<T>(path: &Path, look: impl Fn(&File) -> T) -> Result<T, ReadError> {
    settled(path, |file, metadata| {
        let size_bytes = metadata.len();
        Ok((size_bytes <= INDEX_BYTES_MAX).then(|| (size_bytes, look(file))))
    })
}

/// Reads until the file stayed as it was. `read` says how many bytes it read, or `None` if there are too many.
fn settled<T>(
    path: &Path,
    read: impl Fn(&File, &Metadata) -> io::Result<Option<(u64, T)>>,
) -> Result<T, ReadError> {
    for _ in 0..TRIES_MAX {
        if let Some(found) = read_once(path, &read)? {
            return Ok(found);
        }
    }
    Err(ReadError::Unsettled { path: path.to_owned() })
}

/// Returns `None` if the file changed while it was read. If another took its place meanwhile, what was read is still
/// one whole version, and the caller's watch tells of the next.
fn read_once<T>(
    path: &Path,
    read: impl Fn(&File, &Metadata) -> io::Result<Option<(u64, T)>>,
) -> Result<Option<T>, ReadError> {
    let failed = |source| explain(path, source);
    // Asked by name first: to open a device can already have an effect.
    refuse_kind(path, path.metadata().map_err(failed)?.file_type())?;
    let file = open(path).map_err(failed)?;
    let mut before = file.metadata().map_err(failed)?;
    refuse_kind(path, before.file_type())?;
    if just_changed(&before) {
        // A second write in the same tick would not show in the times. One tick later, it does.
        std::thread::sleep(TICK);
        before = file.metadata().map_err(failed)?;
    }
    let Some((count, found)) = read(&file, &before).map_err(failed)? else {
        // The file may have grown since: name the size that it has now.
        let size_bytes = file.metadata().map_err(failed)?.len().max(before.len());
        return Err(ReadError::TooLarge { path: path.to_owned(), size_bytes });
    };
    let after = file.metadata().map_err(failed)?;
    let written = |it: &Metadata| (it.len(), it.mtime(), it.mtime_nsec());
    let whole = written(&before) == written(&after) && after.len() == count;
    Ok((whole && !just_changed(&before)).then_some(found))
}

fn just_changed(metadata: &Metadata) -> bool {
    // The clock that stamps files, asked for a difference of milliseconds: nothing that a test would move.
    let now = clock_gettime(ClockId::RealtimeCoarse);
    let since_ms = now.tv_sec.saturating_sub(metadata.mtime()).saturating_mul(1000)
        + (now.tv_nsec - metadata.mtime_nsec()) / 1_000_000;
    u128::from(since_ms.unsigned_abs()) < TICK.as_millis()
}

fn open(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK, a fifo that slips in between waits for a writer that may never come.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn read_bounded(file: &File, metadata: &Metadata) -> io::Result<Option<Vec<u8>>> {
    if metadata.len() > INDEX_BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    file.take(INDEX_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= INDEX_BYTES_MAX).then_some(bytes))
}

fn refuse_kind(path: &Path, kind: FileType) -> Result<(), ReadError> {
    let path = path.to_owned();
    let kind = match kind {
        it if it.is_file() => return Ok(()),
        it if it.is_dir() => return Err(ReadError::Directory { path }),
        it if it.is_fifo() => "a fifo",
        it if it.is_socket() => "a socket",
        it if it.is_char_device() || it.is_block_device() => "a device",
        _ => "no kind of file that is known here",
    };
    Err(ReadError::NotAFile { path, kind })
}

fn explain(path: &Path, source: io::Error) -> ReadError {
    let way = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = path.to_owned();
    match source.kind() {
        _ if source.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => ReadError::Loop { path },
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            let missing = Trail::broken_at(&way).unwrap_or_else(|| path.clone());
            ReadError::Missing { path, missing }
        }
        io::ErrorKind::PermissionDenied => ReadError::Permission { path, source },
        _ => ReadError::Io { path, source },
    }
}
