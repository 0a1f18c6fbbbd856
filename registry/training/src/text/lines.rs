//! Lines of bounded length out of a stream.

use std::io::{self, BufRead as _, BufReader, Read};

use crate::LogError;

/// The longest line that is looked at.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// How many bytes came before the line at hand.
    offset: u64,
    next_offset: u64,
}

/// A line as it came.
pub(crate) enum Line<'l> {
    Whole(&'l str),
    TooLong,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(256 << 10, reader),
            line: Vec::new(),
            offset: 0,
            next_offset: 0,
        }
    }

    /// Returns the next line without its end, which is `\n` or, where a progress bar is drawn, `\r`.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>, LogError> {
        self.line.clear();
        self.offset = self.next_offset;
        let (mut too_long, mut any) = (false, false);
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if buffer.is_empty() {
                break;
            }
            any = true;
            let end = buffer.iter().position(|it| matches!(it, b'\n' | b'\r'));
            let part = &buffer[..end.unwrap_or(buffer.len())];
            if self.line.len() + part.len() > LINE_BYTES_MAX {
                too_long = true;
                self.line.clear();
            } else if !too_long {
                self.line.extend_from_slice(part);
            }
            let used = end.map_or(buffer.len(), |it| it + 1);
            self.reader.consume(used);
            self.next_offset += used as u64;
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        if too_long {
            return Ok(Some(Line::TooLong));
        }
        match std::str::from_utf8(&self.line) {
            Ok(text) => Ok(Some(Line::Whole(text))),
            Err(error) => Err(LogError::NotText { offset: self.offset + error.valid_up_to() as u64 }),
        }
    }
}
