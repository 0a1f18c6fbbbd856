//! The transparency log: an RFC 6962 tree over the leaves, as static tiles of 256 hashes (C2SP tlog-tiles), with
//! checkpoints that the log signs.
//!
//! - The tree follows from the events' leaves alone. What is stored of it, roots of complete tiles, only saves work.
//! - A proof needs nobody: a [`ProofBundle`] is checked with the log's public key and no log at hand.
//! - Two checkpoints of one size and different roots, or a consistency proof that fails, show a log that lies.

mod bundle;
mod chain;
mod checkpoint;
mod frontier;
mod prove;
#[cfg(test)]
mod tests;

pub(crate) use self::frontier::{Frontier, TILE_HEIGHT, leaf_hash};
pub use self::{
    bundle::{ProofBundle, ProofError, Proved, check_consistency, check_inclusion},
    chain::{ChainError, check_chain},
    checkpoint::{Checkpoint, CheckpointError, CheckpointKey},
};
