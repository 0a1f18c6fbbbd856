//! Numbers for ids, and ids for numbers: what a graph stores once and speaks of in four bytes.

use std::{borrow::Cow, collections::BTreeSet};

use base::digest::Sha256;

/// Gives each text a number, in the order of first sight.
///
/// Texts are found by the first bytes of their digest. Whoever makes up ids cannot make them meet there, so no
/// choice of ids makes a look-up slow.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The texts one after the other; 64 hex digits take 32 bytes.
    bytes: Vec<u8>,
    /// Where each text ends, and in the lowest bit whether it is hex.
    ends: Vec<u32>,
    by_digest: BTreeSet<(ShortDigest, u32)>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the number of a text that was seen before.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.find_as(short_digest(text), text, Sha256::parse(text).ok().as_ref())
    }

    fn find_as(&self, digest: ShortDigest, text: &str, hex: Option<&Sha256>) -> Option<u32> {
        let same = self.by_digest.range((digest, 0)..=(digest, u32::MAX));
        let wanted = hex.map_or((text.as_bytes(), false), |it| (it.as_bytes().as_slice(), true));
        same.map(|(_, number)| *number).find(|number| self.stored(*number) == wanted)
    }

    /// Returns the number of a text, a new one if it was never seen. `None` when all numbers are taken.
    pub(super) fn intern(&mut self, text: &str) -> Option<u32> {
        let (digest, hex) = (short_digest(text), Sha256::parse(text).ok());
        if let Some(known) = self.find_as(digest, text, hex.as_ref()) {
            return Some(known);
        }
        let number = u32::try_from(self.len()).ok().filter(|it| *it != u32::MAX)?;
        let length = if hex.is_some() { 32 } else { text.len() };
        let end = u32::try_from((self.bytes.len() + length) << 1 | usize::from(hex.is_some())).ok()?;
        match &hex {
            Some(digest) => self.bytes.extend_from_slice(digest.as_bytes()),
            None => self.bytes.extend_from_slice(text.as_bytes()),
        }
        self.ends.push(end);
        self.by_digest.insert((digest, number));
        Some(number)
    }

    /// Returns the text of a number that [`Names::intern`] gave.
    pub(super) fn text(&self, number: u32) -> Cow<'_, str> {
        let (bytes, is_hex) = self.stored(number);
        if !is_hex {
            return String::from_utf8_lossy(bytes);
        }
        let mut text = String::with_capacity(64);
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        Cow::Owned(text)
    }

    /// Compares two texts by their bytes.
    pub(super) fn compare(&self, left: u32, right: u32) -> std::cmp::Ordering {
        match (self.stored(left), self.stored(right)) {
            // Hex digits stand in the order of the bytes that they stand for.
            ((left, true), (right, true)) => left.cmp(right),
            _ => self.text(left).as_bytes().cmp(self.text(right).as_bytes()),
        }
    }

    fn stored(&self, number: u32) -> (&[u8], bool) {
        let index = number as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] >> 1);
        let end = self.ends[index];
        (&self.bytes[start as usize..(end >> 1) as usize], end & 1 == 1)
    }

    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        // A set of this kind fills its nodes to about 70%.
        self.bytes.capacity() + self.ends.capacity() * 4 + self.by_digest.len() * 12 * 10 / 7
    }
}

/// Six bytes: nobody finds many texts that share them.
type ShortDigest = (u32, u16);

fn short_digest(text: &str) -> ShortDigest {
    let digest = Sha256::of(text.as_bytes());
    let (first, rest) = digest.as_bytes().split_at(4);
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    (number(first), u16::from_be_bytes([rest[0], rest[1]]))
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
            let numbers: Vec<u32> = texts.iter().map(|it| names.intern(it).unwrap()).collect();
            for (text, number) in texts.iter().zip(&numbers) {
                prop_assert_eq!(names.text(*number), text.as_str());
                prop_assert_eq!(names.find(text), Some(*number));
                prop_assert_eq!(names.intern(text), Some(*number));
            }
            // A set of strings is in the order of their bytes.
            prop_assert!(numbers.windows(2).all(|it| names.compare(it[0], it[1]).is_lt()));
            prop_assert_eq!(names.len(), texts.len());
        }
    }
}
