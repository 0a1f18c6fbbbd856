//! Folds: state that follows from the log, one event after the other, and from nothing else.
//!
//! - A fold sees each event once, in the log's order, and knows no clock, no chance and no other state.
//! - Its state has one byte form. Whoever replays the log gets the same bytes, and so the same digest.
//! - What is derived may object to an event, so that nothing gets into the log that would have to be passed over.
//! - The log keeps snapshots: a start applies what came after the last one, not the whole log. What has none reads the
//!   log by itself, while that is in use.

use std::sync::{Arc, PoisonError, RwLock};

use base::Sha256;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    admission::Refusal,
    event::{Accepted, Signed},
};

/// State that follows from the log.
pub trait Fold: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of its snapshots.
    const NAME: &'static str;
    /// Counted up whenever the meaning or the form changes: then the log is read again from its beginning.
    const VERSION: u32;

    /// Takes the next event.
    fn apply(&mut self, accepted: &Accepted);

    /// Returns the one byte form of the state: JSON whose maps are sorted.
    ///
    /// # Panics
    ///
    /// If the state has a map whose keys are no texts: a mistake in the fold that its first test finds.
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a fold's state can be written as JSON")
    }

    /// Returns the digest of the state.
    fn digest(&self) -> Sha256 {
        Sha256::of(&self.to_bytes())
    }
}

/// A fold that follows a log as it grows.
#[derive(Debug, Default)]
pub struct Live<F> {
    inner: RwLock<Inner<F>>,
}

#[derive(Debug, Default)]
struct Inner<F> {
    size: u64,
    state: F,
}

impl<F: Fold> Live<F> {
    /// Reads the state, and after how many events it is.
    pub fn read<T>(&self, look: impl FnOnce(&F, u64) -> T) -> T {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        look(&inner.state, inner.size)
    }
}

/// What a log does with any fold.
pub trait Derived: Send + Sync {
    /// Returns the name of its snapshots.
    fn name(&self) -> &'static str;
    /// Returns the version of its snapshots.
    fn version(&self) -> u32;
    /// Says whether it reads by itself what the log had when it was opened: then a start waits for none of that, keeps
    /// no snapshot, and gives it only what comes.
    fn reads_by_itself(&self) -> bool {
        false
    }
    /// Takes up a snapshot after `size` events, or begins anew if there is none or it cannot be read.
    fn restore(&self, snapshot: Option<(u64, Vec<u8>)>);
    /// Hears which events come next, so that it may look up at once what they will need. Nothing follows from it.
    fn look_ahead(&self, _: &[Arc<Accepted>]) {}
    /// Takes the next event; one that it has seen already changes nothing.
    fn apply(&self, accepted: &Accepted);
    /// Says whether an event may come into the log, after all that the log itself asks. `pending` are those that come
    /// before it in the same batch and were not applied yet. Called by the thread that writes: it must not take long.
    fn examine(&self, event: &Signed, pending: &mut dyn Iterator<Item = &Accepted>) -> Result<(), Refusal> {
        let _ = (event, pending);
        Ok(())
    }
    /// Returns how many events it has seen.
    fn size(&self) -> u64;
    /// Returns the bytes of its state.
    fn save(&self) -> Vec<u8>;
}

/// How many events are looked ahead for at once: what they need is still at hand when the last of them is applied.
const AHEAD_MAX: usize = 64;

/// Gives folds the events that came, in order.
pub(crate) fn apply_all(folds: &[Arc<dyn Derived>], new: &[Arc<Accepted>]) {
    for next in new.chunks(AHEAD_MAX) {
        for fold in folds {
            fold.look_ahead(next);
        }
        for accepted in next {
            for fold in folds {
                fold.apply(accepted);
            }
        }
    }
}

