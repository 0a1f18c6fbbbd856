//! What is known of one object after a look at it: the same whether a daemon looked or this command did.

use std::borrow::Cow;

use base::Sha256;
use serde::{Deserialize, Serialize};
use vault::{
    Quarantined,
    scrub::{Health, Seen},
};

use super::mend::Mended;

/// What is known of one object after a look at it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    event: Cow<'static, str>,
    /// What people call it.
    pub(super) names: Vec<String>,
    pub(super) digest: Sha256,
    #[serde(flatten)]
    pub(super) health: Found,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mended: Option<Mended>,
}

/// What a look at an object found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "health", rename_all = "kebab-case")]
pub(super) enum Found {
    /// The bytes are what their digest says.
    Whole { size_bytes: u64 },
    /// They are not. The object is off the shelf.
    Damaged {
        #[serde(flatten)]
        quarantined: Quarantined,
        /// Which 16 MiB pieces are wrong, if that is known.
        chunks: Option<Vec<usize>>,
    },
    /// It is not on the shelf.
    Missing,
    /// The disk did not give it.
    Unreadable { error: String },
    /// It was not looked at.
    Unchecked,
}

impl Said {
    pub(super) fn new(names: Vec<String>, seen: Seen, mended: Option<Mended>) -> Self {
        Self { event: "object".into(), names, digest: seen.digest, health: seen.health.into(), mended }
    }

    /// Says whether the object is whole now.
    pub(crate) fn holds(&self) -> bool {
        matches!(self.health, Found::Whole { .. }) || self.mended.as_ref().is_some_and(Mended::is_whole)
    }
}

impl From<Health> for Found {
    fn from(health: Health) -> Self {
        match health {
            Health::Whole { size_bytes } => Self::Whole { size_bytes },
            Health::Damaged { quarantined, chunks } => Self::Damaged { quarantined, chunks },
            Health::Missing => Self::Missing,
            Health::Unreadable { error } => Self::Unreadable { error: crate::host::with_causes(&error) },
            Health::Unchecked => Self::Unchecked,
        }
    }
}
