//! What can be done for an event before the writer sees it: by any thread, for many events at once.

use std::{num::NonZero, panic, thread};

use super::era::Indexed;
use crate::event::{Claimed, Leniency, Limits, ParseError, Serialized, Signed, TOGETHER_MAX, VerifyError};

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
        Ok(Self::with(Claimed::parse(json, limits)?.prove(leniency)?))
    }

    /// Verifies many events that were read, in order: their signatures together.
    pub fn of_all(claimed: Vec<Claimed>, leniency: Leniency) -> Vec<Result<Self, VerifyError>> {
        Claimed::prove_all(claimed, leniency).into_iter().map(|it| it.map(Self::with)).collect()
    }

    fn with((event, serialized): (Signed, Serialized)) -> Self {
        Self { json: serialized.event_json(&event).into(), indexed: Indexed::of(&event), event }
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
    let verify = |it: &[T]| {
        it.chunks(TOGETHER_MAX).flat_map(|it| verify_part(it, limits, leniency)).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let parts: Vec<_> = events.chunks(share).map(|part| scope.spawn(move || verify(part))).collect();
        parts.into_iter().flat_map(|it| it.join().unwrap_or_else(|it| panic::resume_unwind(it))).collect()
    })
}

fn verify_part<T: AsRef<str>>(
    events: &[T],
    limits: &Limits,
    leniency: Leniency,
) -> impl Iterator<Item = Result<Prepared, ClaimError>> {
    let parsed = events.iter().map(|it| Claimed::parse(it.as_ref(), limits));
    let (mut claimed, mut broken) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
    for it in parsed {
        broken.push(it.map(|it| claimed.push(it)).err());
    }
    let mut verified = Prepared::of_all(claimed, leniency).into_iter();
    broken.into_iter().map(move |it| match it {
        Some(error) => Err(error.into()),
        None => Ok(verified.next().expect("each that was read was verified")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::Scheme,
        key::SecretKey,
        kinds::{Operation, Post},
    };

    #[test]
    fn many_texts_are_answered_in_their_order() {
        let event = |number: u8| {
            let key = SecretKey::from_bytes([1 + number % 3; 32]).unwrap();
            let operation = Operation { content: number.to_string(), ..Operation::default() };
            key.sign(Post::default().draft(operation), Scheme::Sdk)
        };
        let texts = (0..250).map(event).enumerate().map(|(number, event)| match number % 10 {
            3 => "no event".to_owned(),
            7 => event.to_json().replace(r#""content":""#, r#""content":"0"#),
            _ => event.to_json(),
        });
        let texts: Vec<_> = texts.collect();
        let verified = verify_batch(&texts, &Limits::default(), Leniency::default());
        assert_eq!(verified.len(), texts.len());
        for (number, it) in (0..).zip(verified) {
            match number % 10 {
                3 => assert!(matches!(it, Err(ClaimError::Parse(_)))),
                7 => assert!(matches!(it, Err(ClaimError::Verify(VerifyError::Id { .. })))),
                _ => assert_eq!(it.unwrap().event, event(number)),
            }
        }
    }
}
