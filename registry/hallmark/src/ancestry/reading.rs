//! Reading what the log had before the graph was there, while the daemon serves already.
//!
//! - A step at a time, out of the log's file: whoever drives the steps may stop behind each, and nothing is kept for
//!   later. What comes into the log meanwhile is read in its turn.
//! - The last step and the first event that is given to the graph as it comes meet at one place: each event of the log
//!   is taken once, none is left out.
//! - Until then nobody gets an answer, since it would be one about another log.

use std::sync::{Arc, MutexGuard, PoisonError, atomic::Ordering};

use super::{Ancestry, NotWhole};
use ledger::{Log, StoreError};

/// How many events are read in one step: a hundredth of a second. Tests have short steps, to see several.
const STEP_EVENTS: u64 = if cfg!(test) { 4 } else { 1024 };
/// Logs of up to so many events are read before anything else is done.
const AT_ONCE_EVENTS_MAX: u64 = if cfg!(test) { 4 } else { 2048 };

/// Whether all is in the graph that the log had at the start.
#[derive(Debug, Default)]
pub(super) struct Reading {
    is_over: bool,
    /// Before which place events came while the log was being read: they are read as well.
    passed: u64,
    /// Why the last step came to nothing, if it did.
    trouble: Option<String>,
}

/// How far the log was read for the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How many events were read.
    pub(crate) read: u64,
    /// How many the log has.
    pub(crate) events: u64,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} of {} events read", self.read, self.events)
    }
}

/// Why a step came to nothing.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("the event log is closed")]
    Closed,
    #[error("read the event log")]
    Store(#[from] StoreError),
    #[error("event {0} is missing in the log")]
    Missing(u64),
}

impl Ancestry {
    /// Names the log that it follows. One that is small is read now; for others see [`Ancestry::read_on`].
    pub(crate) fn follow(&self, log: &Arc<Log>) {
        // A second log would be another daemon's.
        let _ = self.log.set(Arc::downgrade(log));
        if log.head().0 <= AT_ONCE_EVENTS_MAX {
            // What cannot be read is told by whoever tries it again.
            while self.read_on().is_ok_and(|is_over| !is_over) {}
        }
    }

    /// Reads the next events of the log. Says whether that were all; after an error it goes on where it was.
    pub(crate) fn read_on(&self) -> Result<bool, NotWhole> {
        if self.reading().is_over {
            return Ok(true);
        }
        match self.step() {
            Ok(is_over) => {
                self.reading().trouble = None;
                Ok(is_over)
            }
            Err(error) => Err(self.stumble(crate::host::with_causes(&error))),
        }
    }

    /// Notes that the log could not be read on, and why.
    pub(crate) fn stumble(&self, why: String) -> NotWhole {
        self.reading().trouble = Some(why.clone());
        NotWhole::Unreadable { at: self.size.load(Ordering::Acquire), why }
    }

    /// Says why there is no answer, as long as the log is being read.
    pub(crate) fn check_read(&self) -> Result<(), NotWhole> {
        let reading = self.reading();
        if reading.is_over {
            return Ok(());
        }
        let at = self.size.load(Ordering::Acquire);
        Err(match &reading.trouble {
            Some(why) => NotWhole::Unreadable { at, why: why.clone() },
            None => NotWhole::BeingRead(self.progress()),
        })
    }

    /// Says why there is no answer, as long as there is none.
    pub(crate) fn check_whole(&self) -> Result<(), NotWhole> {
        self.check_read()?;
        self.check_room()
    }

    /// Returns how far the log was read.
    pub(crate) fn progress(&self) -> Progress {
        let read = self.size.load(Ordering::Acquire);
        Progress { read, events: self.log().map_or(read, |it| it.head().0.max(read)) }
    }

    /// Says whether an event that came is none of the graph's business, because it is still to be read.
    pub(super) fn comes_by_reading(&self, seq: u64) -> bool {
        let mut reading = self.reading();
        if !reading.is_over {
            reading.passed = seq + 1;
        }
        !reading.is_over
    }

    fn step(&self) -> Result<bool, StepError> {
        let log = self.log().ok_or(StepError::Closed)?;
        let (from, head) = (self.size.load(Ordering::Acquire), log.head().0);
        let until = head.min(from + STEP_EVENTS);
        let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
        log.range(from, until, |stored| {
            let accepted = stored.event()?;
            let seq = accepted.at.seq;
            if seq == self.size.load(Ordering::Acquire) {
                self.cards.write().unwrap_or_else(PoisonError::into_inner).take(&accepted);
                self.push(&mut graph, &accepted.event, seq);
                self.size.store(seq + 1, Ordering::Release);
            }
            Ok(())
        })?;
        let taken = self.size.load(Ordering::Acquire);
        if taken < until {
            return Err(StepError::Missing(taken));
        }
        if until < head {
            return Ok(false);
        }
        graph.settle();
        let mut reading = self.reading();
        // What was passed over since the log was asked for its size has a place behind that.
        reading.is_over = reading.passed <= taken;
        if reading.is_over {
            tracing::info!(
                "The lineage graph has all {taken} events of the log, in {} bytes",
                graph.memory_bytes()
            );
        }
        Ok(reading.is_over)
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
