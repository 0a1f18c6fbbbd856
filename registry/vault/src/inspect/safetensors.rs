//! The header of a safetensors file.
//!
//! The rules are those of the crate `safetensors`, which also reads each tensor's line; a property test holds
//! the two to the same verdict. The crate itself takes a header as a whole and keeps all of it several times
//! over, and a hostile one may have 100 MB, so here it streams by and 16 bytes of each tensor are kept.

use std::{
    fmt,
    io::{self, Read},
};

use safetensors::tensor::TensorInfo;
use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};

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
    if length > HEADER_BYTES_MAX {
        let most =
            format!("it claims {length} bytes, more than the {HEADER_BYTES_MAX} that the format allows");
        inspected.flaws.push(Flaw::bad(most));
    } else if length > rest_bytes {
        let cut =
            format!("the header has {length} bytes, but the file has only {rest_bytes} after its length");
        inspected.flaws.push(Flaw::bad(cut));
    } else {
        read_header(file, length, size_bytes, &mut inspected)?;
    }
    Ok(inspected)
}

fn read_header(
    file: &mut impl Read,
    length: u64,
    size_bytes: u64,
    inspected: &mut Inspected,
) -> io::Result<()> {
    let mut json =
        serde_json::Deserializer::from_reader(io::BufReader::with_capacity(64 << 10, file.take(length)));
    let read = Header { inspected }.deserialize(&mut json).and_then(|it| json.end().map(|()| it));
    match read.map_err(|error| if error.is_io() { Err(error) } else { Ok(error.to_string()) }) {
        Ok(Ok(data_bytes)) => {
            let declared_bytes = data_bytes.saturating_add(LENGTH_BYTES + length);
            if declared_bytes != size_bytes {
                inspected.flaws.push(Flaw::WrongSize { declared_bytes, actual_bytes: size_bytes });
            }
        }
        Ok(Err(detail)) | Err(Ok(detail)) => inspected.flaws.push(Flaw::bad(detail)),
        Err(Err(error)) => return Err(error.into()),
    }
    Ok(())
}

/// Reads the header's map, counts its tensors, and returns how many bytes of data they describe, or which rule
/// they break.
struct Header<'a> {
    inspected: &'a mut Inspected,
}

impl<'de> DeserializeSeed<'de> for Header<'_> {
    type Value = Result<u64, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Header<'_> {
    type Value = Result<u64, String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut spans = Vec::new();
        let mut has_notes = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if std::mem::replace(&mut has_notes, true) {
                    return Err(de::Error::duplicate_field("__metadata__"));
                }
                map.next_value_seed(Texts { inspected: &mut *self.inspected })?;
                continue;
            }
            let info = map.next_value::<TensorInfo>()?;
            match data_bytes(&info) {
                Ok(()) => spans.push(info.data_offsets),
                Err(detail) => return drain(map).map(|()| Err(format!("tensor {name:?} {detail}"))),
            }
            self.inspected.count(info.dtype.to_string(), info.shape.iter().map(|it| *it as u64));
        }
        Ok(without_gaps(spans))
    }
}

/// Reads on to the end, since a map that is left half-way is an error of its own.
fn drain<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Holds a tensor's shape to its place.
fn data_bytes(info: &TensorInfo) -> Result<(), String> {
    let (start, end) = info.data_offsets;
    let numbers = info.shape.iter().try_fold(1_usize, |product, it| product.checked_mul(*it));
    let Some(bits) = numbers.and_then(|it| it.checked_mul(info.dtype.bitsize())) else {
        return Err("has more numbers than fit 64 bits".to_owned());
    };
    if bits % 8 != 0 {
        return Err(format!("has {bits} bits, no whole number of bytes"));
    }
    match end.checked_sub(start) {
        Some(bytes) if bytes == bits / 8 => Ok(()),
        _ => Err(format!("needs {} bytes, but its place is {start} to {end}", bits / 8)),
    }
}

