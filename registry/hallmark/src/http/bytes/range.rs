//! Which part of an object a `Range` header asks for (RFC 9110, section 14). Pure.
//!
//! What cannot be read is passed over, as the RFC asks, and the whole object is sent; so are several ranges at once.

/// A part of an object: from `start` to just before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Span {
    pub(super) fn length(self) -> u64 {
        self.end - self.start
    }
}

/// What a `Range` header comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The whole object.
    Whole,
    Of(Span),
    /// Nothing of the object lies in what was asked for.
    Nothing,
}

/// Reads a `Range` header for an object of this size.
pub(super) fn part(header: &str, size_bytes: u64) -> Part {
    // Some clients add a range to everything they ask for, and an empty object has no part to give.
    let Some(spec) = spec(header).filter(|_| size_bytes > 0) else { return Part::Whole };
    let Some((first, last)) = spec.split_once('-') else { return Part::Whole };
    let (start, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1)),
        (Some(first), None) if last.is_empty() => (first, size_bytes),
        (None, Some(suffix)) if first.is_empty() => (size_bytes.saturating_sub(suffix), size_bytes),
        _ => return Part::Whole,
    };
    let end = end.min(size_bytes);
    if start < end { Part::Of(Span { start, end }) } else { Part::Nothing }
}

/// Returns the one range of bytes that is asked for.
fn spec(header: &str) -> Option<&str> {
    let (unit, spec) = header.split_once('=')?;
    let spec = spec.trim_matches([' ', '\t']);
    (unit.eq_ignore_ascii_case("bytes") && !spec.contains(',')).then_some(spec)
}

/// Reads digits; a number that is larger than any object stays larger than any object.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_range_is_clamped_refused_or_passed_over() {
        let check = |header: &str, size_bytes: u64, expected: Part| {
            assert_eq!(part(header, size_bytes), expected, "{header:?} of {size_bytes}");
        };
        let of = |start, end| Part::Of(Span { start, end });
        check("bytes=0-0", 10, of(0, 1));
        check("bytes=0-", 10, of(0, 10));
        check("bytes=3-5", 10, of(3, 6));
        check("bytes=3-9", 10, of(3, 10));
        check("bytes=3-10", 10, of(3, 10));
        check("bytes=3-99999999999999999999999", 10, of(3, 10));
        check("bytes=3-18446744073709551615", 10, of(3, 10));
        check("bytes=9-", 10, of(9, 10));
        check("bytes=-3", 10, of(7, 10));
        check("bytes=-30", 10, of(0, 10));
        check("Bytes= 3-5 ", 10, of(3, 6));
        check("bytes=10-", 10, Part::Nothing);
        check("bytes=10-12", 10, Part::Nothing);
        check("bytes=99999999999999999999999-", 10, Part::Nothing);
        check("bytes=-0", 10, Part::Nothing);
        for header in [
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-3",
            "bytes=a-b",
            "bytes=0x1-2",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=1 -2",
            "bytes=1-2,4-5",
            "bytes=1-2,",
            "items=1-2",
            "=1-2",
            "bytes 1-2",
            "bytes=--3",
            "",
        ] {
            check(header, 10, Part::Whole);
        }
        check("bytes=0-0", 0, Part::Whole);
        check("bytes=-1", 0, Part::Whole);
    }

    proptest! {
        #[test]
        fn a_part_always_lies_inside(header in "(bytes=)?[0-9]{0,25}-?[0-9]{0,25}.{0,3}", size_bytes: u64) {
            if let Part::Of(span) = part(&header, size_bytes) {
                prop_assert!(span.start < span.end && span.end <= size_bytes);
            }
        }
    }
}
