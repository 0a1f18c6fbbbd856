//! Looks inside an artifact: what it is, how many tensors of which kind, and whether it is what its name says.
//!
//! - Only headers are read, with bounds; no tensor is loaded and nothing is executed.
//! - Whatever the bytes are, the answer is an [`Inspected`] with flaws, never a panic; an error means only that
//!   the file could not be read.
//! - Memory does not grow with the file, only with its header, and that has a bound.

mod gguf;
mod pickle;
mod safetensors;

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{DiskError, durable::at};

/// What a look inside found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspected {
    /// What the bytes are, whatever the name says.
    pub format: Format,
    /// The model's architecture, where the file names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// What else the file states about itself: `license`, `author`, `description`, as they are written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stated: BTreeMap<String, String>,
    /// How many tensors the header declares.
    pub tensors: u64,
    /// How many numbers they hold together.
    pub parameters: u64,
    /// How many tensors there are of each data type.
    pub dtypes: BTreeMap<String, u64>,
    /// What is wrong, in words and as a kind to act on.
    pub flaws: Vec<Flaw>,
}

/// What a file is, by its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Tensors with a JSON header; cannot hold code.
    Safetensors,
    /// Tensors of llama.cpp and its kin; cannot hold code.
    Gguf,
    /// A Python pickle: loading it runs what it says.
    Pickle,
    /// A zip with a pickle inside, as `torch.save` writes it: loading it runs what it says.
    PytorchZip,
    /// Another zip.
    Zip,
    /// An ONNX graph.
    Onnx,
    /// Text in JSON.
    Json,
    /// Other text.
    Text,
    /// No bytes at all.
    Empty,
    /// None of these.
    Unknown,
}

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Flaw {
    /// The name promises a format that the bytes are not.
    Disguised {
        /// What the name says.
        named: Format,
        /// What the bytes are.
        found: Format,
    },
    /// The header breaks a rule of its format.
    BadHeader {
        /// Which rule, and where.
        detail: String,
    },
    /// The header speaks of more or fewer bytes than the file has: cut, or with something appended.
    WrongSize {
        /// How many bytes the header speaks of.
        declared_bytes: u64,
        /// How many there are.
        actual_bytes: u64,
    },
    /// Loading the file may run code that it carries.
    CanRunCode {
        /// What it is.
        found: Format,
    },
}

impl Flaw {
    fn bad(detail: impl Into<String>) -> Self {
        Self::BadHeader { detail: detail.into() }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disguised { named, found } => {
                write!(out, "its name says {named}, but its bytes are {found}")
            }
            Self::BadHeader { detail } => write!(out, "its header is wrong: {detail}"),
            Self::WrongSize { declared_bytes, actual_bytes } => {
                write!(out, "its header speaks of {declared_bytes} bytes, but the file has {actual_bytes}")
            }
            Self::CanRunCode { found } => {
                write!(out, "it is {found}: to load it can run code that it carries")
            }
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "GGUF",
            Self::Pickle => "a Python pickle",
            Self::PytorchZip => "a PyTorch zip with a pickle inside",
            Self::Zip => "a zip",
            Self::Onnx => "ONNX",
            Self::Json => "JSON",
            Self::Text => "text",
            Self::Empty => "empty",
            Self::Unknown => "of no format that hallmark knows",
        })
    }
}

