//! What a download tells those who watch it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What a download is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Asking a source what it has and where.
    Resolving {
        /// Which source.
        source: String,
    },
    /// Bytes arrive.
    Fetching {
        /// From which source.
        source: String,
    },
    /// Nothing happens for a while, and why.
    Waiting {
        /// For how long from now.
        pause: Duration,
        /// What is waited for.
        why: String,
    },
    /// All bytes are here; the last of them are being hashed and synced.
    Verifying,
}

/// Watches a download. Both calls must return at once: they are made from the path of the bytes.
pub trait Progress: Send + Sync {
    /// Takes note of what the download does now.
    fn phase(&self, phase: &Phase) {
        let _ = phase;
    }

    /// Takes note of how many bytes of the file are on disk. Falls when a download starts anew.
    fn reached(&self, bytes: u64) {
        let _ = bytes;
    }
}

/// Watches nothing.
impl Progress for () {}

/// Keeps only the last count, for whoever polls it.
#[derive(Debug, Default)]
pub struct Meter(AtomicU64);

impl Meter {
    /// Returns how many bytes are on disk.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Progress for Meter {
    fn reached(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}
