//! Folds: state that follows from the log, one event after the other, and from nothing else.
//!
//! - A fold sees each event once, in the log's order, and knows no clock, no chance and no other state.
//! - Its state has one byte form. Whoever replays the log gets the same bytes, and so the same digest.
//! - The log keeps snapshots: a start applies what came after the last one, not the whole log.

use std::sync::{PoisonError, RwLock};

use base::Sha256;
use serde::{Serialize, de::DeserializeOwned};

use crate::event::Accepted;

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
    /// Takes up a snapshot after `size` events, or begins anew if there is none or it cannot be read.
    fn restore(&self, snapshot: Option<(u64, Vec<u8>)>);
    /// Takes the next event; one that it has seen already changes nothing.
    fn apply(&self, accepted: &Accepted);
    /// Returns how many events it has seen.
    fn size(&self) -> u64;
    /// Returns the bytes of its state.
    fn save(&self) -> Vec<u8>;
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
