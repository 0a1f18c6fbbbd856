//! What is counted for as long as it is there.

use prometheus_client::metrics::gauge::Gauge;

/// Something that is counted while it is there.
#[derive(Debug)]
pub(crate) struct Present(Gauge);

impl Present {
    pub(super) fn of(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A client of the relay that is counted while it is there, with its subscriptions.
#[derive(Debug)]
pub(crate) struct Seated {
    _present: Present,
    subscriptions: Held,
}

impl Seated {
    pub(super) fn of(sessions: &Gauge, subscriptions: &Gauge) -> Self {
        let subscriptions = Held { gauge: subscriptions.clone(), count: 0 };
        Self { _present: Present::of(sessions), subscriptions }
    }

    /// Says how many subscriptions it has now.
    pub(crate) fn holds(&mut self, subscriptions: usize) {
        self.subscriptions.set(i64::try_from(subscriptions).unwrap_or(i64::MAX));
    }
}

/// A share of a gauge, given back at the end.
#[derive(Debug)]
struct Held {
    gauge: Gauge,
    count: i64,
}

impl Held {
    fn set(&mut self, count: i64) {
        self.gauge.inc_by(count - self.count);
        self.count = count;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}
