//! One hashing cursor that follows the lowest contiguous offset of a file that is being written.
//!
//! It is given the bytes as they pass and reads from the file only what it missed: the part that an earlier
//! process left, and parts that arrived out of order. So the digest is known when the last byte is, and the
//! bytes are read back only where order demands it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::Receiver,
    },
};

use base::{Hasher, Midstate};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::chunks::ChunkList;

/// The length of a chunk: the unit in which damage is named and mended.
pub const CHUNK_BYTES: u64 = 16 << 20;

const READ_BYTES: usize = 1 << 20;

/// Hashes a stream, and notes the state at each boundary between two chunks as it passes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    whole: Hasher,
    midstates: Vec<Midstate>,
}

impl Tally {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let into_chunk = self.whole.length_bytes() % CHUNK_BYTES;
            if into_chunk == 0 && self.whole.length_bytes() > 0 {
                // Only now, as more follows: the end of the whole is no boundary.
                self.midstates.extend(self.whole.midstate());
            }
            let room = usize::try_from(CHUNK_BYTES - into_chunk).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(rest.len().min(room));
            self.whole.update(now);
            rest = later;
        }
    }

    /// Hashes everything in a file.
    pub(crate) fn of_file(file: &File) -> io::Result<ChunkList> {
        let mut tally = Self::default();
        tally.read(file, u64::MAX, &AtomicBool::new(false))?;
        Ok(tally.finish())
    }

    pub(crate) fn finish(self) -> ChunkList {
        let Self { whole, midstates } = self;
        ChunkList { size_bytes: whole.length_bytes(), digest: whole.finish(), midstates }
    }

    /// Reads from the file up to `end` or its own end, unless told to stop.
    fn read(&mut self, file: &File, end: u64, stop: &AtomicBool) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        while self.whole.length_bytes() < end && !stop.load(Ordering::Relaxed) {
            let left = usize::try_from(end - self.whole.length_bytes()).unwrap_or(usize::MAX);
            let wanted = left.min(READ_BYTES);
            match file.read_at(&mut buffer[..wanted], self.whole.length_bytes()) {
                Ok(0) => break,
                Ok(length) => self.update(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// News for the cursor.
pub(crate) enum Step {
    /// These bytes are in the file, and everything before them too.
    Bytes {
        /// Where they stand.
        offset: u64,
        /// What they are; saves reading them back.
        bytes: Bytes,
        /// Keeps the memory accounted for until the bytes are hashed.
        permit: OwnedSemaphorePermit,
    },
    /// The file is contiguous up to here.
    Reach(u64),
}

/// Follows the file until the steps end. `position` tells others how far it came.
pub(crate) fn follow(
    file: &File,
    steps: &Receiver<Step>,
    position: &AtomicU64,
    stop: &AtomicBool,
) -> io::Result<Tally> {
    let mut tally = Tally::default();
    while let Ok(step) = steps.recv() {
        match step {
            Step::Reach(end) => tally.read(file, end, stop)?,
            Step::Bytes { offset, bytes, permit } => {
                tally.read(file, offset, stop)?;
                let from = tally.whole.length_bytes().saturating_sub(offset);
                let fresh = usize::try_from(from).ok().and_then(|it| bytes.get(it..));
                if let Some(fresh) = fresh {
                    tally.update(fresh);
                }
                drop((bytes, permit));
            }
        }
        position.store(tally.whole.length_bytes(), Ordering::Relaxed);
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use base::Sha256;

    use super::*;

    #[test]
    fn a_stream_hashed_in_odd_pieces_gives_its_digest_and_lets_each_chunk_be_checked() {
        let bytes = (0..(CHUNK_BYTES * 2 + 5)).map(|it| (it % 251) as u8).collect::<Vec<_>>();
        let chunk_bytes = usize::try_from(CHUNK_BYTES).unwrap();
        for length in [0, 1, chunk_bytes, chunk_bytes + 1, 2 * chunk_bytes, bytes.len()] {
            let bytes = &bytes[..length];
            let mut tally = Tally::default();
            bytes.chunks(7_000_003).for_each(|it| tally.update(it));
            let list = tally.finish();
            assert_eq!((list.digest, list.size_bytes), (Sha256::of(bytes), length as u64));
            assert_eq!(
                ChunkList::new(list.digest, list.size_bytes, list.midstates.clone()),
                Some(list.clone())
            );
            for (index, chunk) in bytes.chunks(chunk_bytes).enumerate() {
                assert!(list.holds(index, chunk), "chunk {index} of {length} bytes");
                assert!(!list.holds(index, &chunk[1..]) && !list.holds(index + 1, chunk));
            }
        }
    }

    #[test]
    fn bytes_that_were_missed_are_read_back_and_bytes_that_come_twice_are_hashed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let (sender, steps) = std::sync::mpsc::sync_channel(8);
        let budget = std::sync::Arc::new(tokio::sync::Semaphore::new(8));
        let permit = || std::sync::Arc::clone(&budget).try_acquire_owned().unwrap();
        sender.send(Step::Reach(2)).unwrap();
        for (offset, bytes) in [(4, "456"), (1, "12"), (6, "678")] {
            sender.send(Step::Bytes { offset, bytes: Bytes::from(bytes), permit: permit() }).unwrap();
        }
        sender.send(Step::Reach(10)).unwrap();
        drop(sender);
        let position = AtomicU64::new(0);
        let tally = follow(&file, &steps, &position, &AtomicBool::new(false)).unwrap();
        assert_eq!(tally.finish().digest, Sha256::of(b"0123456789"));
        assert_eq!(position.into_inner(), 10);
        assert_eq!(budget.available_permits(), 8);
    }
}
