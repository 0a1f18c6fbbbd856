//! How many mistakes a client has left: so many at once, and one more every second.

use base::UnixSeconds;

/// A budget that refills with time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    left: u32,
    max: u32,
    at: UnixSeconds,
}

impl Budget {
    pub(super) fn new(max: u32, now: UnixSeconds) -> Self {
        Self { left: max, max, at: now }
    }

    /// Says whether anything is left.
    pub(super) fn has_some(&mut self, now: UnixSeconds) -> bool {
        let seconds = u32::try_from(now.since(self.at).as_secs()).unwrap_or(u32::MAX);
        if seconds > 0 {
            self.left = self.left.saturating_add(seconds).min(self.max);
            self.at = now;
        }
        self.left > 0
    }

    /// Takes one.
    pub(super) fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}
