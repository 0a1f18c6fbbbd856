//! How often one client may ask.
//!
//! A client is an address, over IPv6 a network of 64 bits: whoever has one address there has them all.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _};

use crate::config::HttpConfig;

/// How many requests a second another machine may make, unless it is set.
const USUAL: NonZeroU32 = NonZeroU32::new(2_000).unwrap();
/// After so many requests, clients that have been quiet are forgotten: there are never many more than that.
const FORGET_EVERY: u64 = 4_096;

pub(super) struct Rate {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    /// Whether clients on this machine are limited too.
    at_home_too: bool,
    per_second: NonZeroU32,
    asked: AtomicU64,
}

impl Rate {
    pub(super) fn new(settings: &HttpConfig) -> Self {
        let per_second = settings.client_requests_per_second.unwrap_or(USUAL);
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(per_second)),
            at_home_too: settings.client_requests_per_second.is_some(),
            per_second,
            asked: AtomicU64::new(0),
        }
    }

    /// Lets a request through, or says how long to wait.
    pub(super) fn take(&self, client: IpAddr) -> Result<(), Duration> {
        if client.is_loopback() && !self.at_home_too {
            return Ok(());
        }
        if self.asked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let taken = self.limiter.check_key(&network(client));
        taken.map_err(|early| early.wait_time_from(self.limiter.clock().now()))
    }

    pub(super) fn per_second(&self) -> u32 {
        self.per_second.get()
    }
}

fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(it) => Ipv6Addr::from_bits(it.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_slowed_down_and_its_neighbour_is_not() {
        let settings = HttpConfig { client_requests_per_second: NonZeroU32::new(2), ..HttpConfig::default() };
        let rate = Rate::new(&settings);
        let check = |text: &str, expected: bool| {
            let taken = rate.take(text.parse().unwrap());
            assert_eq!(taken.is_ok(), expected, "{text}: {taken:?}");
        };
        check("2001:db8::1", true);
        check("2001:db8::2", true);
        check("2001:db8::3", false);
        check("2001:db8:0:1::3", true);
        check("127.0.0.1", true);
        check("127.0.0.1", true);
        check("127.0.0.1", false);
    }

    #[test]
    fn this_machine_is_limited_only_if_that_is_set_and_quiet_clients_are_forgotten() {
        let rate = Rate::new(&HttpConfig::default());
        for _ in 0..10_000 {
            assert!(rate.take("127.0.0.1".parse().unwrap()).is_ok());
        }
        for number in 0..100_000_u32 {
            assert!(rate.take(std::net::Ipv4Addr::from_bits(number << 8 | 1).into()).is_ok());
        }
        assert!(rate.limiter.len() < 20_000, "{}", rate.limiter.len());
    }
}
