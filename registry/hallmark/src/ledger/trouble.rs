//! What an operator is told when the log cannot be written: by far most often, its disk is full.
//!
//! Writing may fail with every event that comes, or with every other one. So it is said when it begins, at most once a
//! minute, and once that it is over.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ledger::StoreError;

use crate::host::with_causes;

/// How long after one word on it there is no other.
const QUIET: Duration = Duration::from_mins(1);

/// What was said of it.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    /// Whether the last word was that writing fails.
    is_failing: bool,
    /// When that was said last.
    at: Option<Instant>,
}

impl Trouble {
    /// Takes that a write has failed.
    pub(super) fn fails(&self, error: &StoreError) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).fails(Instant::now()) {
            tracing::error!(
                "Nothing can be written down: {}. What comes is refused and may be sent again; make room, or look \
                 after the disk, and it goes on by itself",
                with_causes(error)
            );
        }
    }

    /// Takes that a write has succeeded after one failed.
    pub(super) fn goes_on(&self) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).goes_on() {
            tracing::info!("The event log is written again");
        }
    }
}

impl Said {
    /// Says whether it is to be said that writing fails.
    fn fails(&mut self, now: Instant) -> bool {
        if self.at.is_some_and(|it| now.saturating_duration_since(it) < QUIET) {
            return false;
        }
        *self = Self { is_failing: true, at: Some(now) };
        true
    }

    /// Says whether it is to be said that writing goes on.
    fn goes_on(&mut self) -> bool {
        std::mem::take(&mut self.is_failing)
    }
}

/// Says why the log cannot be written, without where it is: anybody may ask that.
pub(super) fn why(error: &StoreError) -> String {
    // The first names the file, and has a cause if that is not all.
    let cause = error.source().map_or_else(|| "its file is damaged".to_owned(), ToString::to_string);
    format!("nothing can be written down ({cause}): what comes is refused until it can")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_when_it_begins_and_when_it_is_over_and_not_with_every_event() {
        let (mut said, begin) = (Said::default(), Instant::now());
        assert!(!said.goes_on(), "nothing was wrong");
        assert!(said.fails(begin) && !said.fails(begin) && !said.fails(begin + QUIET / 2));
        assert!(said.goes_on() && !said.goes_on());
        assert!(!said.fails(begin + QUIET / 2), "a disk that is full for one and not for the other");
        assert!(!said.goes_on(), "who was not told of trouble is not told of its end");
        assert!(said.fails(begin + QUIET), "what lasts is said again");
        assert!(said.fails(begin + 2 * QUIET) && said.goes_on());
    }
}
