//! Notes which objects clients read, so that gc sees their use.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base::Sha256;
use tokio::{task::spawn_blocking, time::Instant};
use vault::Shelf;

/// One object's use is written down no more often than that.
const NOTED_EVERY: Duration = Duration::from_mins(1);
/// How many uses are remembered; beyond that some are written down more often.
const REMEMBERED_MAX: usize = 4096;

/// The uses of the last minute.
#[derive(Debug, Default)]
pub(super) struct Uses {
    noted: Mutex<BTreeMap<Sha256, Instant>>,
}

impl Uses {
    /// Writes down that an object is in use, unless that was done a moment ago.
    pub(super) fn note(&self, objects: &Shelf, digest: Sha256) {
        if !self.is_due(digest, Instant::now()) {
            return;
        }
        let objects = objects.clone();
        // Nobody waits for it.
        drop(spawn_blocking(move || {
            if let Err(error) = objects.lease(&digest) {
                tracing::warn!("The use of {digest} was not noted: {}", crate::host::with_causes(&error));
            }
        }));
    }

    fn is_due(&self, digest: Sha256, now: Instant) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |at: &Instant| now.duration_since(*at) < NOTED_EVERY;
        if noted.get(&digest).is_some_and(is_fresh) {
            return false;
        }
        if noted.len() >= REMEMBERED_MAX {
            noted.retain(|_, at| is_fresh(at));
        }
        if noted.len() >= REMEMBERED_MAX {
            noted.clear();
        }
        noted.insert(digest, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_due_once_a_minute_and_memory_stays_bounded() {
        let (uses, start) = (Uses::default(), Instant::now());
        let digest = |it: usize| Sha256::of(&it.to_le_bytes());
        assert!(uses.is_due(digest(0), start));
        assert!(!uses.is_due(digest(0), start + NOTED_EVERY / 2));
        assert!(uses.is_due(digest(0), start + NOTED_EVERY));
        for it in 0..2 * REMEMBERED_MAX {
            uses.is_due(digest(it), start + NOTED_EVERY);
        }
        assert!(uses.noted.lock().unwrap().len() <= REMEMBERED_MAX);
    }
}
