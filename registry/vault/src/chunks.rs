//! What is needed to check each 16 MiB piece of an object alone: SHA-256's state where the piece begins.
//!
//! - Hashing the whole passes through these states, so keeping them costs nothing. A piece is right if hashing it from
//!   the state where it begins ends in the state where the next one begins; the last one ends in the object's digest.
//!   So each piece is judged by itself, however many others are damaged.
//! - A list names the damaged pieces and lets a repair fetch only those. It proves nothing alone, being only as good as
//!   the disk it stands on: an object is whole only when its own digest says so.
//! - A list carries the digest of its object and a digest of itself. One that is damaged, of another object or of an
//!   earlier format counts as missing, and the next scrub that finds the object whole writes it anew.
//!
//! An object of one piece needs none: its digest is the list. Layout: `HMCHUNK2`, the object's digest, its size as 8
//! bytes little-endian, 32 bytes for each boundary between two pieces, 32 bytes of digest over all that stands before.

use std::{
    fs::File,
    io::{self, Read as _},
};

use base::{Hasher, Midstate, Sha256};

use crate::{
    CHUNK_BYTES, DiskError, Shelf,
    durable::{self, at},
};

const MAGIC: &[u8; 8] = b"HMCHUNK2";
/// Enough for an object of 16 TiB; a longer file is no list of ours.
const LIST_BYTES_MAX: u64 = 32 << 20;

/// The digest and size of an object, and the states of hashing it at the boundaries of its pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkList {
    pub(crate) digest: Sha256,
    pub(crate) size_bytes: u64,
    pub(crate) midstates: Vec<Midstate>,
}

impl ChunkList {
    /// Makes a list, or `None` if a file of this size has not so many boundaries.
    pub fn new(digest: Sha256, size_bytes: u64, midstates: Vec<Midstate>) -> Option<Self> {
        let boundaries = size_bytes.div_ceil(CHUNK_BYTES).saturating_sub(1);
        (boundaries == midstates.len() as u64).then_some(Self { digest, size_bytes, midstates })
    }

    /// Returns the digest of the whole object.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// Returns the size of the whole object.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the state at each boundary between two pieces, in order.
    pub fn midstates(&self) -> &[Midstate] {
        &self.midstates
    }

    /// Returns where a piece starts and ends, or `None` if there is no such piece.
    pub fn span(&self, index: usize) -> Option<std::ops::Range<u64>> {
        span(self.size_bytes, index)
    }

    /// Returns a hasher that stands where a piece begins, or `None` if there is no such piece.
    pub fn begin(&self, index: usize) -> Option<Hasher> {
        let start = self.span(index)?.start;
        match index.checked_sub(1) {
            None => Some(Hasher::new()),
            Some(before) => Hasher::resume(self.midstates.get(before)?, start),
        }
    }

    /// Says whether a hasher from [`begin`](Self::begin) has seen the bytes of that piece and no others.
    pub fn ends(&self, index: usize, hasher: Hasher) -> bool {
        if self.span(index).is_none_or(|it| it.end != hasher.length_bytes()) {
            return false;
        }
        match self.midstates.get(index) {
            Some(midstate) => hasher.midstate() == Some(*midstate),
            None => hasher.finish() == self.digest,
        }
    }

    /// Says whether these are the bytes of a piece.
    pub fn holds(&self, index: usize, bytes: &[u8]) -> bool {
        let Some(mut hasher) = self.begin(index) else { return false };
        hasher.update(bytes);
        self.ends(index, hasher)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.digest.as_bytes());
        bytes.extend(self.size_bytes.to_le_bytes());
        self.midstates.iter().for_each(|it| bytes.extend(it.as_bytes()));
        bytes.extend(Sha256::of(&bytes).as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, seal) = bytes.split_last_chunk::<32>()?;
        if Sha256::of(body).as_bytes() != seal {
            return None;
        }
        let (digest, rest) = body.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
        let (size_bytes, midstates) = rest.split_first_chunk::<8>()?;
        let (midstates, rest) = midstates.as_chunks::<32>();
        if !rest.is_empty() {
            return None;
        }
        let midstates = midstates.iter().map(|it| Midstate::from_bytes(*it)).collect();
        Self::new(Sha256::from_bytes(*digest), u64::from_le_bytes(*size_bytes), midstates)
    }
}

/// Returns where a piece of an object of this size starts and ends, or `None` if there is no such piece.
pub fn span(size_bytes: u64, index: usize) -> Option<std::ops::Range<u64>> {
    let start = (index as u64).checked_mul(CHUNK_BYTES).filter(|it| *it < size_bytes)?;
    Some(start..size_bytes.min(start + CHUNK_BYTES))
}

impl Shelf {
    /// Returns an object's chunk list, or `None` if there is none that holds.
    pub fn chunks(&self, digest: &Sha256) -> Result<Option<ChunkList>, DiskError> {
        let path = self.chunks_path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at("open the chunk list", &path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(LIST_BYTES_MAX).read_to_end(&mut bytes).map_err(at("read the chunk list", &path))?;
        Ok(ChunkList::from_bytes(&bytes).filter(|it| it.digest == *digest))
    }

    /// Keeps a chunk list. One piece needs none.
    pub(crate) fn keep_chunks(&self, list: &ChunkList) -> Result<(), DiskError> {
        if list.midstates.is_empty() {
            return Ok(());
        }
        let path = self.chunks_path(&list.digest);
        durable::folder(path.parent().unwrap_or(self.root()), crate::shelf::FOLDER_MODE)?;
        durable::write(&self.partials(), &path, &list.to_bytes(), crate::shelf::FILE_MODE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_pieces_of_an_object_cover_it_without_a_gap() {
        assert_eq!(span(0, 0), None);
        assert_eq!(span(1, 0), Some(0..1));
        assert_eq!(span(CHUNK_BYTES, 1), None);
        assert_eq!(span(CHUNK_BYTES + 1, 1), Some(CHUNK_BYTES..CHUNK_BYTES + 1));
        assert_eq!(span(u64::MAX, usize::MAX), None);
    }

    proptest! {
        #[test]
        fn a_list_reads_back_and_any_flipped_bit_makes_it_missing(
            digest: [u8; 32], states in prop::collection::vec(any::<[u8; 32]>(), 0..5), cut in 0..CHUNK_BYTES,
            at: prop::sample::Index, bit in 0..8_u8,
        ) {
            let midstates = states.into_iter().map(Midstate::from_bytes).collect::<Vec<_>>();
            let size_bytes = (midstates.len() as u64 + 1) * CHUNK_BYTES - cut;
            let list = ChunkList::new(Sha256::from_bytes(digest), size_bytes, midstates).unwrap();
            let mut bytes = list.to_bytes();
            prop_assert_eq!(ChunkList::from_bytes(&bytes), Some(list));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(ChunkList::from_bytes(&bytes), None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            ChunkList::from_bytes(&bytes);
        }
    }
}
