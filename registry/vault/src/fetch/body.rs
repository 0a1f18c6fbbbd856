//! Reads one body: never longer than asked, never from a server that is silent or trickles.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Response;

use crate::{
    client::broken,
    fault::{Fault, Shown, SourceError},
    settings::Settings,
};

/// One body as it arrives.
pub(crate) struct Body<'a> {
    response: Response,
    settings: &'a Settings,
    pace: Pace,
}

impl<'a> Body<'a> {
    pub(crate) fn new(response: Response, settings: &'a Settings) -> Self {
        let pace = Pace::new(settings.bytes_per_second_min, settings.slow_time_max);
        Self { response, settings, pace }
    }

    pub(crate) fn shown(&self) -> Shown {
        Shown::of(self.response.url())
    }

    /// Returns the next bytes, or `None` at the end of the body.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let asked = Instant::now();
        let limit = self.settings.idle_time_max;
        let bytes = match tokio::time::timeout(limit, self.response.chunk()).await {
            Ok(Ok(Some(bytes))) => bytes,
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(error)) => return Err(Fault::again(broken(self.response.url(), error))),
            Err(_) => return Err(Fault::again(SourceError::Silent { url: self.shown(), limit })),
        };
        if self.pace.is_slow(asked.elapsed(), bytes.len() as u64) {
            let bytes_per_second_min = self.settings.bytes_per_second_min;
            return Err(Fault::again(SourceError::Slow { url: self.shown(), bytes_per_second_min }));
        }
        Ok(Some(bytes))
    }
}

/// Measures a server by the time we waited for it, so that our own slowness is not held against it.
#[derive(Debug)]
struct Pace {
    bytes_per_second_min: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn new(bytes_per_second_min: u64, window: Duration) -> Self {
        Self { bytes_per_second_min, window, waited: Duration::ZERO, bytes: 0 }
    }

    fn is_slow(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < self.window {
            return false;
        }
        let least = u128::from(self.bytes_per_second_min) * self.waited.as_millis() / 1000;
        let slow = u128::from(self.bytes) < least;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_slow_when_a_whole_window_brought_too_little() {
        let mut pace = Pace::new(1000, Duration::from_secs(10));
        assert!(!pace.is_slow(Duration::from_secs(9), 1));
        assert!(pace.is_slow(Duration::from_secs(1), 1));
        assert!(!pace.is_slow(Duration::from_secs(10), 10_000));
        assert!(!pace.is_slow(Duration::from_secs(9), 0));
        assert!(!pace.is_slow(Duration::from_secs(1), 10_000));
    }
}
