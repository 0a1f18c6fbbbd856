//! Numbers as nearly all of them are written: digits, and perhaps a sign and a fraction.

use super::{DIGITS_MAX, Shape};

/// A number at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlainNumber {
    /// How many bytes it has.
    pub(super) length: usize,
    /// What stands before the point, and without a sign.
    whole: u64,
    is_negative: bool,
    has_fraction: bool,
}

impl PlainNumber {
    /// Reads a number that is not longer than any double can tell apart. `None` says nothing about the bytes.
    pub(super) fn first(bytes: &[u8]) -> Option<Self> {
        let is_negative = bytes.first() == Some(&b'-');
        let start = usize::from(is_negative);
        let (mut whole, mut at) = (0_u64, start);
        // Longer ones are refused below; up to there nothing overflows.
        while let Some(digit) = digit(bytes, at).filter(|_| at <= DIGITS_MAX) {
            (whole, at) = (whole * 10 + u64::from(digit), at + 1);
        }
        // A zero stands first only if it stands alone.
        (at > start && (bytes[start] != b'0' || at == start + 1)).then_some(())?;
        let has_fraction = bytes.get(at) == Some(&b'.');
        if has_fraction {
            let point = at;
            at += 1;
            while digit(bytes, at).is_some() {
                at += 1;
            }
            (at > point + 1).then_some(())?;
        }
        let goes_on = bytes.get(at).is_some_and(|it| matches!(it, b'0'..=b'9' | b'.' | b'e' | b'E'));
        (at <= DIGITS_MAX && !goes_on).then_some(Self { length: at, whole, is_negative, has_fraction })
    }
}

impl Shape {
    /// Says that a number keeps the schema. If it does not say so, it still may.
    pub(super) fn surely_fits_number(&self, number: &PlainNumber) -> bool {
        let PlainNumber { whole, is_negative, has_fraction, .. } = *number;
        #[expect(clippy::cast_precision_loss, reason = "up to fifteen digits nothing is lost")]
        let (floor, ceiling) = (whole as f64, (whole + u64::from(has_fraction)) as f64);
        let bounded =
            self.minimum.is_none_or(|it| it <= floor) && self.maximum.is_none_or(|it| ceiling <= it);
        let free = self.minimum.is_none() && self.maximum.is_none();
        self.choices.is_none() && !(self.whole_number && has_fraction) && (free || bounded && !is_negative)
    }
}

fn digit(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).map(|it| it.wrapping_sub(b'0')).filter(|it| *it < 10)
}

#[cfg(test)]
mod tests {
    use jiter::{Jiter, Peek};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_plain_number_is_what_the_parser_reads(text in "-?[0-9]{0,17}(\\.[0-9]{0,3})?[eE.,0-9 -]{0,2}") {
            let read = PlainNumber::first(text.as_bytes());
            let parsed = text.bytes().next().and_then(|first| {
                let length = Jiter::new(text.as_bytes()).known_number_bytes(Peek::new(first)).ok()?.len();
                Some(&text[..length])
            });
            prop_assert!(read.is_none() || read.map(|it| &text[..it.length]) == parsed, "{}", text);
            let plain = parsed == Some(&text[..]) && text.len() <= DIGITS_MAX && !text.contains(['e', 'E']);
            prop_assert!(read.is_some() || !plain, "{}", text);
        }
    }

    #[test]
    fn a_number_that_surely_fits_does_fit() {
        let bounds = || std::iter::once(None).chain((-3..4).map(|it| Some(f64::from(it))));
        let mut passed = 0;
        for (text, minimum) in
            ["0", "-0", "1", "-1", "2", "0.0", "-0.0", "0.5", "-0.5", "1.0", "1.5", "-1.5", "2.25"]
                .into_iter()
                .flat_map(|text| bounds().map(move |it| (text, it)))
        {
            for (maximum, whole_number) in bounds().flat_map(|it| [(it, false), (it, true)]) {
                let shape = Shape { minimum, maximum, whole_number, ..Shape::any() };
                let surely = shape.surely_fits_number(&PlainNumber::first(text.as_bytes()).unwrap());
                assert!(!surely || shape.number_fits(text), "{text} {shape:?}");
                passed += usize::from(surely);
            }
        }
        assert!(passed > 100, "{passed}");
    }
}
