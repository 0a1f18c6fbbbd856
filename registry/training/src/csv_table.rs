//! A table with a row for each step, and a column for each metric. A cell may be empty: not every step measures all.

use std::io::{self, Read};

use crate::{
    LogError,
    recorder::{Found, Recorder, number},
    text::LINE_BYTES_MAX,
};

pub(crate) fn read(log: impl Read, recorder: &mut Recorder) -> Result<(), LogError> {
    let log = ShortLines { reader: log, length: 0 };
    let mut table = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(log);
    let format = recorder.format();
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            LogError::Broken { format, detail: error.to_string() }
        }
        csv::ErrorKind::Io(error) => LogError::Io(error),
        csv::ErrorKind::Utf8 { pos, err } => {
            LogError::NotText { offset: pos.map_or(0, |it| it.byte()) + err.valid_up_to() as u64 }
        }
        other => LogError::Broken { format, detail: format!("{other:?}") },
    };
    let columns = table.headers().map_err(failed)?.clone();
    let mut row = csv::StringRecord::new();
    let (mut rows, mut short) = (0_u64, false);
    while table.read_record(&mut row).map_err(failed)? {
        rows += 1;
        // A run that is killed, or still at work, may leave half a row: no cell of it is sure to be whole.
        short = row.len() < columns.len();
        if short {
            continue;
        }
        for (name, cell) in columns.iter().zip(&row) {
            match number(cell) {
                Some(value) => recorder.take(name, Found::Number(value)),
                None => recorder.take(name, Found::Text(cell)),
            }
        }
    }
    if short {
        return recorder.cut(rows - 1);
    }
    Ok(())
}

/// A reader that stops at a line that is longer than any table's.
struct ShortLines<R> {
    reader: R,
    length: usize,
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.length = match buffer[..length].iter().rposition(|it| *it == b'\n') {
            Some(at) => length - at,
            None => self.length + length,
        };
        if self.length > LINE_BYTES_MAX {
            let message = format!("a line of it is longer than {LINE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(length)
    }
}
