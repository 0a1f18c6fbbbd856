//! Writes that a crash cannot halve: built under another name, synced, renamed, the folder synced.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Why the store's folder did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The disk, or the service's share of it, is full. Free some space (`hallmark gc`), then try again.
    #[error("{doing} {}: no space left", path.display())]
    Full {
        /// What was to be done, as a verb.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process held the lock for the whole waiting time. Try again later.
    #[error("lock {}: another process has held it for {waited_seconds} seconds", path.display())]
    Busy {
        /// Which lock.
        path: PathBuf,
        /// How long this process waited.
        waited_seconds: u64,
    },
    /// Anything else: rights, a broken disk, a folder that is a file. Tell the operator.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was to be done, as a verb.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DiskError {
    /// Returns what the system said, where it said something.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Full { source, .. } | Self::Io { source, .. } => Some(source),
            Self::Busy { .. } => None,
        }
    }
}

/// Names the verb and the path of an operation that failed.
pub(crate) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskError::Full { doing, path, source },
        _ => DiskError::Io { doing, path, source },
    }
}

/// Writes a whole file so that a reader sees all of it or none. `aside` is a folder on the same file system.
pub(crate) fn write(aside: &Path, path: &Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    let temporary = temporary(aside);
    let written = write_new(&temporary, bytes, mode).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        discard(&temporary);
    }
    written
}

/// Makes a symlink, or points one elsewhere, so that a reader finds the old or the new one and never none.
/// The caller syncs the folder when its links are all there.
pub(crate) fn symlink(aside: &Path, target: &Path, path: &Path) -> Result<(), DiskError> {
    let temporary = temporary(aside);
    std::os::unix::fs::symlink(target, &temporary).map_err(at("make the link", &temporary))?;
    let renamed = fs::rename(&temporary, path).map_err(at("put the link in place at", path));
    if renamed.is_err() {
        discard(&temporary);
    }
    renamed
}

/// Renames and syncs the folder, so that the new name outlives a power cut.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    fs::rename(from, to).map_err(at("rename a finished file to", to))?;
    sync_folder(to.parent().unwrap_or(Path::new("/")))
}

/// Makes a folder and its missing parents with this mode; those that exist stay as they are.
pub(crate) fn folder(path: &Path, mode: u32) -> Result<(), DiskError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        folder(parent, mode)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        // The process's umask may have taken bits that the group needs.
        Ok(()) => {
            fs::set_permissions(path, Permissions::from_mode(mode)).map_err(at("set the rights of", path))?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        Err(error) => return Err(at("make the folder", path)(error)),
    }
    match path.parent().filter(|it| !it.as_os_str().is_empty()) {
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), DiskError> {
    File::open(path).and_then(|it| it.sync_all()).map_err(at("sync the folder", path))
}

/// Removes a file; that it was not there is no error. Says whether it was.
pub(crate) fn remove(path: &Path) -> Result<bool, DiskError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at("remove", path)(error)),
    }
}

/// Returns a name that no other process and no other thread uses.
pub(crate) fn temporary(aside: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    // A process id comes again after a restart, so chance is in the name as well.
    aside.join(format!(".tmp-{}-{next}-{:08x}", std::process::id(), rand::random::<u32>()))
}

/// Takes an exclusive lock on a file that it makes when missing; gives up after `patience`.
pub(crate) fn lock(path: &Path, mode: u32, patience: Duration) -> Result<File, DiskError> {
    let started = Instant::now();
    loop {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(mode).open(path);
        let file = file.map_err(at("open the lock", path))?;
        match file.try_lock() {
            // Others may unlink a lock file that they hold; a lock on a name that is gone protects nothing.
            Ok(()) if same_file(&file, path)? => return Ok(file),
            Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(error)) => return Err(at("lock", path)(error)),
        }
        if started.elapsed() >= patience {
            return Err(DiskError::Busy { path: path.to_owned(), waited_seconds: patience.as_secs() });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says whether the open file is the one that the path names now.
pub(crate) fn same_file(file: &File, path: &Path) -> Result<bool, DiskError> {
    use std::os::unix::fs::MetadataExt as _;
    let held = file.metadata().map_err(at("look at", path))?;
    match fs::metadata(path) {
        Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at("look at", path)(error)),
    }
}

/// Says whether a name is one that [`temporary`] makes.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".tmp-")
}

/// Returns the names in a folder in order, so that no result depends on the file system's order.
pub(crate) fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>, DiskError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at("list", folder)(error)),
    };
    let names = entries.map(|entry| entry.map(|it| it.file_name())).collect::<io::Result<Vec<_>>>();
    let mut names = names.map_err(at("list", folder))?;
    names.sort_unstable();
    Ok(names)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(at("make", path))?;
    file.set_permissions(Permissions::from_mode(mode)).map_err(at("set the rights of", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at("write", path))
}

/// Removes what a failed write left. The failure itself is what the caller hears; gc finds what stays.
fn discard(temporary: &Path) {
    if let Err(error) = fs::remove_file(temporary)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path = %temporary.display(), %error, "A temporary file stays until gc");
    }
}
