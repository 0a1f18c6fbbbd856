//! A JSON text and the tree over it, with the place of every value.
//!
//! - The text is read once. A slot of the tree is eight bytes and points into the text, so a tree
//!   is smaller than its text, and a flaw can always say where it stands.
//! - What JSON leaves open is closed here: a key stands once in its object, nesting has a bound, a
//!   number fits a double. Whoever holds a [`Document`] need not think of these again.

mod build;
mod node;
mod schema_view;
mod serde_view;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::OnceLock};

pub use node::{Kind, Node};
pub(crate) use schema_view::{Spanned, View};
pub use serde_view::TypeError;

/// The longest text that is read: 256 MiB, some 100,000 entries.
pub const TEXT_BYTES_MAX: usize = (1 << 28) - 1;

/// The deepest nesting that is followed. A real index needs five levels.
pub const DEPTH_MAX: usize = 128;

/// How many objects and arrays are open around an entry of the index.
pub(crate) const ENTRY_DEPTH: usize = 2;

/// A parsed JSON text.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t str,
    slots: Vec<Slot>,
    /// The longest array right below the root, found when it is first asked for.
    list: OnceLock<List>,
}

/// An array whose elements are found without a walk along it.
#[derive(Debug)]
struct List {
    slot: usize,
    elements: Vec<u32>,
}

/// Room for a tree.
#[derive(Debug, Default)]
pub(crate) struct Slots(Vec<Slot>);

/// Why a text is no JSON document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, in words.
    pub message: String,
    /// Which bytes of the text are meant.
    pub span: Range<usize>,
    /// A second place that belongs to it, such as the first of two equal keys.
    pub related: Option<(Range<usize>, String)>,
    /// What to do about it.
    pub help: Option<&'static str>,
    /// Where in the document, as a JSON pointer, if the place has one.
    pub pointer: String,
}

impl<'t> Document<'t> {
    /// Reads a text. Finds every repeated key; of other errors the first.
    pub fn parse(bytes: &'t [u8]) -> Result<Self, Vec<SyntaxError>> {
        let text = decode(bytes).map_err(|error| vec![error])?;
        Ok(Self::new(text, build::slots(text)?))
    }

    /// Reads the value at the start of some bytes, around which so many objects and arrays are open, and says where it
    /// ends. `None` says nothing about the bytes: [`Document::parse`] knows more.
    pub(crate) fn first(bytes: &'t [u8], depth: usize, slots: &mut Slots) -> Option<(Self, usize)> {
        let mut room = std::mem::take(&mut slots.0);
        room.clear();
        let (slots, end) = build::first(bytes, depth, room)?;
        let text = std::str::from_utf8(&bytes[..end]).ok()?;
        Some((Self::new(text, slots), end))
    }

    fn new(text: &'t str, slots: Vec<Slot>) -> Self {
        Self { text, slots, list: OnceLock::new() }
    }

    /// Gives back what the next document can be built in.
    pub(crate) fn into_slots(self) -> Slots {
        Slots(self.slots)
    }

    /// Returns the outermost value.
    pub fn root(&self) -> Node<'_> {
        Node::new(self, 0)
    }

    /// Returns the text that was read.
    pub fn text(&self) -> &'t str {
        self.text
    }
}

/// Where a value begins, what it is, and how far it goes: bytes for a leaf, slots for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    start: u32,
    kind_and_length: u32,
}

impl Slot {
    fn new(kind: Kind, start: usize, length: usize) -> Self {
        // Both fit: `decode` refuses a text in which they would not.
        Self { start: low_bits(start), kind_and_length: (kind as u32) << 28 | low_bits(length) }
    }

    fn kind(self) -> Kind {
        Kind::ALL[(self.kind_and_length >> 28) as usize]
    }

    fn start(self) -> usize {
        self.start as usize
    }

    fn length(self) -> usize {
        (self.kind_and_length & low_bits(TEXT_BYTES_MAX)) as usize
    }
}

fn low_bits(number: usize) -> u32 {
    u32::try_from(number & TEXT_BYTES_MAX).unwrap_or(u32::MAX)
}

fn decode(bytes: &[u8]) -> Result<&str, SyntaxError> {
    let at = |span, message: &str, help| SyntaxError {
        message: message.to_owned(),
        span,
        related: None,
        help: Some(help),
        pointer: String::new(),
    };
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(at(
            0..0,
            "the file is larger than 256 MiB",
            "split the index, or remove what is no entry",
        ));
    }
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        let help = "save the file as UTF-8 without a byte order mark";
        return Err(at(0..3, "the file starts with a byte order mark", help));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(at(0..2, "the file is UTF-16, not UTF-8", "save the file as UTF-8"));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let help = r#"an index without models is written {"models": []}"#;
        return Err(at(0..0, "the file is empty", help));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let end = start + error.error_len().unwrap_or(bytes.len() - start);
        at(
            start..end,
            "these bytes are not UTF-8",
            "save the file as UTF-8, or restore it from version control",
        )
    })
}
