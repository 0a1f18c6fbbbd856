//! The frame of a run log: `LevelDB`'s log format behind a header of W&B's own.
//!
//! Blocks of 32 KiB hold chunks of records, each with its checksum, its length, and whether it is a record's first,
//! middle or last; what is left of a block that has no room for another chunk is zero.

use std::io::{BufReader, Read};

use crate::{LogError, tensorboard::fill};

const HEADER: [u8; 7] = [b':', b'W', b'&', b'B', 0xe1, 0xbe, 0];
const BLOCK_BYTES: usize = 32 << 10;
const CHUNK_HEAD_BYTES: usize = 7;
/// Longer records hold no measurements.
const RECORD_BYTES_MAX: usize = 8 << 20;

const WHOLE: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

pub(super) struct Blocks<R> {
    log: BufReader<R>,
    offset: u64,
    record: Vec<u8>,
}

/// What comes next.
pub(super) enum Next<'b> {
    Record(&'b [u8]),
    /// A record that is longer than any that matters.
    TooLong,
    /// The log ends within a record.
    Cut,
    Broken {
        offset: u64,
    },
    End,
}

/// Says whether some bytes begin as a run log does.
pub(crate) fn begins(start: &[u8]) -> bool {
    start.starts_with(&HEADER)
}

impl<R: Read> Blocks<R> {
    pub(super) fn open(log: R) -> Result<Self, LogError> {
        let mut log = BufReader::with_capacity(BLOCK_BYTES, log);
        fill(&mut log, &mut [0; HEADER.len()])?;
        Ok(Self { log, offset: HEADER.len() as u64, record: Vec::new() })
    }

    pub(super) fn next(&mut self) -> Result<Next<'_>, LogError> {
        self.record.clear();
        let (mut open, mut too_long) = (false, false);
        loop {
            let room = BLOCK_BYTES - usize::try_from(self.offset % BLOCK_BYTES as u64).unwrap_or_default();
            if room < CHUNK_HEAD_BYTES {
                let mut rest = [0; CHUNK_HEAD_BYTES];
                self.offset += fill(&mut self.log, &mut rest[..room])? as u64;
            }
            let at = self.offset;
            let mut head = [0; CHUNK_HEAD_BYTES];
            match fill(&mut self.log, &mut head)? {
                0 if open => return Ok(Next::Cut),
                0 => return Ok(Next::End),
                CHUNK_HEAD_BYTES => {}
                _ => return Ok(Next::Cut),
            }
            let [a, b, c, d, low, high, kind] = head;
            let (sum, length) = (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([low, high]));
            let mut data = vec![0; usize::from(length)];
            if fill(&mut self.log, &mut data)? < data.len() {
                return Ok(Next::Cut);
            }
            self.offset += (CHUNK_HEAD_BYTES + data.len()) as u64;
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&[kind]);
            hasher.update(&data);
            let begins = matches!(kind, WHOLE | FIRST);
            if hasher.finalize() != sum || !(WHOLE..=LAST).contains(&kind) || begins == open {
                return Ok(Next::Broken { offset: at });
            }
            open = true;
            too_long |= self.record.len() + data.len() > RECORD_BYTES_MAX;
            if too_long {
                self.record.clear();
            } else {
                self.record.extend(data);
            }
            if matches!(kind, WHOLE | LAST) {
                return Ok(if too_long { Next::TooLong } else { Next::Record(&self.record) });
            }
        }
    }
}
