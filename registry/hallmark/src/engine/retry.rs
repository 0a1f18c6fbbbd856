//! When to try again what went wrong.

use std::time::Duration;

use base::UnixSeconds;
use rand::Rng as _;

use crate::config::DeployConfig;

/// Returns the moment of the next try: each pause is twice the last, up to a limit. What will not pass by itself
/// waits for the longest pause at once. Up to a fifth is added by chance, so that a fleet does not come back as one.
pub(super) fn next(config: &DeployConfig, tries: u32, is_final: bool, now: UnixSeconds) -> UnixSeconds {
    let (first, max) = (config.retry_seconds_first.get(), config.retry_seconds_max.get());
    let doubled = first.saturating_mul(1_u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX));
    let seconds = if is_final { max } else { doubled.min(max) };
    let jitter = rand::rng().random_range(0..=seconds / 5);
    now.after(Duration::from_secs(seconds.saturating_add(jitter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let check = |tries, is_final, least: u64| {
            let at = next(&DeployConfig::default(), tries, is_final, UnixSeconds(0)).0;
            assert!((least..=least + least / 5).contains(&at), "{at} after {tries} tries");
        };
        check(1, false, 15);
        check(2, false, 30);
        check(3, false, 60);
        check(20, false, 3600);
        check(200, false, 3600);
        check(1, true, 3600);
    }
}
