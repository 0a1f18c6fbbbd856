//! A block of the index that moves along with the reader.

use std::{fs::File, io, os::unix::fs::FileExt};

use crate::document::{Document, Slots};

/// How much of the index stands in memory for each core: little enough for the core's own cache.
const BLOCK_BYTES: usize = 512 << 10;

/// So much can always be seen ahead. A longer entry is for others to read.
const AHEAD_BYTES: usize = 64 << 10;

/// Something that can be read at any place, by several at once.
pub(crate) trait Source: Sync {
    /// Returns how many bytes there are.
    fn size(&self) -> io::Result<u64>;

    /// Reads some bytes; none only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl Source for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|it| it.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

impl Source for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|it| self.get(it..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// What can be seen of a source from a place in it. A source that cannot be read is seen as one that ends.
pub(super) struct Window<'s, S: ?Sized> {
    source: &'s S,
    /// Where in the source the block begins.
    start: u64,
    block: Vec<u8>,
    filled: usize,
    cursor: usize,
}

impl<'s, S: Source + ?Sized> Window<'s, S> {
    pub(super) fn open(source: &'s S, start: u64) -> Self {
        let mut window = Self { source, start, block: vec![0; BLOCK_BYTES], filled: 0, cursor: 0 };
        window.look_ahead();
        window
    }

    /// Returns the place in the source.
    pub(super) fn place(&self) -> u64 {
        self.start + self.cursor as u64
    }

    /// Returns what is seen from here.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.block[self.cursor..self.filled]
    }

    /// Reads the value that begins here, and says how long it is.
    pub(super) fn document(&self, slots: &mut Slots) -> Option<(Document<'_>, usize)> {
        Document::first(self.bytes(), slots)
    }

    /// Goes on, no farther than what is seen.
    pub(super) fn advance(&mut self, count: usize) {
        self.cursor = self.filled.min(self.cursor + count);
    }

    /// Goes on to what is no white space, and returns it.
    pub(super) fn next_byte(&mut self) -> Option<u8> {
        loop {
            self.look_ahead();
            let blank = |it: &&u8| matches!(it, b' ' | b'\n' | b'\r' | b'\t');
            let blanks = self.bytes().iter().take_while(blank).count();
            self.advance(blanks);
            match self.bytes().first() {
                Some(byte) => return Some(*byte),
                // Not one blank was left: this is the end.
                None if blanks == 0 => return None,
                None => {}
            }
        }
    }

    fn look_ahead(&mut self) {
        if self.filled - self.cursor >= AHEAD_BYTES {
            return;
        }
        self.block.copy_within(self.cursor..self.filled, 0);
        self.start += self.cursor as u64;
        (self.filled, self.cursor) = (self.filled - self.cursor, 0);
        while self.filled < BLOCK_BYTES {
            match self.source.read_at(&mut self.block[self.filled..], self.start + self.filled as u64) {
                Ok(0) | Err(_) => return,
                Ok(count) => self.filled += count,
            }
        }
    }
}
