//! Numbers for ids, and ids for numbers: what a graph stores once and speaks of in four bytes.

use std::{borrow::Cow, fmt};

use base::digest::Sha256;

use super::{
    index::{Firm, Index, Tag},
    lately::{Lately, Mixed},
};

/// Gives each text a number, in the order of first sight.
///
/// Texts are found by bits that are mixed quickly; only where many of them meet, by a digest as well. Whoever makes up
/// ids cannot make them meet there, so no choice of ids makes a look-up slow.
#[derive(Debug, Default)]
pub(super) struct Names {
    texts: Texts,
    index: Index,
    lately: Lately,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.texts.ends.len()
    }

    /// Returns the number of a text that was seen before.
    pub(super) fn find(&self, text: Text) -> Option<u32> {
        self.find_mixed(text, Mixed::of(text.stored().0))
    }

    fn find_mixed(&self, text: Text, mixed: Mixed) -> Option<u32> {
        self.index.find(tag(mixed), || text.firm(), |it| self.texts.get(it) == text.stored())
    }

    /// Returns the number of a text, a new one if it was never seen. `None` when all numbers are taken.
    ///
    /// It is looked up as one that is likely to be new, and to come up again soon.
    pub(super) fn intern(&mut self, text: Text) -> Option<u32> {
        self.intern_mixed(text, Mixed::of(text.stored().0))
    }

    /// Returns the number of a text that is likely to have been seen not long ago, as [`Names::intern`] does.
    pub(super) fn intern_again(&mut self, text: Text) -> Option<u32> {
        let mixed = Mixed::of(text.stored().0);
        let guess = self.lately.guess(mixed).filter(|it| self.texts.get(*it) == text.stored());
        guess.or_else(|| self.intern_mixed(text, mixed))
    }

    fn intern_mixed(&mut self, text: Text, mixed: Mixed) -> Option<u32> {
        let number = if let Some(known) = self.find_mixed(text, mixed) {
            known
        } else {
            let number = self.texts.push(text)?;
            self.index.insert(tag(mixed), || text.firm(), number);
            number
        };
        self.lately.note(mixed, number);
        Some(number)
    }

    /// Looks at memory where texts stand that are about to be interned, so that all of its answers come at once, and
    /// returns the numbers that they are likely to have.
    pub(super) fn touch<'t>(&self, texts: impl Iterator<Item = Text<'t>>, most: usize) -> Vec<u32> {
        let (mut tags, mut likely) = (Vec::with_capacity(most), Vec::with_capacity(most));
        tags.extend(texts.take(most).map(|it| tag(Mixed::of(it.stored().0))));
        self.index.touch(&tags);
        for tag in &tags {
            likely.extend(self.index.likely(*tag));
        }
        let first = |number: &u32| self.texts.get(*number).0.first().copied().unwrap_or_default();
        // A sum that nobody wants would not be made.
        std::hint::black_box(likely.iter().map(first).fold(0, |sum, it| sum ^ it));
        likely
    }

    /// Returns the text of a number that [`Names::intern`] gave.
    pub(super) fn text(&self, number: u32) -> Cow<'_, str> {
        match self.texts.get(number) {
            (bytes, false) => String::from_utf8_lossy(bytes),
            (bytes, true) => Cow::Owned(base::hex::text(bytes)),
        }
    }

    /// Appends the text of a number.
    pub(super) fn append_text(&self, number: u32, out: &mut Vec<u8>) {
        match self.texts.get(number) {
            (bytes, false) => out.extend_from_slice(bytes),
            (bytes, true) => out.extend_from_slice(&hex(bytes)),
        }
    }

    /// Compares two texts by their bytes.
    pub(super) fn compare(&self, left: u32, right: u32) -> std::cmp::Ordering {
        match (self.texts.get(left), self.texts.get(right)) {
            // Hex digits stand in the order of the bytes that they stand for.
            ((left, true), (right, true)) => left.cmp(right),
            _ => self.text(left).as_bytes().cmp(self.text(right).as_bytes()),
        }
    }

    pub(super) fn shrink(&mut self) {
        self.texts.bytes.shrink_to_fit();
        self.texts.ends.shrink_to_fit();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.texts.bytes.capacity() + self.texts.ends.capacity() * 4 + self.index.memory_bytes()
    }
}

