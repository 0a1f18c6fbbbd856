//! A bound on bytes a second over several threads.

use std::{
    num::NonZeroU64,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How far ahead of its rate a scrub may be, so that it does not sleep after every buffer.
const BURST: Duration = Duration::from_millis(50);

pub(super) struct Pacer {
    bytes_per_second: Option<NonZeroU64>,
    /// When all that was read so far would have been read at the rate.
    due: Mutex<Instant>,
}

impl Pacer {
    pub(super) fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        Self { bytes_per_second, due: Mutex::new(Instant::now()) }
    }

    /// Books bytes that were read, and waits until the rate allows more.
    pub(super) fn spent(&self, bytes: u64) {
        let Some(rate) = self.bytes_per_second else { return };
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(rate.get());
        let takes = Duration::from_nanos(nanoseconds.try_into().unwrap_or(u64::MAX));
        let due = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            // Time in which nobody read is not saved up.
            *due = (*due).max(Instant::now()) + takes;
            *due
        };
        let ahead = due.saturating_duration_since(Instant::now());
        std::thread::sleep(ahead.saturating_sub(BURST));
    }
}
