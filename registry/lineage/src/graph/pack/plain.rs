//! Packs a content that is as plain as nearly all are, in one pass over its bytes: names and texts without escapes,
//! numbers of few digits, few levels.
//!
//! It packs what [`super::content`] would. Whatever is not as plain, or no JSON at all, is left to that.

use super::{Block, FALSE, Keys, LIST, MAP, NULL, TRUE, number::pack_short, pack_text, pack_whole};

/// How many levels of lists and maps are plain.
const LEVELS_MAX: usize = 16;
/// How many names most contents have in maps that are open at once.
const NAMES_USUAL: usize = 16;
/// How many digits of a number are plain: doubles tell all decimals of so many apart.
const DIGITS_MAX: usize = 15;

/// Appends a value. `None` if it is not plain: then what was appended is part of it.
pub(super) fn pack_plain(keys: &mut Keys, out: &mut Vec<u8>, text: &str) -> Option<()> {
    let mut plain = Plain { text, at: 0, keys, out, names: Vec::with_capacity(NAMES_USUAL) };
    plain.value(LEVELS_MAX)?;
    plain.ahead().is_none().then_some(())
}

struct Plain<'p> {
    text: &'p str,
    /// How many bytes were read.
    at: usize,
    keys: &'p mut Keys,
    out: &'p mut Vec<u8>,
    /// The names in the maps that are open, those of the innermost last.
    names: Vec<u32>,
}

impl<'p> Plain<'p> {
    fn rest(&self) -> &'p [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Returns the next byte that is no space.
    fn ahead(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.rest().first() {
            self.at += 1;
        }
        self.rest().first().copied()
    }

    /// Passes over a byte that has to come next.
    fn pass(&mut self, byte: u8) -> Option<()> {
        let is_there = self.ahead() == Some(byte);
        self.at += usize::from(is_there);
        is_there.then_some(())
    }

