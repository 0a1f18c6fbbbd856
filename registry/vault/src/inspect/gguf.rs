//! The header of a GGUF file, read with a bound on everything that it claims.

use std::io::{self, Read};

use super::{Flaw, Format, Inspected, statement};

/// More than any real model has; a header that claims more is wrong or hostile.
const TENSORS_MAX: u64 = 1 << 20;
const PAIRS_MAX: u64 = 1 << 16;
const KEY_BYTES_MAX: u64 = 1 << 16;
/// Tokens, merges and scores of the largest vocabularies fit many times over.
const HEADER_BYTES_MAX: u64 = 1 << 30;
const ARRAYS_DEEP_MAX: u32 = 4;
const DIMENSIONS_MAX: u32 = 8;
const ALIGNMENT_DEFAULT: u64 = 32;

const STRING: u32 = 8;
const ARRAY: u32 = 9;

pub(super) fn inspect(file: &mut impl Read, size_bytes: u64) -> io::Result<Inspected> {
    let mut inspected = Inspected::plain(Format::Gguf);
    let mut header = Header { reader: io::BufReader::with_capacity(256 << 10, file), read_bytes: 0 };
    match header.walk(&mut inspected, size_bytes) {
        Ok(()) => {}
        Err(Stop::Flaw(flaw)) => inspected.flaws.push(flaw),
        Err(Stop::Broken(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            inspected.flaws.push(Flaw::bad(format!("the file ends within it, after {size_bytes} bytes")));
        }
        Err(Stop::Broken(error)) => return Err(error),
    }
    Ok(inspected)
}

/// Why the walk ended early.
enum Stop {
    Flaw(Flaw),
    Broken(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

struct Header<R> {
    reader: R,
    read_bytes: u64,
}

impl<R: Read> Header<R> {
    fn walk(&mut self, inspected: &mut Inspected, size_bytes: u64) -> Result<(), Stop> {
        self.skip(4)?;
        let version = self.u32()?;
        if !matches!(version, 2 | 3) {
            return Err(flaw(format!("version {version} is none that hallmark reads (2 and 3)")));
        }
        let (tensors, pairs) =
            (self.bounded("tensors", TENSORS_MAX)?, self.bounded("metadata pairs", PAIRS_MAX)?);
        let mut alignment = ALIGNMENT_DEFAULT;
        for _ in 0..pairs {
            let key = self.text("a metadata key")?;
            let kind = self.u32()?;
            match (key.as_str(), kind) {
                ("general.architecture", STRING) => {
                    inspected.architecture = Some(self.text("the architecture")?);
                }
                (key, STRING) if statement(key).is_some() => {
                    let text = self.text("a statement")?;
                    inspected.state(key, text);
                }
                ("general.alignment", 4) => alignment = u64::from(self.u32()?),
                _ => self.pass_value(kind, 0)?,
            }
        }
        if alignment == 0 || !alignment.is_power_of_two() {
            return Err(flaw(format!("general.alignment is {alignment}, not a power of two")));
        }
        let mut end = 0_u64;
        for _ in 0..tensors {
            end = end.max(self.tensor(inspected, alignment)?);
        }
        let data_start = self.read_bytes.next_multiple_of(alignment);
        // Writers may or may not pad the last tensor, so its own end is what has to be there.
        let declared_bytes = if tensors == 0 { self.read_bytes } else { data_start.saturating_add(end) };
        let padded_bytes = declared_bytes.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        if size_bytes < declared_bytes || size_bytes > padded_bytes {
            inspected.flaws.push(Flaw::WrongSize { declared_bytes, actual_bytes: size_bytes });
        }
        Ok(())
    }

    /// Reads one tensor's description; returns where its data ends, counted from the start of all data.
    fn tensor(&mut self, inspected: &mut Inspected, alignment: u64) -> Result<u64, Stop> {
        let name = self.text("a tensor's name")?;
        let dimensions = self.u32()?;
        if dimensions > DIMENSIONS_MAX {
            return Err(flaw(format!(
                "tensor {name:?} has {dimensions} dimensions, more than {DIMENSIONS_MAX}"
            )));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(self.u64()?);
        }
        let (kind, offset) = (self.u32()?, self.u64()?);
        let Some(numbers) = shape.iter().try_fold(1_u64, |product, it| product.checked_mul(*it)) else {
            return Err(flaw(format!("tensor {name:?} has more numbers than fit 64 bits")));
        };
        if offset % alignment != 0 {
            return Err(flaw(format!("tensor {name:?} starts at {offset}, no multiple of {alignment}")));
        }
        inspected.count(dtype(kind).map_or("unknown", |it| it.0).to_owned(), shape);
        // Of a type that is newer than this reader only the start is known.
        let Some((_, block_numbers, block_bytes)) = dtype(kind) else { return Ok(offset) };
        if numbers % block_numbers != 0 {
            return Err(flaw(format!(
                "tensor {name:?} has {numbers} numbers, no multiple of {block_numbers}"
            )));
        }
        let end = (numbers / block_numbers).checked_mul(block_bytes).and_then(|it| it.checked_add(offset));
        end.ok_or_else(|| flaw(format!("tensor {name:?} ends beyond 64 bits")))
    }

    fn pass_value(&mut self, kind: u32, depth: u32) -> Result<(), Stop> {
        match (width(kind), kind) {
            (Some(bytes), _) => self.skip(bytes),
            (None, STRING) => {
                let length = self.u64()?;
                self.skip(length)
            }
            (None, ARRAY) if depth < ARRAYS_DEEP_MAX => {
                let (kind, length) = (self.u32()?, self.u64()?);
                if let Some(bytes) = width(kind) {
                    return self.skip(length.saturating_mul(bytes));
                }
                // Each element takes bytes, so the bound on the header bounds this loop too.
                (0..length).try_for_each(|_| self.pass_value(kind, depth + 1))
            }
            (None, ARRAY) => Err(flaw(format!("arrays within arrays go deeper than {ARRAYS_DEEP_MAX}"))),
            (None, _) => Err(flaw(format!("a metadata value has the unknown type {kind}"))),
        }
    }

    fn bounded(&mut self, what: &str, most: u64) -> Result<u64, Stop> {
        let count = self.u64()?;
        if count > most {
            return Err(flaw(format!("it claims {count} {what}, more than the {most} that hallmark reads")));
        }
        Ok(count)
    }

    fn text(&mut self, what: &str) -> Result<String, Stop> {
        let length = self.u64()?;
        if length > KEY_BYTES_MAX {
            return Err(flaw(format!(
                "{what} has {length} bytes, more than the {KEY_BYTES_MAX} that hallmark reads"
            )));
        }
        self.advance(length)?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.reader.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| flaw(format!("{what} is not UTF-8")))
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        let mut bytes = [0; 4];
        self.advance(4)?;
        self.reader.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, Stop> {
        let mut bytes = [0; 8];
        self.advance(8)?;
        self.reader.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn skip(&mut self, length: u64) -> Result<(), Stop> {
        self.advance(length)?;
        if io::copy(&mut (&mut self.reader).take(length), &mut io::sink())? < length {
            return Err(Stop::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    fn advance(&mut self, length: u64) -> Result<(), Stop> {
        self.read_bytes = self.read_bytes.saturating_add(length);
        if self.read_bytes > HEADER_BYTES_MAX {
            return Err(flaw(format!(
                "it goes on for more than the {HEADER_BYTES_MAX} bytes that hallmark reads"
            )));
        }
        Ok(())
    }
}

fn flaw(detail: String) -> Stop {
    Stop::Flaw(Flaw::BadHeader { detail })
}

/// Returns how many bytes a metadata value of a plain type has.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Returns a data type's name, how many numbers make a block, and how many bytes that block has.
fn dtype(kind: u32) -> Option<(&'static str, u64, u64)> {
    Some(match kind {
        0 => ("F32", 1, 4),
        1 => ("F16", 1, 2),
        2 => ("Q4_0", 32, 18),
        3 => ("Q4_1", 32, 20),
        6 => ("Q5_0", 32, 22),
        7 => ("Q5_1", 32, 24),
        8 => ("Q8_0", 32, 34),
        9 => ("Q8_1", 32, 40),
        10 => ("Q2_K", 256, 84),
        11 => ("Q3_K", 256, 110),
        12 => ("Q4_K", 256, 144),
        13 => ("Q5_K", 256, 176),
        14 => ("Q6_K", 256, 210),
        15 => ("Q8_K", 256, 292),
        16 => ("IQ2_XXS", 256, 66),
        17 => ("IQ2_XS", 256, 74),
        18 => ("IQ3_XXS", 256, 98),
        19 => ("IQ1_S", 256, 50),
        20 => ("IQ4_NL", 32, 18),
        21 => ("IQ3_S", 256, 110),
        22 => ("IQ2_S", 256, 82),
        23 => ("IQ4_XS", 256, 136),
        24 => ("I8", 1, 1),
        25 => ("I16", 1, 2),
        26 => ("I32", 1, 4),
        27 => ("I64", 1, 8),
        28 => ("F64", 1, 8),
        29 => ("IQ1_M", 256, 56),
        30 => ("BF16", 1, 2),
        34 => ("TQ1_0", 256, 54),
        35 => ("TQ2_0", 256, 66),
        39 => ("MXFP4", 32, 17),
        40 => ("NVFP4", 64, 36),
        41 => ("Q1_0", 128, 18),
        _ => return None,
    })
}