/// Returns how many bytes the places cover together, if they cover them without a gap or an overlap.
fn without_gaps(mut spans: Vec<(usize, usize)>) -> Result<u64, String> {
    spans.sort_unstable();
    let mut covered = 0;
    for (start, end) in spans {
        if start != covered {
            return Err(format!("a tensor starts at {start}, but the one before it ends at {covered}"));
        }
        covered = end;
    }
    Ok(covered as u64)
}

/// A map of texts, or nothing. What matters of it is kept.
struct Texts<'a> {
    inspected: &'a mut Inspected,
}

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map of texts")
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, text)) = map.next_entry::<String, String>()? {
            self.inspected.state(&key, text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use safetensors::SafeTensors;

    fn tensor() -> impl Strategy<Value = String> {
        let dtype = prop::sample::select(vec!["F32", "F16", "BF16", "U8", "F4", "BOOL", "X1"]);
        let shape = prop::collection::vec(0..4_u64, 0..3);
        // Mostly the place that the shape asks for, so that many headers are good.
        (dtype, shape, 0..3_u64).prop_map(|(dtype, shape, slip)| {
            let width = match dtype {
                "F32" => 4,
                "F16" | "BF16" => 2,
                _ => 1,
            };
            let bytes = shape.iter().product::<u64>() * width + slip / 2;
            format!("\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[START,{bytes}]")
        })
    }

    fn file(tensors: &[String], notes: &str, more: usize) -> Vec<u8> {
        let mut start = 0;
        let mut lines = Vec::new();
        for (index, tensor) in tensors.iter().enumerate() {
            let (head, bytes) = tensor.trim_end_matches(']').rsplit_once(',').unwrap();
            let end = start + bytes.parse::<usize>().unwrap();
            lines.push(format!("\"t{index}\":{{{},{end}]}}", head.replace("START", &start.to_string())));
            start = end;
        }
        lines.reverse();
        lines.extend((!notes.is_empty()).then(|| format!("\"__metadata__\":{notes}")));
        let header = format!("{{{}}}", lines.join(","));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + start + more, 0);
        bytes
    }

    fn is_good(bytes: &[u8]) -> bool {
        inspect(&mut &bytes[..], bytes.len() as u64).unwrap().flaws.is_empty()
    }

    #[test]
    fn a_gap_an_overlap_and_a_wrong_place_are_named() {
        let check = |header: &str, flaw: &str| {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.resize(bytes.len() + 16, 0);
            let found = inspect(&mut &bytes[..], bytes.len() as u64).unwrap();
            assert_eq!(found.flaws.iter().map(ToString::to_string).collect::<Vec<_>>(), [flaw]);
        };
        let two = |first: &str, second: &str| {
            let line = |it: &str| format!("{{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":{it}}}");
            format!("{{\"a\":{},\"b\":{}}}", line(first), line(second))
        };
        let wrong = "its header is wrong: ";
        check(
            &two("[0,8]", "[9,17]"),
            &format!("{wrong}a tensor starts at 9, but the one before it ends at 8"),
        );
        check(
            &two("[0,8]", "[4,12]"),
            &format!("{wrong}a tensor starts at 4, but the one before it ends at 8"),
        );
        check(
            &two("[0,7]", "[7,15]"),
            &format!("{wrong}tensor \"a\" needs 8 bytes, but its place is 0 to 7"),
        );
        check(
            &two("[8,0]", "[7,15]"),
            &format!("{wrong}tensor \"a\" needs 8 bytes, but its place is 8 to 0"),
        );
    }

    proptest! {
        #[test]
        fn the_verdict_is_that_of_the_crate_that_everybody_reads_with(
            tensors in prop::collection::vec(tensor(), 0..4), more in prop::sample::select(vec![0, 0, 0, 1]),
            notes in prop::sample::select(vec!["", "", "{\"a\":\"b\"}", "{}", "null", "{\"a\":1}", "[]"]),
            flip in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut bytes = file(&tensors, notes, more);
            if let Some((at, byte)) = flip {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let theirs = SafeTensors::read_metadata(&bytes);
            prop_assert_eq!(is_good(&bytes), theirs.is_ok(), "{:?} {:?}", theirs, String::from_utf8_lossy(&bytes));
        }
    }
}
