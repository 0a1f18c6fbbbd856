//! Leases: an object that somebody reads is not collected.
//!
//! A lease is a shared file lock on `leases/<hex>`; gc drops an object only while it holds that lock alone. The
//! kernel gives a lock back when its process ends, however it ends, so no lease outlives a crash. The time of
//! that file is the object's last use.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base::{Sha256, UnixSeconds};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use crate::{
    DiskError, Shelf,
    durable::{at, same_file},
};

/// A lease loses to gc once at most, unless something else keeps removing these files.
const TRIES_MAX: usize = 100;

/// Keeps an object from gc until it is dropped.
#[derive(Debug)]
pub struct Lease {
    lock: File,
}

/// Holds an object for its removal: no lease exists and none can be made.
#[derive(Debug)]
pub(crate) struct Eviction {
    _lock: File,
    path: PathBuf,
    is_new: bool,
}

impl Shelf {
    /// Takes a lease and notes the use. Look for the object afterwards: gc may have been first.
    pub fn lease(&self, digest: &Sha256) -> Result<Lease, DiskError> {
        let (lease, _) = self.share(digest)?;
        mark_used(&lease.lock).map_err(at("note the use in", &self.lease_path(digest)))?;
        Ok(lease)
    }

    /// Takes a lease that is no use: who looks after all objects would else keep them all for ever.
    pub(crate) fn lease_quietly(&self, digest: &Sha256) -> Result<Lease, DiskError> {
        let (lease, is_new) = self.share(digest)?;
        if is_new {
            let never = lease.lock.set_modified(std::time::UNIX_EPOCH);
            never.map_err(at("set the time of", &self.lease_path(digest)))?;
        }
        Ok(lease)
    }

    /// Locks an object with other readers. Says whether it never had a lease before.
    fn share(&self, digest: &Sha256) -> Result<(Lease, bool), DiskError> {
        let path = self.lease_path(digest);
        for _ in 0..TRIES_MAX {
            let (file, is_new) = open_or_make(&path)?;
            // This waits only while gc removes this one object, which takes no longer than an unlink.
            file.lock_shared().map_err(at("lock", &path))?;
            if same_file(&file, &path)? {
                return Ok((Lease { lock: file }, is_new));
            }
        }
        Err(DiskError::Busy { path, waited_seconds: 0 })
    }

    /// Says whether anybody holds a lease now.
    pub fn is_leased(&self, digest: &Sha256) -> Result<bool, DiskError> {
        let path = self.lease_path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(at("open the lease", &path)(error)),
        };
        match file.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(at("lock", &path)(error)),
        }
    }

    /// Returns when a lease was last taken, or `None` if never.
    pub fn last_lease(&self, digest: &Sha256) -> Result<Option<UnixSeconds>, DiskError> {
        last_use(&self.lease_path(digest))
    }

    /// Locks an object against every reader, or returns `None` if one has it.
    pub(crate) fn evict(&self, digest: &Sha256) -> Result<Option<Eviction>, DiskError> {
        let path = self.lease_path(digest);
        // A file that this call makes says nothing about a use.
        let (file, is_new) = open_or_make(&path)?;
        match file.try_lock() {
            Ok(()) if same_file(&file, &path)? => Ok(Some(Eviction { _lock: file, path, is_new })),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(at("lock", &path)(error)),
        }
    }
}

impl Eviction {
    /// Returns when a lease was last taken, or `None` if never.
    pub(crate) fn last_lease(&self) -> Result<Option<UnixSeconds>, DiskError> {
        if self.is_new { Ok(None) } else { last_use(&self.path) }
    }

    /// Gives the object back to its readers.
    pub(crate) fn give_back(self) -> Result<(), DiskError> {
        if self.is_new { self.forget() } else { Ok(()) }
    }

    /// Forgets the last use of an object that is gone.
    pub(crate) fn forget(self) -> Result<(), DiskError> {
        crate::durable::remove(&self.path).map(drop)
    }
}

const NOW: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
};

/// Sets a file's time to now, by the file system's own clock.
pub(crate) fn mark_used(file: &File) -> io::Result<()> {
    rustix::fs::futimens(file, &NOW).map_err(Into::into)
}

fn last_use(path: &Path) -> Result<Option<UnixSeconds>, DiskError> {
    match std::fs::metadata(path) {
        Ok(it) => Ok(Some(UnixSeconds(it.mtime().try_into().unwrap_or(0)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("look at the lease", path)(error)),
    }
}

/// Opens a lease's file. Says whether this call made it.
fn open_or_make(path: &Path) -> Result<(File, bool), DiskError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o640);
    match options.clone().create_new(true).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = options.create(true).truncate(false).open(path).map_err(at("open the lease", path))?;
            Ok((file, false))
        }
        Err(error) => Err(at("make the lease", path)(error)),
    }
}
