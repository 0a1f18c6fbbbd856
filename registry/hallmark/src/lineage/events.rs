//! A ledger in a file: one event a line.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read as _},
    path::Path,
};

use ::lineage::{Event, Graph};
use anyhow::Context as _;

/// The longest line that is read.
pub(super) const LINE_BYTES_MAX: u64 = 64 << 20;

/// Reads a file line by line, each of bounded length.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    line: Vec<u8>,
}

impl Lines<BufReader<File>> {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        Ok(Self::of(BufReader::new(file)))
    }
}

impl<R: BufRead> Lines<R> {
    pub(super) fn of(reader: R) -> Self {
        Self { reader, number: 0, line: Vec::new() }
    }

    /// Returns the next line that is not empty, and its number from 1.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<(u64, &str)>> {
        loop {
            self.line.clear();
            self.number += 1;
            let number = self.number;
            let length = (&mut self.reader).take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut self.line);
            let length = length.with_context(|| format!("read line {number}"))?;
            anyhow::ensure!(length as u64 <= LINE_BYTES_MAX, "line {number} is longer than 64 MiB");
            if length == 0 {
                return Ok(None);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let text = std::str::from_utf8(line).with_context(|| format!("line {} is no UTF-8", self.number))?;
        Ok(Some((self.number, text)))
    }
}

/// A ledger that was read, and its last sequence.
pub(super) struct Ledger {
    pub(super) graph: Graph,
    pub(super) newest: u64,
}

/// Reads a ledger. An event that does not say its place has that of its line. To look up names, the lines have to be in
/// the ledger's order.
pub(super) fn read(path: &Path, by_name: bool) -> anyhow::Result<Ledger> {
    let mut lines = Lines::open(path)?;
    let mut ledger = Ledger { graph: Graph::new(), newest: 0 };
    while let Some((number, line)) = lines.next().with_context(|| format!("read {}", path.display()))? {
        let place = || format!("{}, line {number}", path.display());
        let mut event: Event = serde_json::from_str(line).with_context(place)?;
        if event.seq == 0 {
            event.seq = number;
        }
        ledger.newest = ledger.newest.max(event.seq);
        let pushed = if by_name { ledger.graph.push_by_name(&event) } else { ledger.graph.push(&event) };
        pushed.with_context(place)?;
    }
    ledger.graph.seal();
    Ok(ledger)
}
