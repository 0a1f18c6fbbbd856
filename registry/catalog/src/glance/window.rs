//! A block of the index that moves along with the reader.

use std::{fs::File, io, os::unix::fs::FileExt, str::Utf8Error};

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
    /// Makes a window with room for so many bytes, through which nothing is seen yet.
    pub(super) fn new(source: &'s S, room: usize) -> Self {
        Self { source, start: 0, block: vec![0; room], filled: 0, cursor: 0 }
    }

    /// Opens it at a place.
    pub(super) fn open_at(&mut self, start: u64) {
        (self.start, self.filled, self.cursor) = (start, 0, 0);
        self.look_ahead();
    }

    /// Returns the place in the source.
    pub(super) fn place(&self) -> u64 {
        self.start + self.cursor as u64
    }

    /// Returns what is seen from here.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.block[self.cursor..self.filled]
    }

    /// Returns as much of it as is text.
    pub(super) fn text(&self) -> &str {
        let bytes = self.bytes();
        let text = |error: Utf8Error| str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        // The quick one does not say how far it came; most blocks do not end within a character.
        simdutf8::basic::from_utf8(bytes).or_else(|_| str::from_utf8(bytes)).unwrap_or_else(text)
    }

    /// Goes on, no farther than what is seen.
    pub(super) fn advance(&mut self, count: usize) {
        self.cursor = self.filled.min(self.cursor + count);
    }

    /// Says whether more is seen now, which needs room.
    pub(super) fn look_ahead(&mut self) -> bool {
        self.block.copy_within(self.cursor..self.filled, 0);
        self.start += self.cursor as u64;
        (self.filled, self.cursor) = (self.filled - self.cursor, 0);
        let before = self.filled;
        while self.filled < self.block.len() {
            match self.source.read_at(&mut self.block[self.filled..], self.start + self.filled as u64) {
                Ok(0) | Err(_) => break,
                Ok(count) => self.filled += count,
            }
        }
        self.filled > before
    }
}
