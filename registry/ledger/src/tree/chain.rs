//! The chain of one subspace: each leaf names the one before it, so that nothing can be left out between two of them.

use std::collections::BTreeMap;

use base::Sha256;

use super::frontier::leaf_hash;
use crate::event::{Kind, Leaf};

/// Why some leaves are not a subspace's chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A leaf of another subspace.
    #[error("leaf {seq} is of another subspace")]
    Sid {
        /// Its place.
        seq: u64,
    },
    /// A leaf is not the one that the next names.
    #[error("leaf {seq} is not the one that the leaf after it names: something was left out or changed")]
    Link {
        /// Its place.
        seq: u64,
    },
    /// A counter that does not go up by one.
    #[error("leaf {seq}: a counter does not go up by one")]
    Counter {
        /// Its place.
        seq: u64,
    },
}

/// Checks the leaves of a subspace, the newest first: each link, and that every counter goes up by exactly one. Returns
/// the hash that the last of them names, `None` at the subspace's first event.
pub fn check_chain(leaves: &[Leaf]) -> Result<Option<Sha256>, ChainError> {
    let mut expected: Option<(Option<Sha256>, u64)> = None;
    let mut counters: BTreeMap<Kind, u64> = BTreeMap::new();
    for leaf in leaves {
        let seq = leaf.at.seq;
        if leaves.first().is_none_or(|it| it.sid != leaf.sid) {
            return Err(ChainError::Sid { seq });
        }
        if let Some((prev, tick)) = expected {
            if prev != Some(leaf_hash(&leaf.to_bytes())) {
                return Err(ChainError::Link { seq });
            }
            if leaf.at.tick + 1 != tick {
                return Err(ChainError::Counter { seq });
            }
        }
        if counters.insert(leaf.kind, leaf.at.n).is_some_and(|after| leaf.at.n + 1 != after) {
            return Err(ChainError::Counter { seq });
        }
        expected = Some((leaf.at.prev, leaf.at.tick));
    }
    let Some(first) = leaves.last().filter(|it| it.at.prev.is_none()) else {
        return Ok(expected.and_then(|it| it.0));
    };
    // At the beginning every counter begins: nothing came before.
    if first.at.tick != 1 || counters.values().any(|it| *it != 1) {
        return Err(ChainError::Counter { seq: first.at.seq });
    }
    Ok(None)
}
