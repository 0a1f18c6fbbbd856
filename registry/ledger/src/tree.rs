//! The transparency log: an RFC 6962 tree over the leaves, as static tiles of 256 hashes (C2SP tlog-tiles).
//!
//! The tree follows from the events' leaves alone. What is stored of it, roots of complete tiles, only saves work.

mod frontier;

pub(crate) use self::frontier::{Frontier, TILE_HEIGHT, leaf_hash};