impl Inspected {
    fn plain(format: Format) -> Self {
        let (architecture, stated, dtypes, flaws) = (None, BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { format, architecture, stated, tensors: 0, parameters: 0, dtypes, flaws }
    }

    /// Takes a statement, if it is one that matters and no longer than a person would write it.
    fn state(&mut self, key: &str, text: String) {
        if text.trim().is_empty() || text.len() > STATEMENT_BYTES_MAX {
            return;
        }
        match statement(key) {
            Some("architecture") => self.architecture = Some(text),
            Some(name) => drop(self.stated.insert(name.to_owned(), text)),
            None => {}
        }
    }

    /// Counts one tensor of this shape.
    fn count(&mut self, dtype: String, shape: impl IntoIterator<Item = u64>) {
        self.tensors = self.tensors.saturating_add(1);
        let numbers = shape.into_iter().fold(1_u64, u64::saturating_mul);
        self.parameters = self.parameters.saturating_add(numbers);
        *self.dtypes.entry(dtype).or_default() += 1;
    }
}

/// Looks inside a file. `name` is the one that the catalog gives it; a file on the shelf has none.
pub fn inspect(path: &Path, name: &str) -> Result<Inspected, DiskError> {
    let file = File::open(path).map_err(at("open", path))?;
    let size_bytes = file.metadata().map_err(at("look at", path))?.len();
    inspect_reader(file, size_bytes, name).map_err(at("look inside", path))
}

/// Looks inside bytes that can be sought in.
pub fn inspect_reader(mut file: impl Read + Seek, size_bytes: u64, name: &str) -> io::Result<Inspected> {
    let mut start = Vec::new();
    (&mut file).take(SNIFF_BYTES).read_to_end(&mut start)?;
    let found = sniff(&start);
    file.seek(SeekFrom::Start(0))?;
    let mut inspected = match (named(name), found) {
        // A file named so is held to that format's rules unless it is plainly another.
        (_, Format::Safetensors) | (Some(Format::Safetensors), Format::Unknown | Format::Empty) => {
            safetensors::inspect(&mut file, size_bytes)?
        }
        (_, Format::Gguf) => gguf::inspect(&mut file, size_bytes)?,
        (_, Format::Zip) => Inspected::plain(pickle::zip_kind(&mut file, size_bytes)?),
        (_, found) => Inspected::plain(found),
    };
    if let Some(named) = named(name)
        && named != inspected.format
    {
        inspected.flaws.push(Flaw::Disguised { named, found: inspected.format });
    }
    if matches!(inspected.format, Format::Pickle | Format::PytorchZip) {
        inspected.flaws.push(Flaw::CanRunCode { found: inspected.format });
    }
    Ok(inspected)
}

const SNIFF_BYTES: u64 = 4096;
const STATEMENT_BYTES_MAX: usize = 4 << 10;

/// Returns what a key of a file's metadata is about: GGUF's own keys, and those of the model spec for safetensors.
fn statement(key: &str) -> Option<&'static str> {
    let name = key.strip_prefix("general.").or_else(|| key.strip_prefix("modelspec.")).unwrap_or(key);
    ["architecture", "author", "description", "license"].into_iter().find(|it| *it == name)
}

/// Tells the format from the first bytes.
fn sniff(start: &[u8]) -> Format {
    let header_starts = start.get(8..).is_some_and(|it| it.trim_ascii_start().starts_with(b"{"));
    match start {
        [] => Format::Empty,
        _ if start.starts_with(b"GGUF") => Format::Gguf,
        _ if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") => Format::Zip,
        _ if pickle::is_pickle(start) => Format::Pickle,
        // Eight bytes of length whose upper four are zero: no text begins like this.
        [_, _, _, _, 0, 0, 0, 0, ..] if header_starts => Format::Safetensors,
        _ if is_text(start) => match start.trim_ascii_start().first() {
            Some(b'{' | b'[') => Format::Json,
            _ => Format::Text,
        },
        _ if is_onnx(start) => Format::Onnx,
        _ => Format::Unknown,
    }
}

/// Tells what a file's name promises, or `None` if nothing that could be checked.
fn named(name: &str) -> Option<Format> {
    match Path::new(name).extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "safetensors" => Some(Format::Safetensors),
        "gguf" => Some(Format::Gguf),
        "onnx" => Some(Format::Onnx),
        "json" => Some(Format::Json),
        _ => None,
    }
}

fn is_text(start: &[u8]) -> bool {
    let unlike_text = |it: &u8| it.is_ascii_control() && !matches!(it, b'\t' | b'\n' | b'\r' | 0x0c);
    let text = match std::str::from_utf8(start) {
        Ok(_) => true,
        // The end of what was read may have cut a character.
        Err(error) => error.error_len().is_none() && error.valid_up_to() + 4 > start.len(),
    };
    text && !start.iter().any(unlike_text)
}

