//! Which page of a relay's events to ask for next, from the newest to the oldest. Pure.
//!
//! - Relays show fewer events than they are asked for as they please, so a short page says nothing: only an empty one
//!   is the end.
//! - Every page begins before the one before it, so there is an end.

use base::UnixSeconds;
use serde_json::{Value, json};

/// A way through the pages.
#[derive(Debug)]
pub(super) struct Pages {
    since: Option<UnixSeconds>,
    until: Option<UnixSeconds>,
}

impl Pages {
    /// Begins with the newest page; what is older than `since` is not asked for.
    pub(super) fn since(since: Option<UnixSeconds>) -> Self {
        Self { since, until: None }
    }

    /// Returns the filter that asks for this page.
    pub(super) fn filter(&self, limit: usize) -> Value {
        let mut filter = json!({ "limit": limit });
        for (name, at) in [("since", self.since), ("until", self.until)] {
            if let Some(at) = at {
                filter[name] = json!(at.0);
            }
        }
        filter
    }

    /// Turns to the next page, given the dates on this one. Says whether there may be one.
    pub(super) fn turn(&mut self, dates: impl Iterator<Item = UnixSeconds>) -> bool {
        let Some(oldest) = dates.min() else { return false };
        let until = match self.until {
            // The second at the page's end may have more events. One that fills a page alone is left behind.
            Some(until) if oldest >= until => until.0.checked_sub(1).map(UnixSeconds),
            _ => Some(oldest),
        };
        self.until = until;
        until.is_some_and(|it| self.since.is_none_or(|since| it >= since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(since: Option<u64>, pages: &[(&[u64], Option<u64>)]) {
        let mut way = Pages::since(since.map(UnixSeconds));
        for (dates, expected) in pages {
            let goes_on = way.turn(dates.iter().copied().map(UnixSeconds));
            assert_eq!(goes_on.then(|| way.filter(5)["until"].as_u64().unwrap()), *expected, "{dates:?}");
        }
    }

    #[test]
    fn pages_go_back_until_one_is_empty() {
        check(None, &[(&[], None)]);
        check(None, &[(&[9, 8, 7], Some(7)), (&[7, 6], Some(6)), (&[6], Some(5)), (&[], None)]);
        // A second with more events than a page has is left behind, and a page that does not go back ends nothing.
        check(None, &[(&[7, 7], Some(7)), (&[7, 7], Some(6)), (&[9, 9], Some(5))]);
        check(None, &[(&[0], Some(0)), (&[0], None)]);
    }

    #[test]
    fn what_is_older_than_asked_for_ends_it() {
        check(Some(6), &[(&[9, 8], Some(8)), (&[8], Some(7)), (&[6], Some(6)), (&[6], None)]);
        check(Some(6), &[(&[9, 3], None)]);
        assert_eq!(Pages::since(Some(UnixSeconds(6))).filter(5), json!({ "limit": 5, "since": 6 }));
        assert_eq!(Pages::since(None).filter(5), json!({ "limit": 5 }));
    }
}
