//! A model as people and programs are told of it: the same whether a daemon tells it or a look at the disk.

use base::UnixSeconds;
use serde::{Deserialize, Serialize};

use crate::{
    state::State,
    world::{Model, World},
};

/// A model, as it is shown. Every key is always there; what is not known is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) version: Option<String>,
    pub(crate) state: State,
    #[serde(default)]
    pub(crate) wanted: bool,
    #[serde(default)]
    pub(crate) size_bytes: Option<u64>,
    /// Whether its bytes are what the index promises; null where there are none.
    #[serde(default)]
    pub(crate) verified: Option<bool>,
    /// How far its files are, while they come.
    #[serde(default)]
    pub(crate) progress: Option<Progress>,
    /// Every reason for the state, or what is doubtful about it.
    #[serde(default)]
    pub(crate) why: Vec<String>,
    /// When a daemon tries it again by itself.
    #[serde(default)]
    pub(crate) retry_at: Option<UnixSeconds>,
}

/// How far the files of a model are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) bytes: u64,
    pub(crate) size_bytes: u64,
    #[serde(default)]
    pub(crate) phase: Option<String>,
}

impl Row {
    /// Begins a row of which nothing else is known.
    pub(crate) fn bare(id: String, state: State) -> Self {
        Self {
            id,
            version: None,
            state,
            wanted: false,
            size_bytes: None,
            verified: None,
            progress: None,
            why: Vec::new(),
            retry_at: None,
        }
    }

    /// Shows a model of the daemon.
    pub(crate) fn of(model: &Model) -> Self {
        Self {
            version: model.listed.as_ref().map(|it| it.entry.version.to_string()),
            wanted: model.wanted,
            size_bytes: model.size_bytes(),
            verified: model.verified(),
            progress: model.progress().map(|(bytes, size_bytes)| {
                let phases = model.transfers.iter().filter(|it| it.bytes() < it.size_bytes);
                let phase = phases.map(|it| it.phase()).find(|it| !it.is_empty());
                Progress { bytes, size_bytes, phase }
            }),
            why: model.why.clone(),
            retry_at: model.retry_at,
            ..Self::bare(model.id.to_string(), model.state)
        }
    }

    /// Lists everything that a daemon knows, in the order of ids.
    pub(crate) fn all(world: &World) -> Vec<Self> {
        let missing = world.missing.iter().map(|(id, why)| Self {
            wanted: true,
            why: vec![why.clone()],
            ..Self::bare(id.clone(), State::Missing)
        });
        let mut rows = world.models.values().map(|it| Self::of(it)).chain(missing).collect::<Vec<_>>();
        rows.sort_by(|one, other| one.id.cmp(&other.id));
        rows
    }
}
