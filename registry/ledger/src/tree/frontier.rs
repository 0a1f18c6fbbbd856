//! The right edge of a growing tree: all it takes to add leaves and to know the root.

use base::Sha256;
use tlog_tiles::tlog::{EMPTY_HASH, Hash, node_hash, record_hash};

/// How many levels of the tree one tile has.
pub(crate) const TILE_HEIGHT: u8 = 8;

/// The roots of the complete subtrees that the leaves so far make, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    roots: Vec<(u8, Sha256)>,
}

/// A tile that a leaf has completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompleteTile {
    pub(crate) level: u8,
    pub(crate) n: u64,
    pub(crate) root: Sha256,
}

/// Returns the hash of a leaf.
pub(crate) fn leaf_hash(leaf: &[u8]) -> Sha256 {
    Sha256::from_bytes(record_hash(leaf).0)
}

impl Frontier {
    /// Returns how many leaves there are.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, and returns the tiles that it completes.
    pub(crate) fn push(&mut self, leaf: Sha256) -> Vec<CompleteTile> {
        self.push_subtree(0, leaf)
    }

    /// Adds the root of a complete subtree of that height. Only lower ones may follow until it is balanced.
    pub(crate) fn push_subtree(&mut self, height: u8, root: Sha256) -> Vec<CompleteTile> {
        let (mut height, mut root) = (height, root);
        let mut complete = Vec::new();
        self.size += 1 << height;
        loop {
            if height > 0 && height.is_multiple_of(TILE_HEIGHT) {
                let n = (self.size >> height) - 1;
                complete.push(CompleteTile { level: height / TILE_HEIGHT - 1, n, root });
            }
            match self.roots.pop_if(|it| it.0 == height) {
                Some((_, left)) => (height, root) = (height + 1, join(left, root)),
                None => break,
            }
        }
        self.roots.push((height, root));
        complete
    }

    /// Returns the root of the whole tree.
    pub(crate) fn root(&self) -> Sha256 {
        let mut roots = self.roots.iter().rev().map(|it| it.1);
        let last = roots.next();
        let joined = last.map(|last| roots.fold(last, |right, left| join(left, right)));
        joined.unwrap_or(Sha256::from_bytes(EMPTY_HASH.0))
    }
}

fn join(left: Sha256, right: Sha256) -> Sha256 {
    Sha256::from_bytes(node_hash(Hash(*left.as_bytes()), Hash(*right.as_bytes())).0)
}