    /// Passes over a comma, or the end of a list or map. Says whether more is in it.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        let next = self.ahead().filter(|it| *it == b',' || *it == end)?;
        self.at += 1;
        Some(next == b',')
    }

    /// Reads what is in a list or map, and its end.
    fn each_until(&mut self, end: u8, read: impl Fn(&mut Self) -> Option<()>) -> Option<()> {
        if self.ahead()? == end {
            return self.pass(end);
        }
        read(self)?;
        while self.goes_on(end)? {
            read(self)?;
        }
        Some(())
    }

    fn value(&mut self, levels: usize) -> Option<()> {
        match self.ahead()? {
            b'"' => pack_text(self.string()?, self.out),
            b'{' => self.map(levels.checked_sub(1)?)?,
            b'[' => self.list(levels.checked_sub(1)?)?,
            b't' => self.word(b"true", TRUE)?,
            b'f' => self.word(b"false", FALSE)?,
            b'n' => self.word(b"null", NULL)?,
            _ => self.number()?,
        }
        Some(())
    }

    fn word(&mut self, word: &[u8], what: u8) -> Option<()> {
        self.rest().starts_with(word).then_some(())?;
        self.at += word.len();
        self.out.push(what);
        Some(())
    }

    fn string(&mut self) -> Option<&'p str> {
        self.pass(b'"')?;
        let is_end = |it: &u8| matches!(it, b'"' | b'\\' | ..b' ');
        // Most texts are long or short, and of a long one many bytes are looked at at once.
        let (chunks, _) = self.rest().as_chunks::<32>();
        let has_no_end = |it: &&[u8; 32]| !it.iter().fold(false, |found, it| found | is_end(it));
        let passed = 32 * chunks.iter().take_while(has_no_end).count();
        let length = passed + self.rest()[passed..].iter().position(is_end)?;
        let text = self.text.get(self.at..self.at + length)?;
        self.at += length + 1;
        (self.text.as_bytes()[self.at - 1] == b'"').then_some(text)
    }

    fn number(&mut self) -> Option<()> {
        let is_negative = self.rest().first() == Some(&b'-');
        self.at += usize::from(is_negative);
        let leads_with_zero = self.rest().first() == Some(&b'0');
        let (mut mantissa, mut places) = (0, 0);
        let whole_digits = self.digits(&mut mantissa);
        let is_below_one = mantissa == 0;
        if self.rest().first() == Some(&b'.') {
            self.at += 1;
            places = self.digits(&mut mantissa);
            (places > 0).then_some(())?;
        }
        let is_written_right = whole_digits == 1 || whole_digits > 1 && !leads_with_zero;
        // What is smaller than a millionth has a text with an exponent.
        let is_short = whole_digits + places <= DIGITS_MAX && places <= if is_below_one { 6 } else { 9 };
        (is_written_right && is_short).then_some(())?;
        pack_short(if is_negative { -mantissa } else { mantissa }, places, self.out)
    }

    /// Reads digits to the end of a number, and returns how many. Of too many, the number is not right.
    fn digits(&mut self, number: &mut i64) -> usize {
        let digits = self.rest().iter().map(|it| it.wrapping_sub(b'0')).take_while(|it| *it < 10);
        let mut count = 0;
        for digit in digits {
            *number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
            count += 1;
        }
        self.at += count;
        count
    }

    fn list(&mut self, levels: usize) -> Option<()> {
        self.pass(b'[')?;
        let list = Block::open(LIST, self.out);
        self.each_until(b']', |it| it.value(levels))?;
        list.close(self.out);
        Some(())
    }

    fn map(&mut self, levels: usize) -> Option<()> {
        self.pass(b'{')?;
        let (map, outer) = (Block::open(MAP, self.out), self.names.len());
        self.each_until(b'}', |it| it.entry(levels))?;
        let own = &mut self.names[outer..];
        own.sort_unstable();
        let is_each_once = own.windows(2).all(|it| it[0] != it[1]);
        self.names.truncate(outer);
        map.close(self.out);
        is_each_once.then_some(())
    }

    fn entry(&mut self, levels: usize) -> Option<()> {
        let name = self.string()?;
        let key = self.keys.intern(name);
        pack_whole(u64::from(key), self.out);
        self.names.push(key);
        self.pass(b':')?;
        self.value(levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::pack::{content::pack_any, tests::any_json};
    use proptest::prelude::*;

    /// Packs a text in both ways, and says whether it was plain.
    fn is_plain(text: &str) -> bool {
        let (mut keys, mut out) = (Keys::default(), vec![7]);
        let (mut all_keys, mut all_out) = (Keys::default(), vec![7]);
        let is_plain = pack_plain(&mut keys, &mut out, text).is_some();
        pack_any(&mut all_keys, &mut all_out, text);
        if is_plain {
            assert_eq!(out, all_out, "{text}");
            let names =
                |keys: &Keys| (0..).take(keys.len()).map(|it| keys.name(it).to_owned()).collect::<Vec<_>>();
            assert_eq!(names(&keys), names(&all_keys), "{text}");
        }
        is_plain
    }

    #[test]
    fn what_nearly_all_contents_are_is_plain_and_what_is_read_with_care_is_not() {
        let check = |text: &str, expected: bool| assert_eq!(is_plain(text), expected, "{text}");
        check(
            r#"{"price":12.50,"items":[{"w":-0.125,"q":7},{}],"note":"é 1","a":[],"b":true,"c":false,"d":null}"#,
            true,
        );
        check("\t{\n \"a\" : [ 1 , 0 , -0 , 0.5 , 100000 ] \r}\n", true);
        check(r#"{"a":999999999999999,"b":0.000001,"c":-1.000000001}"#, true);
        check(r#"{"a":1000000000000000}"#, false);
        check(r#"{"a":0.0000001}"#, false);
        check(r#"{"a":1.0000000001}"#, false);
        check(r#"{"a":"\n"}"#, false);
        check("{\"a\":\"\n\"}", false);
        check(r#"{"a":1e3}"#, false);
        for wrong in [
            "01",
            "-",
            "1.",
            ".5",
            "-.5",
            "1.2.3",
            "1-2",
            "+1",
            "00",
            "-01",
            "tru",
            "truee",
            "1 2",
            "\"",
            "[1,]",
            "[,1]",
            "[1",
            "{\"b\":1,}",
            "{\"b\"}",
            "{b:1}",
            "{1:1}",
            "{\"b\":1,\"b\":2}",
        ] {
            check(&format!(r#"{{"a":{wrong}}}"#), false);
        }
        check(r#"{"a":1} {}"#, false);
        check(&format!(r#"{{"a":{}{}}}"#, "[".repeat(15), "]".repeat(15)), true);
        check(&format!(r#"{{"a":{}{}}}"#, "[".repeat(16), "]".repeat(16)), false);
    }

    proptest! {
        #[test]
        fn what_is_plain_is_packed_as_any_other(
            value in any_json(), spaces in "[ \n]{0,2}", is_pretty: bool, whole in -10_i64.pow(15)..10_i64.pow(15), places in 0_u32..15,
            slips in prop::collection::vec((any::<prop::sample::Index>(), r#"[\[\]{}:,"\\a0-9eE.+ \t-]{0,2}"#), 0..2),
        ) {
            let power = 10_i64.pow(places);
            let number = format!("{}.{:0>width$}", whole / power, (whole % power).abs(), width = places as usize);
            let value = value.canonical();
            let read: serde_json::Value = serde_json::from_str(&value).unwrap();
            let value = if is_pretty { format!("{read:#}") } else { value };
            let text = format!(r#"{spaces}{{"value":{value},"n":[{number},{whole}],"s":{spaces}"t"}}{spaces}"#);
            is_plain(&text);
            let mut text: Vec<char> = text.chars().collect();
            for (place, slip) in slips {
                let place = place.index(text.len());
                text.splice(place..=place, slip.chars());
                text.push(' ');
            }
            is_plain(&text.into_iter().collect::<String>());
        }
    }
}
