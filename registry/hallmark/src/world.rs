//! What is known at one moment, for all who ask: the catalog in force and each model's state on this host.
//!
//! - A world never changes; the engine publishes the next one. Whoever reads one sees no half-done step.
//! - A copy costs little: the maps share all that did not change.
//! - A file can be served only out of [`Shown`], which holds proven objects and nothing else.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use base::{ModelId, UnixSeconds};
use bytes::Bytes;
use catalog::{Index, Listed, Report, follow::Snapshot};
use imbl::OrdMap;
use vault::{Object, Phase, Progress, view::EntryPath};

use crate::{order::Order, repos::Repo, state::State};

/// Everything that is known.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// Where the index lives, as the operator wrote it.
    pub(crate) location: String,
    /// The JSON Schema that the index is held to.
    pub(crate) schema: Bytes,
    /// The index in force, and the last look at it.
    pub(crate) catalog: Arc<Snapshot<Index, Report>>,
    /// Every model of the index, and those that are still here without it.
    pub(crate) models: OrdMap<ModelId, Arc<Model>>,
    /// What is asked for and not in the index, with what to say about it.
    pub(crate) missing: BTreeMap<String, String>,
    /// What clients of the hub find here, by repository.
    pub(crate) repos: OrdMap<String, Arc<Repo>>,
    /// Why the last config was not taken, if it was not.
    pub(crate) config_trouble: Option<String>,
    /// Grows with every published world.
    pub(crate) sequence: u64,
}

/// One model on this host.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) id: ModelId,
    /// Its entry; none if the index has lost it and something of it is still here.
    pub(crate) listed: Option<Arc<Listed>>,
    /// Its files and their sources, if it is asked for and can be ordered.
    pub(crate) order: Option<Arc<Order>>,
    pub(crate) wanted: bool,
    pub(crate) state: State,
    /// Every reason for the state, or what is doubtful about it.
    pub(crate) why: Vec<String>,
    /// Whether the gate could not be asked yet: what is signed about it stays as it was.
    pub(crate) unjudged: bool,
    /// When it came into this state.
    pub(crate) since: UnixSeconds,
    /// When it is tried again by itself.
    pub(crate) retry_at: Option<UnixSeconds>,
    /// How many tries have failed in a row.
    pub(crate) tries: u32,
    /// Which config ruled on it last.
    pub(crate) ruled_by: u64,
    /// What of it can be seen: of an earlier version too, until the new one is here.
    pub(crate) shown: Option<Arc<Shown>>,
    /// The files that are coming.
    pub(crate) transfers: Vec<Arc<Transfer>>,
    /// The answer to whoever asks for it, written once.
    pub(crate) rendered: OnceLock<Rendered>,
}

/// A body that is ready to be sent, and its tag.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    pub(crate) body: Bytes,
    pub(crate) etag: axum::http::HeaderValue,
}

/// A model's files as clients see them.
#[derive(Debug)]
pub(crate) struct Shown {
    /// What they were ordered by.
    pub(crate) order: Arc<Order>,
    /// The proven files by their paths. Empty where the operator waived the proof: such files are served to nobody.
    pub(crate) files: BTreeMap<EntryPath, Object>,
    /// Whether every file is what the index promises.
    pub(crate) verified: bool,
    pub(crate) since: UnixSeconds,
}

/// One file that is coming.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    bytes: AtomicU64,
    /// What the download does now, in words.
    phase: Mutex<String>,
}

impl World {
    /// Returns the index in force.
    pub(crate) fn index(&self) -> Option<&Arc<Index>> {
        self.catalog.good.as_ref().map(|it| &it.value)
    }

    /// Counts the models in each state, those that are missing too.
    pub(crate) fn counts(&self) -> BTreeMap<State, u64> {
        let mut counts = BTreeMap::new();
        for model in self.models.values() {
            *counts.entry(model.state).or_insert(0) += 1;
        }
        if !self.missing.is_empty() {
            counts.insert(State::Missing, self.missing.len() as u64);
        }
        counts
    }
}

impl Model {
    /// Begins to know a model.
    pub(crate) fn new(id: ModelId, state: State, now: UnixSeconds) -> Self {
        Self {
            id,
            listed: None,
            order: None,
            wanted: false,
            state,
            why: Vec::new(),
            unjudged: false,
            since: now,
            retry_at: None,
            tries: 0,
            ruled_by: 0,
            shown: None,
            transfers: Vec::new(),
            rendered: OnceLock::new(),
        }
    }

    /// Returns what clients may see: nothing of a model that nobody asks for.
    pub(crate) fn served(&self) -> Option<&Arc<Shown>> {
        self.shown.as_ref().filter(|_| self.wanted)
    }

    /// Returns what all its files take together, if it has an entry.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        let artifact = &self.listed.as_ref()?.entry.artifact;
        let companions = artifact.files.iter().map(|it| it.size_bytes.get());
        Some(companions.fold(artifact.size_bytes.get(), u64::saturating_add))
    }

    /// Returns how many bytes of the files that are coming are here, and how many there will be.
    pub(crate) fn progress(&self) -> Option<(u64, u64)> {
        if self.transfers.is_empty() {
            return None;
        }
        let bytes = self.transfers.iter().map(|it| it.bytes()).fold(0, u64::saturating_add);
        Some((bytes, self.transfers.iter().map(|it| it.size_bytes).fold(0, u64::saturating_add)))
    }

    /// Says whether its bytes are what the index promises; `None` where there are none.
    pub(crate) fn verified(&self) -> Option<bool> {
        self.shown.as_ref().map(|it| it.verified)
    }
}

// The written answer belongs to the very value it was written for.
impl Clone for Model {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            listed: self.listed.clone(),
            order: self.order.clone(),
            why: self.why.clone(),
            shown: self.shown.clone(),
            transfers: self.transfers.clone(),
            rendered: OnceLock::new(),
            ..*self
        }
    }
}

impl Transfer {
    pub(crate) fn new(name: String, size_bytes: u64) -> Self {
        Self { name, size_bytes, bytes: AtomicU64::new(0), phase: Mutex::default() }
    }

    /// Returns how many bytes are on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns what the download does now, in words.
    pub(crate) fn phase(&self) -> String {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Progress for Transfer {
    fn phase(&self, phase: &Phase) {
        let text = match phase {
            Phase::Resolving { source } => format!("asking {source}"),
            Phase::Fetching { source } => format!("from {source}"),
            Phase::Waiting { pause, why } => format!("waiting {:.1} s: {why}", pause.as_secs_f32()),
            Phase::Verifying => "verifying".to_owned(),
        };
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    fn reached(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}
