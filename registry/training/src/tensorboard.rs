//! Event files of TensorBoard: records with checksums, each a protobuf message.

use std::io::{self, BufReader, Read};

use prost::Message;

use crate::{
    LogError,
    recorder::{Found, Recorder},
};

/// Longer records hold pictures or sounds; they are passed over.
const RECORD_BYTES_MAX: u64 = 8 << 20;
/// The number that TensorFlow adds to a checksum, so that one of data with checksums in it is no trap.
const MASK: u32 = 0xa282_ead8;
const HEAD_BYTES: usize = 12;
/// The types of numbers in a tensor.
const FLOAT: i32 = 1;
const DOUBLE: i32 = 2;

/// One event, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Measured>,
}

#[derive(Clone, PartialEq, Message)]
struct Measured {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<Tensor>,
}

/// A tensor; only one that holds a single number is a metric.
#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(bytes = "vec", tag = "4")]
    content: Vec<u8>,
    #[prost(float, repeated, tag = "5")]
    floats: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    doubles: Vec<f64>,
}

/// Says whether some bytes begin with a record.
pub(crate) fn begins(start: &[u8]) -> bool {
    start.first_chunk::<HEAD_BYTES>().is_some_and(|head| length(head).is_some())
}

pub(crate) fn read(log: impl Read, recorder: &mut Recorder) -> Result<(), LogError> {
    let mut log = BufReader::with_capacity(256 << 10, log);
    let format = recorder.format();
    let (mut records, mut offset) = (0_u64, 0_u64);
    loop {
        let mut head = [0; HEAD_BYTES];
        match fill(&mut log, &mut head)? {
            0 => return Ok(()),
            HEAD_BYTES => {}
            _ => return recorder.cut(records),
        }
        let broken = |what: &str| {
            let detail = format!("{what} of the record at byte {offset} does not match its checksum");
            LogError::Broken { format, detail }
        };
        let Some(length) = length(&head) else { return Err(broken("the length")) };
        let Some((sum, data)) = body(&mut log, length)? else { return recorder.cut(records) };
        let mut written = [0; 4];
        if fill(&mut log, &mut written)? < written.len() {
            return recorder.cut(records);
        }
        if masked(sum) != u32::from_le_bytes(written) {
            return Err(broken("the data"));
        }
        if let Some(data) = data {
            let event = Event::decode(data.as_slice());
            take(&event.map_err(|it| LogError::Broken { format, detail: it.to_string() })?, recorder);
        }
        records += 1;
        offset = offset.saturating_add(HEAD_BYTES as u64 + 4 + length);
    }
}

fn take(event: &Event, recorder: &mut Recorder) {
    recorder.time(event.wall_time);
    for measured in event.summary.iter().flat_map(|it| &it.value) {
        if let Some(value) = measured.simple_value.map(widen).or_else(|| single(measured.tensor.as_ref()?)) {
            recorder.take(&measured.tag, Found::Number(value));
        }
    }
}

fn single(tensor: &Tensor) -> Option<f64> {
    match (tensor.dtype, tensor.floats.as_slice(), tensor.doubles.as_slice(), tensor.content.as_slice()) {
        (FLOAT, [value], ..) => Some(widen(*value)),
        (DOUBLE, _, [value], _) => Some(*value),
        (FLOAT, [], _, content) => content.try_into().ok().map(f32::from_le_bytes).map(widen),
        (DOUBLE, _, [], content) => content.try_into().ok().map(f64::from_le_bytes),
        _ => None,
    }
}

/// Returns the double that is written as the float is: 0.867, and not 0.8669999837875366.
fn widen(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// Reads a record's data, or only its checksum where it is too long. `None` if it ends early.
fn body(log: &mut impl Read, length: u64) -> io::Result<Option<(u32, Option<Vec<u8>>)>> {
    if length <= RECORD_BYTES_MAX {
        let mut data = Vec::new();
        log.take(length).read_to_end(&mut data)?;
        let whole = data.len() as u64 == length;
        return Ok(whole.then(|| (crc32c::crc32c(&data), Some(data))));
    }
    let (mut sum, mut left) = (0, length);
    let mut buffer = vec![0; 64 << 10];
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = fill(log, &mut buffer[..wanted])?;
        if read < wanted {
            return Ok(None);
        }
        sum = crc32c::crc32c_append(sum, &buffer[..read]);
        left -= read as u64;
    }
    Ok(Some((sum, None)))
}

/// Returns the length that a head speaks of, if its checksum holds.
fn length(head: &[u8; HEAD_BYTES]) -> Option<u64> {
    let (length, sum) = head.split_at(8);
    let written = u32::from_le_bytes(sum.try_into().ok()?);
    (masked(crc32c::crc32c(length)) == written).then_some(u64::from_le_bytes(length.try_into().ok()?))
}

fn masked(sum: u32) -> u32 {
    sum.rotate_right(15).wrapping_add(MASK)
}

/// Fills a buffer as far as the log goes.
pub(crate) fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match log.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