impl<F: Fold> Derived for Live<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn version(&self) -> u32 {
        F::VERSION
    }

    fn restore(&self, snapshot: Option<(u64, Vec<u8>)>) {
        let read = snapshot.and_then(|(size, bytes)| Some((size, serde_json::from_slice(&bytes).ok()?)));
        let (size, state) = read.unwrap_or_default();
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = Inner { size, state };
    }

    fn apply(&self, accepted: &Accepted) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if accepted.at.seq == inner.size {
            inner.state.apply(accepted);
            inner.size += 1;
        }
    }

    fn size(&self) -> u64 {
        self.read(|_, size| size)
    }

    fn save(&self) -> Vec<u8> {
        self.read(|state, _| state.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use base::{UnixSeconds, time::HandClock};
    use tempfile::TempDir;

    use super::*;
    use crate::{
        Log, Objection, Options, Outcome, Policy, Prepared, Scheme, SecretKey, Sid,
        kinds::{Operation, Post},
        log::ERA_EVENTS,
    };

    const NOW: UnixSeconds = UnixSeconds(1_000_000);

    /// State that objects to what was said already.
    #[derive(Debug, Default)]
    struct Picky(Mutex<Vec<String>>);

    impl Derived for Picky {
        fn name(&self) -> &'static str {
            "picky"
        }

        fn version(&self) -> u32 {
            1
        }

        fn restore(&self, _: Option<(u64, Vec<u8>)>) {}

        fn apply(&self, accepted: &Accepted) {
            self.0.lock().unwrap().push(accepted.event.content().to_owned());
        }

        fn examine(
            &self,
            event: &Signed,
            pending: &mut dyn Iterator<Item = &Accepted>,
        ) -> Result<(), Refusal> {
            let applied = self.0.lock().unwrap();
            let mut contents = applied.iter().map(String::as_str).chain(pending.map(|it| it.event.content()));
            if contents.any(|it| it == event.content()) {
                return Err(Objection { code: "E_AGAIN", text: "was said already".to_owned() }.into());
            }
            Ok(())
        }

        fn size(&self) -> u64 {
            self.0.lock().unwrap().len() as u64
        }

        fn save(&self) -> Vec<u8> {
            Vec::new()
        }
    }

    fn open(folder: &TempDir, folds: Vec<Arc<dyn Derived>>) -> Log {
        let clock = Arc::new(HandClock::at(NOW));
        let options = Options { policy: Policy::default(), clock, folds, observer: None };
        Log::open(&folder.path().join("ledger.sqlite"), options).unwrap()
    }

    fn say(text: &str, second: u64) -> Prepared {
        let sid = Some(Sid::parse("0xMG").unwrap());
        let content = text.to_owned();
        let operation = Operation { created_at: UnixSeconds(second), sid, content, ..Operation::default() };
        let key = SecretKey::from_bytes([9; 32]).unwrap();
        Prepared::from(key.sign(Post::default().draft(operation), Scheme::Sdk))
    }

    #[test]
    fn what_caught_up_with_much_is_kept_before_anything_else_happens() {
        let kept = |log: &Log| log.write(|store| store.snapshot("picky", 1)).unwrap().map(|it| it.0);
        for (events, expected) in [(ERA_EVENTS - 1, None), (ERA_EVENTS + 3, Some(ERA_EVENTS + 3))] {
            let folder = tempfile::tempdir().unwrap();
            let log = open(&folder, vec![]);
            log.append((0..events).map(|it| say(&it.to_string(), it)).collect()).unwrap();
            drop(log);
            // Whoever kills it now finds that work done at the next start.
            assert_eq!(kept(&open(&folder, vec![Arc::new(Picky::default())])), expected);
        }
    }

    #[test]
    fn what_is_derived_may_object_within_a_batch_too() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder, vec![Arc::new(Picky::default())]);
        let outcomes = log.append(vec![say("a", 1), say("a", 2), say("b", 3)]).unwrap();
        let refused = |it: &Outcome| match it {
            Outcome::Refused(why) => Some(format!("{}: {why}", why.prefix())),
            _ => None,
        };
        let expected = Some("invalid: E_AGAIN was said already".to_owned());
        assert_eq!(outcomes.iter().map(refused).collect::<Vec<_>>(), [None, expected.clone(), None]);
        assert_eq!(
            log.append(vec![say("b", 4)]).unwrap().iter().map(refused).collect::<Vec<_>>(),
            [expected]
        );
        assert_eq!(log.head().0, 2);
    }
}
