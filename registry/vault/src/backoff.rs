//! When to try again: capped exponential pauses with full jitter, counted for each host, and never before a
//! server that asked for a pause wants to be asked again.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base::{Clock, UnixSeconds};

/// More hosts than any catalog names; beyond it the oldest lesson is worth no memory.
const HOSTS_MAX: usize = 1024;

/// Passes the time and throws the dice. A test brings one that does neither.
pub trait Pause: Send + Sync {
    /// Returns after `duration`.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Returns a number from 0 up to, not including, 1.
    fn chance(&self) -> f64;
}

/// Real time and real dice.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealPause;

impl Pause for RealPause {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn chance(&self) -> f64 {
        rand::random()
    }
}

/// What is known about the moods of hosts.
pub(crate) struct Hosts {
    known: Mutex<HashMap<String, Host>>,
    clock: Arc<dyn Clock>,
    pause: Arc<dyn Pause>,
    first: Duration,
    longest: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    failures: u32,
    closed_until: UnixSeconds,
}

impl Hosts {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        pause: Arc<dyn Pause>,
        first: Duration,
        longest: Duration,
    ) -> Self {
        Self { known: Mutex::default(), clock, pause, first, longest }
    }

    /// Returns for how long the host still wants to be left alone.
    pub(crate) fn closed_for(&self, host: &str) -> Duration {
        let until = self.known().get(host).map_or(UnixSeconds(0), |it| it.closed_until);
        until.since(self.clock.now())
    }

    /// Notes a failure and returns how long to wait before the next try.
    pub(crate) fn failed(&self, host: &str, asked: Option<Duration>) -> Duration {
        let now = self.clock.now();
        let mut known = self.known();
        if known.len() >= HOSTS_MAX && !known.contains_key(host) {
            known.clear();
        }
        let it = known.entry(host.to_owned()).or_default();
        it.failures = it.failures.saturating_add(1);
        let Some(asked) = asked else {
            return ceiling(self.first, self.longest, it.failures).mul_f64(self.pause.chance());
        };
        it.closed_until = it.closed_until.max(now.after(asked));
        // Those who were told the same moment do not all come back in it.
        asked + self.first.mul_f64(self.pause.chance())
    }

    /// Notes that the host answers again.
    pub(crate) fn worked(&self, host: &str) {
        if let Some(it) = self.known().get_mut(host) {
            it.failures = 0;
        }
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        self.pause.sleep(duration).await;
    }

    /// Returns the present second.
    pub(crate) fn now(&self) -> UnixSeconds {
        self.clock.now()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the longest pause after so many failures: doubled each time, up to a cap.
fn ceiling(first: Duration, longest: Duration, failures: u32) -> Duration {
    let doubled = 2_u32.checked_pow(failures.saturating_sub(1)).and_then(|it| first.checked_mul(it));
    doubled.unwrap_or(longest).min(longest)
}

#[cfg(test)]
mod tests {
    use base::time::HandClock;

    use super::*;

    struct Loaded(f64);

    impl Pause for Loaded {
        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::ready(()))
        }

        fn chance(&self) -> f64 {
            self.0
        }
    }

    fn hosts(chance: f64) -> (Hosts, Arc<HandClock>) {
        let clock = Arc::new(HandClock::at(UnixSeconds(1000)));
        let (first, longest) = (Duration::from_millis(500), Duration::from_mins(1));
        (Hosts::new(Arc::clone(&clock) as _, Arc::new(Loaded(chance)), first, longest), clock)
    }

    #[test]
    fn pauses_double_up_to_a_cap_and_jitter_takes_any_share_of_them() {
        for (chance, share) in [(0.0, 0.0), (0.5, 0.5), (0.999, 0.999)] {
            let (hosts, _) = hosts(chance);
            for ceiling_ms in [500.0, 1000.0, 2000.0, 4000.0] {
                let pause = hosts.failed("hub", None);
                assert!((pause.as_secs_f64() * 1000.0 - ceiling_ms * share).abs() < 0.01, "{pause:?}");
            }
            (0..100).for_each(|_| assert!(hosts.failed("hub", None) <= Duration::from_mins(1)));
        }
    }

    #[test]
    fn a_host_that_asked_for_a_pause_stays_closed_for_everybody_until_it_is_over() {
        let (hosts, clock) = hosts(0.0);
        assert_eq!(hosts.failed("hub", Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(hosts.closed_for("hub"), Duration::from_secs(30));
        assert_eq!(hosts.closed_for("other"), Duration::ZERO);
        clock.advance(Duration::from_secs(29));
        assert_eq!(hosts.closed_for("hub"), Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(hosts.closed_for("hub"), Duration::ZERO);
    }

    #[test]
    fn a_host_that_answers_again_is_forgiven() {
        let (hosts, _) = hosts(0.5);
        for _ in 0..5 {
            hosts.failed("hub", None);
        }
        hosts.worked("hub");
        assert_eq!(hosts.failed("hub", None), Duration::from_millis(250));
    }
}
