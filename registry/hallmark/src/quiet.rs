//! Saying what is wrong, and not saying it again with everything that it spoils.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long after one word there is no other.
const QUIET: Duration = Duration::from_mins(1);

/// Lets something be said at most once a minute.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<Option<Instant>>);

impl Quiet {
    /// Says whether it may be said now; it counts as said then.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }

    fn is_over_at(&self, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = said.is_none_or(|it| now.saturating_duration_since(it) >= QUIET);
        if is_over {
            *said = Some(now);
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_once_a_minute() {
        let (quiet, begin) = (Quiet::default(), Instant::now());
        assert!(quiet.is_over_at(begin));
        assert!(!quiet.is_over_at(begin) && !quiet.is_over_at(begin + QUIET / 2));
        assert!(quiet.is_over_at(begin + QUIET), "what is not said does not count");
        assert!(!quiet.is_over_at(begin + QUIET * 3 / 2));
    }
}