/// A text, ready to be compared with stored ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text<'t> {
    /// Any text but one of 64 hex digits.
    Plain(&'t str),
    /// The bytes that 64 hex digits stand for.
    Hex(Sha256),
}

impl<'t> Text<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let digest = if text.len() == 64 { Sha256::parse(text).ok() } else { None };
        digest.map_or(Self::Plain(text), Self::Hex)
    }

    /// Returns the bytes that are stored, and whether they stand for hex digits.
    fn stored(&self) -> (&[u8], bool) {
        match self {
            Self::Plain(text) => (text.as_bytes(), false),
            Self::Hex(digest) => (digest.as_bytes(), true),
        }
    }

    fn firm(&self) -> Firm {
        let digest = Sha256::of(self.stored().0);
        digest.as_bytes().iter().take(4).fold(0, |firm, byte| firm << 8 | Firm::from(*byte))
    }
}

fn tag(mixed: Mixed) -> Tag {
    mixed.top(Tag::BITS)
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => out.write_str(text),
            Self::Hex(digest) => digest.fmt(out),
        }
    }
}

/// The texts themselves.
#[derive(Debug, Default)]
struct Texts {
    /// One after the other; 64 hex digits take 32 bytes.
    bytes: Vec<u8>,
    /// Where each text ends, and in the lowest bit whether it is hex.
    ends: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: Text) -> Option<u32> {
        let number = u32::try_from(self.ends.len()).ok().filter(|it| *it != u32::MAX)?;
        let (bytes, is_hex) = text.stored();
        let end = u32::try_from((self.bytes.len() + bytes.len()) << 1 | usize::from(is_hex)).ok()?;
        self.bytes.extend_from_slice(bytes);
        self.ends.push(end);
        Some(number)
    }

    fn get(&self, number: u32) -> (&[u8], bool) {
        let index = number as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] >> 1);
        let end = self.ends[index];
        (&self.bytes[start as usize..(end >> 1) as usize], end & 1 == 1)
    }
}

/// Returns the digits of 32 bytes.
fn hex(bytes: &[u8]) -> [u8; 64] {
    let mut digits = [0; 64];
    base::hex::fill(bytes, &mut digits);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_leads_back_to_its_text_and_order_is_that_of_the_bytes(
            texts in prop::collection::btree_set("[0-9a-f]{64}|.{0,9}", 2..20),
        ) {
            let mut names = Names::default();
            let numbers: Vec<u32> = texts.iter().map(|it| names.intern(Text::of(it)).unwrap()).collect();
            for (text, number) in texts.iter().zip(&numbers) {
                prop_assert_eq!(names.text(*number), text.as_str());
                let mut appended = Vec::new();
                names.append_text(*number, &mut appended);
                prop_assert_eq!(appended, text.as_bytes());
                prop_assert_eq!(Text::of(text).to_string(), text.as_str());
                prop_assert_eq!(names.find(Text::of(text)), Some(*number));
                prop_assert_eq!(names.intern(Text::of(text)), Some(*number));
                prop_assert_eq!(names.intern_again(Text::of(text)), Some(*number));
            }
            // A set of strings is in the order of their bytes.
            prop_assert!(numbers.windows(2).all(|it| names.compare(it[0], it[1]).is_lt()));
            prop_assert_eq!(names.len(), texts.len());
        }
    }

    #[test]
    fn a_guess_that_is_another_texts_is_not_taken() {
        let mut names = Names::default();
        // So many drive each other out.
        let texts: Vec<String> = (0..5000).map(|it| format!("text {it}")).collect();
        let numbers = |names: &mut Names| -> Vec<Option<u32>> {
            texts.iter().map(|it| names.intern_again(Text::of(it))).collect()
        };
        let expected: Vec<Option<u32>> = (0..5000).map(Some).collect();
        assert_eq!(numbers(&mut names), expected);
        assert_eq!(numbers(&mut names), expected);
    }
}
