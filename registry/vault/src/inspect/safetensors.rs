//! The header of a safetensors file, by the rules of the crate that everybody reads them with.

use std::io::{self, Read};

use safetensors::tensor::Metadata;

use super::{Flaw, Format, Inspected};

/// The format's own limit.
const HEADER_BYTES_MAX: u64 = 100_000_000;
const LENGTH_BYTES: u64 = 8;

pub(super) fn inspect(file: &mut impl Read, size_bytes: u64) -> io::Result<Inspected> {
    let mut inspected = Inspected::plain(Format::Safetensors);
    let mut length = Vec::new();
    file.take(LENGTH_BYTES).read_to_end(&mut length)?;
    let Ok(length) = <[u8; 8]>::try_from(length.as_slice()).map(u64::from_le_bytes) else {
        // Too short for even the length: nothing of the format is there.
        inspected.format = if size_bytes == 0 { Format::Empty } else { Format::Unknown };
        return Ok(inspected);
    };
    let rest_bytes = size_bytes.saturating_sub(LENGTH_BYTES);
    let flaw = match length {
        HEADER_BYTES_MAX.. if length > HEADER_BYTES_MAX => {
            Some(format!("it claims {length} bytes, more than the {HEADER_BYTES_MAX} that the format allows"))
        }
        _ if length > rest_bytes => Some(format!(
            "the header has {length} bytes, but the file has only {rest_bytes} after its length"
        )),
        _ => None,
    };
    if let Some(detail) = flaw {
        inspected.flaws.push(Flaw::bad(detail));
        return Ok(inspected);
    }
    match header(file, length)? {
        Ok(metadata) => count(&mut inspected, &metadata, length, size_bytes),
        Err(error) => inspected.flaws.push(Flaw::bad(error.to_string())),
    }
    Ok(inspected)
}

/// Parses the header as it streams by, so that its text is never held as a whole.
fn header(file: &mut impl Read, length: u64) -> io::Result<serde_json::Result<Metadata>> {
    let reader = io::BufReader::with_capacity(64 << 10, file.take(length));
    match serde_json::from_reader(reader) {
        Err(error) if error.is_io() => Err(error.into()),
        parsed => Ok(parsed),
    }
}

fn count(inspected: &mut Inspected, metadata: &Metadata, length: u64, size_bytes: u64) {
    for name in metadata.offset_keys() {
        if let Some(info) = metadata.info(&name) {
            inspected.count(format!("{}", info.dtype), info.shape.iter().map(|it| *it as u64));
        }
    }
    let declared_bytes = LENGTH_BYTES + length + metadata.data_len() as u64;
    if declared_bytes != size_bytes {
        inspected.flaws.push(Flaw::WrongSize { declared_bytes, actual_bytes: size_bytes });
    }
}
