//! One limit for the bandwidth of all downloads together: a token bucket that never holds more than a
//! quarter of a second, so that a pause is not followed by a flood.

use std::{
    num::NonZeroU64,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const BURST: Duration = Duration::from_millis(250);

/// Makes downloads wait so that together they stay under a rate.
#[derive(Debug)]
pub(crate) struct Limit {
    bucket: Option<Mutex<Bucket>>,
    start: Instant,
}

impl Limit {
    /// Allows `bytes_per_second`, or everything.
    pub(crate) fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        Self { bucket: bytes_per_second.map(|it| Mutex::new(Bucket::new(it))), start: Instant::now() }
    }

    /// Returns once `bytes` more may have passed.
    pub(crate) async fn pass(&self, bytes: u64) {
        let Some(bucket) = &self.bucket else { return };
        let pause = bucket.lock().unwrap_or_else(PoisonError::into_inner).take(self.start.elapsed(), bytes);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

/// The sums of the limit, without a clock.
#[derive(Debug)]
struct Bucket {
    bytes_per_second: NonZeroU64,
    /// When all that was taken so far will have been paid for.
    paid_at: Duration,
}

impl Bucket {
    fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, paid_at: Duration::ZERO }
    }

    /// Takes `bytes` at `now` and returns how long to wait before going on.
    fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid_at = self.paid_at.max(now.saturating_sub(BURST)).saturating_add(cost);
        self.paid_at.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn however_bytes_come_they_never_pass_faster_than_the_limit(
            takes in prop::collection::vec((0_u64..1000, 1_u64..100_000), 1..50),
            rate in 1000_u64..1_000_000,
        ) {
            let mut bucket = Bucket::new(rate.try_into().unwrap());
            let (mut now, mut passed) = (Duration::ZERO, 0);
            for (pause, bytes) in takes {
                now += Duration::from_millis(pause);
                now += bucket.take(now, bytes);
                passed += bytes;
                let allowed = (now + BURST).as_nanos() * u128::from(rate) / 1_000_000_000;
                prop_assert!(u128::from(passed) <= allowed + 1, "{passed} bytes after {now:?}");
            }
        }
    }

    #[test]
    fn an_idle_bucket_saves_no_more_than_its_burst() {
        let mut bucket = Bucket::new(1000.try_into().unwrap());
        assert_eq!(bucket.take(Duration::from_hours(1), 250), Duration::ZERO);
        assert_eq!(bucket.take(Duration::from_hours(1), 1000), Duration::from_secs(1));
    }
}
