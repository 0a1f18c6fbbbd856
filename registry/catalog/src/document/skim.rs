//! Reads the JSON that nearly every index is written in, eight bytes at a time.
//!
//! It says yes or nothing. Whatever it does not take (deep nesting, very many keys, any error) is for
//! the parser proper to judge, which is also the only one that explains; a property test holds the two together.

use super::{Kind, Slot, node};

/// The deepest nesting taken here. A real index needs five levels.
const DEPTH_MAX: usize = 16;

/// The most keys of one object taken here, since each may be compared with all before it.
const KEYS_MAX: usize = 64;

/// The longest number taken here. So short a one, without an exponent, is a finite double.
const NUMBER_BYTES_MAX: usize = 300;

const EACH_BYTE: u64 = u64::MAX / 0xFF;

/// Reads the value that the bytes begin with, fills the slots, and returns where it ends.
pub(crate) fn skim(bytes: &[u8], slots: &mut Vec<Slot>) -> Option<usize> {
    slots.clear();
    let mut skim = Skim { bytes, at: 0, slots };
    skim.space()?;
    skim.value(0)?;
    Some(skim.at)
}

struct Skim<'b, 's> {
    bytes: &'b [u8],
    at: usize,
    slots: &'s mut Vec<Slot>,
}

impl<'b> Skim<'b, '_> {
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.bytes.get(self.at)? {
            b'"' => self.string().map(|_| ()),
            b'{' => self.container(Kind::Object, depth),
            b'[' => self.container(Kind::Array, depth),
            b't' => self.word(b"true", Kind::True),
            b'f' => self.word(b"false", Kind::False),
            b'n' => self.word(b"null", Kind::Null),
            _ => self.number(),
        }
    }

    /// Takes a container, whose children are taken up to the bracket that closes it.
    fn container(&mut self, kind: Kind, depth: usize) -> Option<()> {
        let slot = self.slots.len();
        self.slots.push(Slot::new(kind, self.at, 0));
        self.at += 1;
        (depth < DEPTH_MAX).then_some(())?;
        if kind == Kind::Object {
            self.members(slot, depth)?;
        } else {
            self.elements(depth)?;
        }
        self.at += 1;
        let open = self.slots[slot];
        self.slots[slot] = Slot::new(kind, open.start(), self.slots.len() - slot);
        Some(())
    }

    fn members(&mut self, object: usize, depth: usize) -> Option<()> {
        let mut seen = Seen::default();
        if self.space()? == b'}' {
            return Some(());
        }
        loop {
            if self.space()? != b'"' {
                return None;
            }
            let key = self.slots.len();
            let text = self.string()?;
            // An escape may spell a key that is there already.
            if self.slots[key].kind() == Kind::Escaped || seen.count > KEYS_MAX {
                return None;
            }
            if !seen.surely_new(text) && self.stands_before(object, key, text) {
                return None;
            }
            self.expect(b':')?;
            self.space()?;
            self.value(depth + 1)?;
            match self.space()? {
                b',' => self.at += 1,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn elements(&mut self, depth: usize) -> Option<()> {
        if self.space()? == b']' {
            return Some(());
        }
        loop {
            self.space()?;
            self.value(depth + 1)?;
            match self.space()? {
                b',' => self.at += 1,
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Says whether a key stands in its object already, as far as keys without escapes go.
    fn stands_before(&self, object: usize, key: usize, text: &[u8]) -> bool {
        let mut earlier = object + 1;
        while earlier < key {
            let slot = self.slots[earlier];
            if &self.bytes[slot.start()..slot.start() + slot.length()] == text {
                return true;
            }
            earlier = node::after(self.slots, earlier + 1);
        }
        false
    }

    /// Takes a string, and returns what stands between its quotes.
    fn string(&mut self) -> Option<&'b [u8]> {
        let start = self.at + 1;
        self.at = start;
        let mut kind = Kind::String;
        loop {
            self.plain_characters();
            match self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    kind = Kind::Escaped;
                    // What is behind it, be it a quote, is no end.
                    self.at += 2;
                }
                _ => return None,
            }
        }
        let inside = self.bytes.get(start..self.at)?;
        self.at += 1;
        if kind == Kind::Escaped {
            serde_json::from_slice::<String>(&self.bytes[start - 1..self.at]).ok()?;
        }
        self.slots.push(Slot::new(kind, start, inside.len()));
        Some(inside)
    }

    /// Goes on to the next quote, backslash or control character.
    fn plain_characters(&mut self) {
        while let Some(eight) = self.next_eight() {
            let special = special(eight);
            if special != 0 {
                self.at += (special.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        let plain = |it: &&u8| !matches!(it, b'"' | b'\\' | 0..0x20);
        self.at += self.bytes[self.at.min(self.bytes.len())..].iter().take_while(plain).count();
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        self.at += usize::from(self.bytes[start] == b'-');
        let whole = self.digits();
        if whole == 0 || (whole > 1 && self.bytes[self.at - whole] == b'0') {
            return None;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return None;
            }
        }
        let has_exponent = matches!(self.bytes.get(self.at), Some(b'e' | b'E'));
        if has_exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return None;
            }
        }
        // Without an end in sight, the number may go on.
        let text = self.bytes.get(start..=self.at)?.split_last()?.1;
        self.slots.push(Slot::new(Kind::Number, start, text.len()));
        let finite = || std::str::from_utf8(text).ok()?.parse().ok().filter(|it: &f64| it.is_finite());
        (text.len() <= NUMBER_BYTES_MAX && (!has_exponent || finite().is_some())).then_some(())
    }

    fn digits(&mut self) -> usize {
        let count = self.bytes[self.at..].iter().take_while(|it| it.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Option<()> {
        let found = self.bytes[self.at..].starts_with(word);
        self.slots.push(Slot::new(kind, self.at, word.len()));
        self.at += word.len();
        found.then_some(())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.space()? == byte).then(|| self.at += 1)
    }

    /// Goes on to what is no white space, and returns it.
    fn space(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
            // Indentation comes in runs.
            while let Some(eight) = self.next_eight() {
                let spaces = ((eight ^ (EACH_BYTE * 0x20)).trailing_zeros() / 8) as usize;
                self.at += spaces;
                if spaces < 8 {
                    break;
                }
            }
        }
    }

    fn next_eight(&self) -> Option<u64> {
        self.bytes.get(self.at..)?.first_chunk().map(|it| u64::from_le_bytes(*it))
    }
}

/// Marks the first quote, backslash or control character by the high bit of its byte; marks above it mean nothing.
fn special(eight: u64) -> u64 {
    let less = |bytes: u64, than: u64| bytes.wrapping_sub(EACH_BYTE * than) & !bytes;
    let equal = |byte: u8| less(eight ^ (EACH_BYTE * u64::from(byte)), 1);
    (less(eight, 0x20) | equal(b'"') | equal(b'\\')) & (EACH_BYTE * 0x80)
}

/// Which keys an object may have had so far, as one bit for each.
#[derive(Default)]
struct Seen {
    bits: u64,
    count: usize,
}

impl Seen {
    /// Says that no earlier key was this one. If it does not say so, there still may be none.
    fn surely_new(&mut self, key: &[u8]) -> bool {
        let ends = key
            .first()
            .zip(key.last())
            .map_or(0, |(first, last)| usize::from(*first) + 5 * usize::from(*last));
        let bit = 1 << ((ends + 3 * key.len()) % 64);
        let new = self.bits & bit == 0;
        self.bits |= bit;
        self.count += 1;
        new
    }
}
