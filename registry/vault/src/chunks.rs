//! The digests of an object's 16 MiB pieces, kept after its first good verify.
//!
//! They name the damaged piece and let a repair fetch only that one. They prove nothing alone: an object is
//! whole only when its own digest says so. A list carries the digest of itself; a list that is damaged counts as
//! missing. An object of one piece needs none: its digest is the list.
//!
//! Layout: `HMCHUNK1`, the object's size as 8 bytes little-endian, 32 bytes for each piece, 32 bytes of digest
//! over all that stands before.

use std::{
    fs::File,
    io::{self, Read as _},
};

use base::Sha256;

use crate::{
    CHUNK_BYTES, DiskError, Shelf,
    durable::{self, at},
};

const MAGIC: &[u8; 8] = b"HMCHUNK1";
/// Enough for an object of 16 TiB; a longer file is no list of ours.
const LIST_BYTES_MAX: u64 = 32 << 20;

/// The digests of an object's pieces, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkList {
    size_bytes: u64,
    digests: Vec<Sha256>,
}

impl ChunkList {
    /// Makes a list, or `None` if a file of this size has not so many pieces.
    pub fn new(size_bytes: u64, digests: Vec<Sha256>) -> Option<Self> {
        (size_bytes.div_ceil(CHUNK_BYTES) == digests.len() as u64).then_some(Self { size_bytes, digests })
    }

    /// Returns the size of the whole object.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the digest of each piece.
    pub fn digests(&self) -> &[Sha256] {
        &self.digests
    }

    /// Returns where a piece starts and ends, or `None` if there is no such piece.
    pub fn span(&self, index: usize) -> Option<std::ops::Range<u64>> {
        span(self.size_bytes, index)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.size_bytes.to_le_bytes());
        self.digests.iter().for_each(|it| bytes.extend(it.as_bytes()));
        bytes.extend(Sha256::of(&bytes).as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, seal) = bytes.split_last_chunk::<32>()?;
        if Sha256::of(body).as_bytes() != seal {
            return None;
        }
        let (size_bytes, digests) = body.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let (digests, rest) = digests.as_chunks::<32>();
        if !rest.is_empty() {
            return None;
        }
        let digests = digests.iter().map(|it| Sha256::from_bytes(*it)).collect();
        Self::new(u64::from_le_bytes(*size_bytes), digests)
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
        Ok(ChunkList::from_bytes(&bytes))
    }

    /// Keeps a chunk list. One piece needs none.
    pub(crate) fn keep_chunks(&self, digest: &Sha256, list: &ChunkList) -> Result<(), DiskError> {
        if list.digests.len() < 2 {
            return Ok(());
        }
        let path = self.chunks_path(digest);
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
            digests in prop::collection::vec(any::<[u8; 32]>(), 1..5), cut in 0..CHUNK_BYTES, at: prop::sample::Index, bit in 0..8_u8,
        ) {
            let digests = digests.into_iter().map(Sha256::from_bytes).collect::<Vec<_>>();
            let list = ChunkList::new(digests.len() as u64 * CHUNK_BYTES - cut, digests).unwrap();
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
