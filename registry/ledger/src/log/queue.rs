//! What waits for the writer, and how long the writer waits for more of it.
//!
//! A commit costs about as much for one event as for a hundred. A log that is busy waits a moment for those that are on
//! their way, and one that is not waits for nobody.

use std::{
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use super::{Coming, Job};

/// From how many events in the last batch on a log is busy.
const BUSY: usize = 64;
/// A batch of so many is worth a commit, whoever else may come.
const WORTH: usize = 512;
/// How long it is waited for them, from the first on.
const LINGER: Duration = if cfg!(test) { Duration::from_mins(5) } else { Duration::from_millis(3) };

/// The jobs of the writer, in order.
pub(super) struct Queue {
    jobs: Receiver<Job>,
    coming: Coming,
    /// How many events the last batch had.
    last: usize,
    /// Until when the batch that has begun is waited for.
    until: Option<Instant>,
}

impl Queue {
    pub(super) fn new(jobs: Receiver<Job>, coming: Coming) -> Self {
        Self { jobs, coming, last: 0, until: None }
    }

    /// Waits for the first job of a batch; `None` once nobody can ask for anything any more.
    pub(super) fn first(&mut self) -> Option<Job> {
        let first = self.jobs.recv().ok()?;
        self.until = (self.last >= BUSY).then(|| Instant::now() + LINGER);
        Some(first)
    }

    /// Returns one more for a batch that has so many events; `None` if it should be written.
    pub(super) fn next(&self, events: usize) -> Option<Job> {
        let here = self.jobs.try_recv().ok();
        let until = self.until.filter(|_| here.is_none() && events < WORTH && self.coming.is_somebody());
        match until {
            Some(until) => self.jobs.recv_timeout(until.saturating_duration_since(Instant::now())).ok(),
            None => here,
        }
    }

    /// Notes how many events a batch had.
    pub(super) fn wrote(&mut self, events: usize) {
        self.last = events;
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::sync_channel, thread};

    use super::*;

    fn job() -> Job {
        Job::Write(Box::new(|_| ()))
    }

    #[test]
    fn only_a_busy_log_waits_and_only_for_somebody() {
        let (jobs, receiver) = sync_channel(8);
        let coming = Coming::default();
        // The log's own, which counts for nobody.
        let _log = coming.clone();
        let mut queue = Queue::new(receiver, coming.clone());
        let begin = |queue: &mut Queue| {
            jobs.send(job()).unwrap();
            assert!(queue.first().is_some());
        };
        drop(coming);
        let expected = queue.coming.clone();
        begin(&mut queue);
        assert!(queue.next(1).is_none(), "it was not busy");
        queue.wrote(BUSY);
        begin(&mut queue);
        assert!(queue.next(WORTH).is_none(), "there is enough to write");
        jobs.send(job()).unwrap();
        assert!(queue.next(WORTH).is_some(), "what is here is taken along");
        thread::scope(|scope| {
            scope.spawn(|| jobs.send(job()).unwrap());
            assert!(queue.next(1).is_some(), "somebody was on the way");
        });
        drop(expected);
        assert!(queue.next(1).is_none(), "nobody is on the way");
        drop(jobs);
        assert!(queue.first().is_none());
    }
}
