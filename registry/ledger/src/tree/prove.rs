//! What a log shows of its tree: tiles, roots of the past, proofs.

use std::{
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry},
};

use base::Sha256;
use tlog_tiles::{
    tile::Tile,
    tlog::{self, Hash, HashReader},
};

use super::{CheckpointKey, ProofBundle, frontier::TILE_HEIGHT};
use crate::{
    event::{EventId, Leaf, Sid},
    log::Log,
    store::{Store, StoreError, Stored},
};

/// How many hashes a tile has.
const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// Reads the hashes of the tree from a log's file.
struct Hashes<'s> {
    store: &'s Store,
    /// What went wrong: the crate's own error has no place for it.
    failure: RefCell<Option<StoreError>>,
}

impl HashReader for Hashes<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        let mut tiles: BTreeMap<(u8, u64, u32), Vec<u8>> = BTreeMap::new();
        let mut hashes = Vec::with_capacity(indexes.len());
        for index in indexes {
            let tile = Tile::from_index(TILE_HEIGHT, *index);
            let key = (tile.level(), tile.level_index(), tile.width());
            let data = match tiles.entry(key) {
                Entry::Occupied(read) => read.into_mut(),
                Entry::Vacant(place) => {
                    let read = tile_hashes(self.store, key.0, key.1, key.2.into());
                    place.insert(bytes(&read.map_err(|error| {
                        *self.failure.borrow_mut() = Some(error);
                        tlog::Error::InvalidTile
                    })?))
                }
            };
            hashes.push(tile.hash_at_index(data, *index)?);
        }
        Ok(hashes)
    }
}

