//! What a model can be on this host.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a model is on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Its entry holds placeholders: never fetched.
    Stub,
    /// In the catalog, not asked for.
    Available,
    /// Asked for; its turn comes.
    Queued,
    /// Its bytes are coming.
    Fetching,
    /// The policy says not yet.
    Held,
    /// Every file is there, proven and visible.
    Deployed,
    /// A file did not come; it is tried again.
    Failed,
    /// Bytes came that are not what the catalog promises; they are kept apart.
    Quarantined,
    /// Here, but no longer asked for; until gc.
    Withdrawn,
    /// Asked for, and not in the catalog.
    Missing,
}

impl State {
    /// Every state, in the order of a model's life.
    pub(crate) const ALL: [Self; 10] = [
        Self::Stub,
        Self::Available,
        Self::Queued,
        Self::Fetching,
        Self::Held,
        Self::Deployed,
        Self::Failed,
        Self::Quarantined,
        Self::Withdrawn,
        Self::Missing,
    ];

    /// Returns the word for it, the same as in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stub => "stub",
            Self::Available => "available",
            Self::Queued => "queued",
            Self::Fetching => "fetching",
            Self::Held => "held",
            Self::Deployed => "deployed",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
            Self::Withdrawn => "withdrawn",
            Self::Missing => "missing",
        }
    }

    /// Says whether work on the model goes on by itself right now.
    pub(crate) fn is_moving(self) -> bool {
        matches!(self, Self::Queued | Self::Fetching)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}
