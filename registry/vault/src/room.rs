//! How much room a folder's file system has left.

use std::{io, path::Path};

/// Tells how much may still be written. A test brings a small one.
pub trait Room: Send + Sync {
    /// Returns how many bytes an ordinary user may still write under `folder`, which exists.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// The file system's own answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskRoom;

impl Room for DiskRoom {
    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