/// ONNX has no mark; it is a protobuf that begins with its version (field 1, a small number) and then has
/// the producer's name (field 2), a domain (4) or the graph (7), each with a length.
fn is_onnx(start: &[u8]) -> bool {
    matches!(start, [0x08, 1..=0x40, 0x12 | 0x22 | 0x3a | 0x42, ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    pub(super) fn look(bytes: &[u8], name: &str) -> Inspected {
        inspect_reader(Cursor::new(bytes), bytes.len() as u64, name).unwrap()
    }

    fn safetensors(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    #[test]
    fn what_a_file_is_shows_in_its_bytes_not_in_its_name() {
        let check = |bytes: &[u8], name: &str, format: Format, flaws: &[&str]| {
            let found = look(bytes, name);
            let texts = found.flaws.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(
                (found.format, texts.iter().map(String::as_str).collect::<Vec<_>>()),
                (format, flaws.to_vec())
            );
        };
        let pickle = b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x02os\x94.";
        let runs = "it is a Python pickle: to load it can run code that it carries";
        let disguised = "its name says safetensors, but its bytes are a Python pickle";
        check(b"", "config.json", Format::Empty, &["its name says JSON, but its bytes are empty"]);
        check(b"{\"a\": 1}", "config.json", Format::Json, &[]);
        check(b"# a card\n", "README.md", Format::Text, &[]);
        check("caf\u{e9}".as_bytes(), "README.md", Format::Text, &[]);
        check(pickle, "model.bin", Format::Pickle, &[runs]);
        check(pickle, "model.safetensors", Format::Pickle, &[disguised, runs]);
        check(
            b"<html>not found</html>",
            "m.gguf",
            Format::Text,
            &["its name says GGUF, but its bytes are text"],
        );
        check(b"\x08\x08\x12\x07pytorch", "m.onnx", Format::Onnx, &[]);
        check(b"\x00\x01\x02\x03", "x", Format::Unknown, &[]);
    }

    #[test]
    fn a_good_safetensors_file_is_counted() {
        let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
            "b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"F32","shape":[],"data_offsets":[32,36]}}"#;
        let found = look(&safetensors(header, 36), "m.safetensors");
        assert_eq!((found.format, found.tensors, found.parameters), (Format::Safetensors, 3, 11));
        assert_eq!(found.dtypes, BTreeMap::from([("BF16".to_owned(), 1), ("F32".to_owned(), 2)]));
        assert_eq!((found.flaws, found.architecture, found.stated.len()), (vec![], None, 0));
    }

    #[test]
    fn what_a_file_states_about_itself_is_kept_if_it_matters() {
        let header = r#"{"__metadata__":{"format":"pt","modelspec.license":"MIT","modelspec.architecture":"bert","author":"A"}}"#;
        let found = look(&safetensors(header, 0), "m.safetensors");
        let stated =
            [("author", "A"), ("license", "MIT")].map(|(key, text)| (key.to_owned(), text.to_owned()));
        assert_eq!((found.architecture.as_deref(), found.stated), (Some("bert"), BTreeMap::from(stated)));
        let mut gguf = b"GGUF\x03\0\0\0".to_vec();
        gguf.extend([0_u64, 2].map(u64::to_le_bytes).concat());
        for (key, text) in [("general.license", "apache-2.0"), ("general.architecture", "llama")] {
            for part in [key, text] {
                if part == text {
                    gguf.extend(8_u32.to_le_bytes());
                }
                gguf.extend((part.len() as u64).to_le_bytes());
                gguf.extend(part.as_bytes());
            }
        }
        let found = look(&gguf, "m.gguf");
        assert_eq!(
            (found.architecture.as_deref(), &found.stated["license"][..]),
            (Some("llama"), "apache-2.0")
        );
    }

    #[test]
    fn a_safetensors_file_that_breaks_the_rules_says_which() {
        let one = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let check = |bytes: &[u8], flaw: &str| {
            let found = look(bytes, "m.safetensors");
            assert!(found.flaws.iter().any(|it| it.to_string().contains(flaw)), "{flaw}: {:?}", found.flaws);
        };
        check(&safetensors(one, 7), "speaks of 70 bytes, but the file has 69");
        check(&safetensors(one, 9), "speaks of 70 bytes, but the file has 71");
        check(
            &safetensors(one, 8)[..30],
            "the header has 54 bytes, but the file has only 22 after its length",
        );
        check(&safetensors(&one.replace("8]", "9]"), 9), "its header is wrong");
        check(&safetensors(&one.replace("F32", "F99"), 8), "F99");
        check(&safetensors(&one.replace("[2]", "[18446744073709551615,3]"), 8), "its header is wrong");
        check(&safetensors("{\"a\":", 8), "its header is wrong");
        check(b"\xff\xff\xff\xff\x00\x00\x00\x00{", "more than the 100000000 that the format allows");
        check(b"\x01", "its bytes are");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, start in prop::sample::select(vec![
            &b""[..], b"GGUF\x03\0\0\0", b"GGUF\x02\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0", b"PK\x03\x04", b"\x80\x02",
            b"\x20\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[",
        ]), name in prop::sample::select(vec!["a.safetensors", "a.gguf", "a.bin", "a.onnx", "a"])) {
            let bytes = [start, &bytes].concat();
            look(&bytes, name);
        }

        #[test]
        fn no_change_of_a_good_header_makes_it_panic(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
            let mut bytes = safetensors(header, 8);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            look(&bytes, "m.safetensors");
            look(&bytes[..cut.index(bytes.len())], "m.safetensors");
        }
    }
}
