//! What can be done for an event before the writer sees it: by any thread, for many events at once.

use std::{num::NonZero, panic, thread};

use super::era::Indexed;
use crate::event::{Claimed, Leniency, Limits, ParseError, Signed, VerifyError};

/// An event with all that follows from it alone, ready for the writer.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) event: Signed,
    pub(super) json: Box<str>,
    pub(super) indexed: Indexed,
}

/// Why a text is not a fact.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// It is no event.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It is one, and its author did not sign it.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl From<Signed> for Prepared {
    fn from(event: Signed) -> Self {
        Self { json: event.to_json().into(), indexed: Indexed::of(&event), event }
    }
}

impl Prepared {
    /// Returns the event.
    pub fn event(&self) -> &Signed {
        &self.event
    }

    /// Returns how many bytes it has as a text.
    pub fn bytes(&self) -> usize {
        self.json.len()
    }

    /// Reads and verifies one event.
    pub fn verify(json: &str, limits: &Limits, leniency: Leniency) -> Result<Self, ClaimError> {
        Ok(Self::of(Claimed::parse(json, limits)?, leniency)?)
    }

    /// Verifies one event that was read.
    pub fn of(claimed: Claimed, leniency: Leniency) -> Result<Self, VerifyError> {
        let (event, serialized) = claimed.prove(leniency)?;
        Ok(Self { json: serialized.event_json(&event).into(), indexed: Indexed::of(&event), event })
    }
}

/// Reads and verifies many events on all cores, and returns what became of each, in order.
pub fn verify_batch<T: AsRef<str> + Sync>(
    events: &[T],
    limits: &Limits,
    leniency: Leniency,
) -> Vec<Result<Prepared, ClaimError>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = events.len().div_ceil(cores).max(1);
    let verify = |it: &T| Prepared::verify(it.as_ref(), limits, leniency);
    thread::scope(|scope| {
        let parts: Vec<_> = events
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(verify).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|it| it.join().unwrap_or_else(|it| panic::resume_unwind(it))).collect()
    })
}
