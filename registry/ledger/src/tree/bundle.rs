//! Proof bundles: an event, its leaf, the path to a root, and the root signed. Checked with no log at hand.

use base::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tlog_tiles::tlog::{Hash, check_record, check_tree};

use super::{Checkpoint, CheckpointError, frontier::leaf_hash};
use crate::{
    event::{Claimed, Leaf, Leniency, ParseError, Signed, VerifyError},
    store::StoreError,
};

/// No tree that fits on any disk has longer proofs.
const HASHES_MAX: usize = 64;

/// All that it takes to check that a log has an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofBundle {
    event: Box<RawValue>,
    /// The leaf's bytes: what the log asserts about the event.
    leaf: String,
    /// The hashes from the leaf up to the root.
    proof: Vec<Sha256>,
    /// The root, signed.
    checkpoint: String,
}

/// What a bundle proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The event; its author signed it.
    pub event: Signed,
    /// Its place; the log asserts it.
    pub leaf: Leaf,
    /// The tree that has it.
    pub checkpoint: Checkpoint,
}

/// Why a bundle proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Not a bundle.
    #[error("not a proof bundle")]
    Shape(#[source] serde_json::Error),
    /// The event is none.
    #[error("the bundle's event cannot be read")]
    Event(#[source] ParseError),
    /// Its author did not sign it.
    #[error("the bundle's event does not hold")]
    Verify(#[source] VerifyError),
    /// The leaf is not in its one form, or about another event.
    #[error("the bundle's leaf is not the event's")]
    Leaf,
    /// The log did not sign that.
    #[error("the bundle's checkpoint does not hold")]
    Checkpoint(#[source] CheckpointError),
    /// The tree of the checkpoint does not have that leaf there.
    #[error("the tree of {size} leaves does not have this leaf at {seq}")]
    Inclusion {
        /// The size of the tree.
        size: u64,
        /// The place.
        seq: u64,
    },
    /// The one tree does not begin with the other: the log has been rewritten.
    #[error("the tree of {size} leaves does not begin with the one of {old}")]
    Consistency {
        /// The size of the younger tree.
        size: u64,
        /// The size of the older one.
        old: u64,
    },
}

impl ProofBundle {
    pub(super) fn new(
        event: &str,
        leaf: String,
        proof: Vec<Sha256>,
        checkpoint: String,
    ) -> Result<Self, StoreError> {
        let event = RawValue::from_string(event.to_owned()).map_err(|error| StoreError::Row {
            table: "event",
            row: leaf.clone(),
            what: error.to_string(),
        })?;
        Ok(Self { event, leaf, proof, checkpoint })
    }

    /// Reads a bundle from JSON.
    pub fn parse(json: &str) -> Result<Self, ProofError> {
        serde_json::from_str(json).map_err(ProofError::Shape)
    }

    /// Returns the bundle as JSON.
    ///
    /// # Panics
    ///
    /// Never: a bundle holds texts and JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a bundle can be written as JSON")
    }

    /// Checks all of it against the public key of the log.
    pub fn verify(&self, public: &str, leniency: Leniency) -> Result<Proved, ProofError> {
        let claimed = Claimed::parse_stored(self.event.get()).map_err(ProofError::Event)?;
        let event = claimed.verify(leniency).map_err(ProofError::Verify)?;
        let leaf = Leaf::parse(self.leaf.as_bytes()).ok_or(ProofError::Leaf)?;
        if leaf != Leaf::of(&event, leaf.at.clone()) {
            return Err(ProofError::Leaf);
        }
        let checkpoint = Checkpoint::verify(&self.checkpoint, public).map_err(ProofError::Checkpoint)?;
        let hash = leaf_hash(self.leaf.as_bytes());
        check_inclusion(&self.proof, hash, leaf.at.seq, &checkpoint)?;
        Ok(Proved { event, leaf, checkpoint })
    }
}

/// Checks that the tree of a checkpoint has a leaf at a place.
pub fn check_inclusion(
    proof: &[Sha256],
    leaf: Sha256,
    seq: u64,
    checkpoint: &Checkpoint,
) -> Result<(), ProofError> {
    let size = checkpoint.size;
    let wrong = ProofError::Inclusion { size, seq };
    if proof.len() > HASHES_MAX || seq >= size {
        return Err(wrong);
    }
    check_record(&hashes(proof), size, hash(checkpoint.root), seq, hash(leaf)).map_err(|_| wrong)
}

/// Checks that the tree of one checkpoint begins with the tree of an older one.
pub fn check_consistency(proof: &[Sha256], old: &Checkpoint, new: &Checkpoint) -> Result<(), ProofError> {
    let wrong = ProofError::Consistency { size: new.size, old: old.size };
    // An empty tree is the beginning of every tree.
    if old.size == 0 {
        return if proof.is_empty() { Ok(()) } else { Err(wrong) };
    }
    if proof.len() > HASHES_MAX || old.size > new.size {
        return Err(wrong);
    }
    check_tree(&hashes(proof), new.size, hash(new.root), old.size, hash(old.root)).map_err(|_| wrong)
}

fn hash(digest: Sha256) -> Hash {
    Hash(*digest.as_bytes())
}

fn hashes(digests: &[Sha256]) -> Vec<Hash> {
    digests.iter().map(|it| hash(*it)).collect()
}
