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

use base::{Hasher, Sha256};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// The length of a chunk in a digest list.
pub const CHUNK_BYTES: u64 = 16 << 20;

const READ_BYTES: usize = 1 << 20;

/// What hashing a whole file gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) digest: Sha256,
    pub(crate) size_bytes: u64,
    pub(crate) chunks: Vec<Sha256>,
}

/// Hashes a stream as a whole and, if wished, chunk by chunk.
#[derive(Debug)]
pub(crate) struct Tally {
    whole: Hasher,
    chunk: Option<Hasher>,
    chunks: Vec<Sha256>,
}

impl Tally {
    pub(crate) fn new(list_chunks: bool) -> Self {
        Self { whole: Hasher::new(), chunk: list_chunks.then(Hasher::new), chunks: Vec::new() }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        let Some(chunk) = &mut self.chunk else { return };
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = usize::try_from(CHUNK_BYTES - chunk.length_bytes()).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(rest.len().min(room));
            chunk.update(now);
            if chunk.length_bytes() == CHUNK_BYTES {
                self.chunks.push(std::mem::take(chunk).finish());
            }
            rest = later;
        }
    }

    /// Hashes everything in a file.
    pub(crate) fn of_file(file: &File) -> io::Result<Counted> {
        let mut tally = Self::new(true);
        tally.read(file, u64::MAX, &AtomicBool::new(false))?;
        Ok(tally.finish())
    }

    pub(crate) fn finish(mut self) -> Counted {
        self.chunks.extend(self.chunk.filter(|it| it.length_bytes() > 0).map(Hasher::finish));
        Counted { size_bytes: self.whole.length_bytes(), digest: self.whole.finish(), chunks: self.chunks }
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
    list_chunks: bool,
) -> io::Result<Tally> {
    let mut tally = Tally::new(list_chunks);
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
    use super::*;

    #[test]
    fn a_stream_hashed_in_odd_pieces_gives_the_digest_of_the_whole_and_of_each_chunk() {
        let bytes = (0..(CHUNK_BYTES * 2 + 5)).map(|it| (it % 251) as u8).collect::<Vec<_>>();
        let mut tally = Tally::new(true);
        bytes.chunks(7_000_003).for_each(|it| tally.update(it));
        let counted = tally.finish();
        assert_eq!((counted.digest, counted.size_bytes), (Sha256::of(&bytes), bytes.len() as u64));
        let chunk_bytes = usize::try_from(CHUNK_BYTES).unwrap();
        let chunks = bytes.chunks(chunk_bytes).map(Sha256::of).collect::<Vec<_>>();
        assert_eq!(counted.chunks, chunks);
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
        let tally = follow(&file, &steps, &position, &AtomicBool::new(false), true).unwrap();
        assert_eq!(tally.finish().digest, Sha256::of(b"0123456789"));
        assert_eq!(position.into_inner(), 10);
        assert_eq!(budget.available_permits(), 8);
    }
}