/// Runs a calculation over the tree. Its own failure means that the file is damaged: what it asked for should be there.
fn calculate<T>(
    store: &Store,
    work: impl FnOnce(&Hashes<'_>) -> Result<T, tlog::Error>,
) -> Result<T, StoreError> {
    let hashes = Hashes { store, failure: RefCell::new(None) };
    work(&hashes).map_err(|error| {
        let damaged =
            || StoreError::Row { table: "tile", row: "of the tree".to_owned(), what: error.to_string() };
        hashes.failure.take().unwrap_or_else(damaged)
    })
}

/// Reads the first hashes of a tile.
fn tile_hashes(store: &Store, level: u8, n: u64, width: u64) -> Result<Vec<Sha256>, StoreError> {
    let from = n * TILE_WIDTH;
    match level.checked_sub(1) {
        None => store.leaves(from, from + width),
        Some(below) => store.tiles(below, from, from + width),
    }
}

fn bytes(hashes: &[Sha256]) -> Vec<u8> {
    hashes.iter().flat_map(|it| *it.as_bytes()).collect()
}

impl Log {
    /// Signs where the log stands.
    pub fn checkpoint(&self, key: &CheckpointKey) -> String {
        let (size, root) = self.head();
        key.sign(size, root)
    }

    /// Returns the root of the tree when it had `size` leaves; `None` if it never had so many.
    pub fn root_at(&self, size: u64) -> Result<Option<Sha256>, StoreError> {
        if size > self.head().0 {
            return Ok(None);
        }
        let root = |store: &Store| calculate(store, |hashes| tlog::tree_hash(size, hashes));
        self.reading(root).map(|it| Some(Sha256::from_bytes(it.0)))
    }

    /// Returns a static file of the tree by its path: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`, as C2SP
    /// tlog-tiles has them; `None` if there is no such tile yet.
    pub fn tile(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(tile) = parse_path(path) else {
            return Ok(None);
        };
        let (level, n, width) = (tile.level(), tile.level_index(), u64::from(tile.width()));
        let height = u32::from(level) * u32::from(TILE_HEIGHT);
        let have = self.head().0.checked_shr(height).unwrap_or_default();
        let until = n.checked_mul(TILE_WIDTH).and_then(|it| it.checked_add(width));
        if until.is_none_or(|it| it > have) {
            return Ok(None);
        }
        self.reading(|store| {
            if tile.is_data() {
                return entries(store, n * TILE_WIDTH, n * TILE_WIDTH + width).map(Some);
            }
            tile_hashes(store, level, n, width).map(|it| Some(bytes(&it)))
        })
    }

    /// Proves that the tree of `size` leaves has the event at `seq`; `None` if it does not.
    pub fn inclusion(&self, seq: u64, size: u64) -> Result<Option<Vec<Sha256>>, StoreError> {
        if seq >= size || size > self.head().0 {
            return Ok(None);
        }
        let proof = |store: &Store| calculate(store, |hashes| tlog::prove_record(size, seq, hashes));
        self.reading(proof).map(|it| Some(digests(&it)))
    }

    /// Proves that the tree of `size` leaves begins with the one of `old` leaves; `None` if there is no such pair.
    pub fn consistency(&self, old: u64, size: u64) -> Result<Option<Vec<Sha256>>, StoreError> {
        if old == 0 || old > size || size > self.head().0 {
            return Ok(None);
        }
        let proof = |store: &Store| calculate(store, |hashes| tlog::prove_tree(size, old, hashes));
        self.reading(proof).map(|it| Some(digests(&it)))
    }

    /// Makes a proof of one event that anybody can check without this log; `None` if the log does not have it.
    pub fn prove(&self, id: EventId, key: &CheckpointKey) -> Result<Option<ProofBundle>, StoreError> {
        let Some(stored) = self.by_id(id)? else {
            return Ok(None);
        };
        let (size, root) = self.head();
        let Some(proof) = self.inclusion(stored.at.seq, size)? else {
            return Ok(None);
        };
        let leaf = self.leaf(&stored)?.to_bytes();
        let leaf = String::from_utf8_lossy(&leaf).into_owned();
        ProofBundle::new(&stored.json, leaf, proof, key.sign(size, root)).map(Some)
    }

    /// Returns what the tree says about a stored event.
    pub fn leaf(&self, stored: &Stored) -> Result<Leaf, StoreError> {
        self.reading(|store| leaf(store, stored))
    }

    /// Returns the leaves of a subspace from its newest event back, at most `limit` of them, for [`super::check_chain`];
    /// and the place to go on from.
    pub fn chain(
        &self,
        sid: Option<&Sid>,
        at: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<Leaf>, Option<u64>), StoreError> {
        let (mut leaves, mut at) = (Vec::new(), at);
        while leaves.len() < limit
            && let Some(step) = self.walk(sid, at)?
        {
            leaves.push(self.leaf(&step.stored)?);
            at = step.before;
            if at.is_none() {
                break;
            }
        }
        Ok((leaves, at))
    }
}

fn leaf(store: &Store, stored: &Stored) -> Result<Leaf, StoreError> {
    let Stored { id, body, author, kind, .. } = *stored;
    Ok(Leaf { id, body, author, sid: store.sid(stored.space)?, kind, at: stored.at.clone() })
}

/// Returns the entries of a tile, each behind its length in two bytes.
fn entries(store: &Store, from: u64, until: u64) -> Result<Vec<u8>, StoreError> {
    let mut stored = Vec::new();
    store.stored_between(from, until, |it| {
        stored.push(it);
        Ok(())
    })?;
    let mut bytes = Vec::new();
    for one in &stored {
        let leaf = leaf(store, one)?.to_bytes();
        // A leaf has a few hundred bytes: its longest part, the sid, is bounded.
        bytes.extend(u16::try_from(leaf.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(leaf);
    }
    Ok(bytes)
}

/// Reads a tile's path. The crate's own paths have the height in them, which is always 8 here.
pub(super) fn parse_path(path: &str) -> Option<Tile> {
    let rest = path.strip_prefix("tile/")?;
    let rest = match rest.strip_prefix("entries/") {
        Some(entries) => format!("data/{entries}"),
        // The crate takes a level or a width that no tile has for a mistake of its caller, and panics.
        None => Some(rest).filter(|it| matches!(it.as_bytes(), [b'0'..=b'7', b'/', ..]))?.to_owned(),
    };
    if rest.rsplit_once(".p/").is_some_and(|(_, width)| !width.starts_with(|it| matches!(it, '1'..='9'))) {
        return None;
    }
    Tile::from_path(&format!("tile/{TILE_HEIGHT}/{rest}")).ok()
}

fn digests(proof: &[Hash]) -> Vec<Sha256> {
    proof.iter().map(|it| Sha256::from_bytes(it.0)).collect()
}
