//! Time as an input: pure code takes a [`UnixSeconds`], the edge asks a [`Clock`].

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// Returns how long ago `earlier` was, or nothing at all if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// Returns the moment `duration` later, the last one there is if that is too far.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// Returns the moment `duration` earlier, 1970 if that is too far.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Tells the time. A test brings one that stands still.
pub trait Clock: Send + Sync {
    /// Returns the present second.
    fn now(&self) -> UnixSeconds;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn now(&self) -> UnixSeconds {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A machine whose clock stands before 1970 has no better answer than its first second.
        UnixSeconds(since_1970.unwrap_or_default().as_secs())
    }
}

/// A clock that stands still until it is moved.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug, Default)]
pub struct HandClock(std::sync::atomic::AtomicU64);

#[cfg(any(test, feature = "testing"))]
impl HandClock {
    /// Starts at `now`.
    pub fn at(now: UnixSeconds) -> Self {
        Self(now.0.into())
    }

    /// Moves the hand forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for HandClock {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_moves_only_by_hand_and_differences_never_wrap() {
        let clock = HandClock::at(UnixSeconds(100));
        let start = clock.now();
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now().since(start), Duration::from_secs(5));
        assert_eq!(start.since(clock.now()), Duration::ZERO);
        assert_eq!(start.before(Duration::from_secs(200)), UnixSeconds(0));
        assert_eq!(UnixSeconds(u64::MAX).after(Duration::MAX), UnixSeconds(u64::MAX));
        assert!(SystemClock.now() > UnixSeconds(1_700_000_000));
    }
}
