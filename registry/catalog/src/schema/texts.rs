//! The patterns and formats of our schema as plain code. Each says yes, or leaves the text to the validator.

/// A check that takes the place of a pattern or a format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    pub(super) fits: fn(&str) -> bool,
    /// Whether only texts fit that stand in JSON as they are: printable ASCII without quotes and backslashes.
    pub(super) plain: bool,
}

impl Check {
    /// Returns the check that stands for a pattern.
    pub(super) fn of_pattern(pattern: &str) -> Option<Self> {
        let plain = |fits| Some(Self { fits, plain: true });
        match pattern {
            "^[a-f0-9]{64}$" => plain(|it| it.len() == 64 && hex(it)),
            "^[a-f0-9]{40}$" => plain(|it| it.len() == 40 && hex(it)),
            "^[a-f0-9]{7,40}$" => plain(|it| (7..=40).contains(&it.len()) && hex(it)),
            "^[a-z0-9][a-z0-9-]*[a-z0-9]$" => plain(hyphenated),
            r"^\d+\.\d+\.\d+(-[a-zA-Z0-9.-]+)?(\+[a-zA-Z0-9.-]+)?$" => plain(version),
            "^[^:]+:." => Some(Self { fits: something_behind_a_colon, plain: false }),
            _ => None,
        }
    }

    /// Returns the check that stands for a format.
    pub(super) fn of_format(format: &str) -> Option<Self> {
        let plain = |fits| Some(Self { fits, plain: true });
        match format {
            "uri" => plain(web_address),
            "date-time" => plain(universal_time),
            _ => None,
        }
    }
}

/// Looks at sixteen bytes at once, without a branch on any, and at the last sixteen some of them a second time.
fn every(bytes: &[u8], fits: impl Fn(u8) -> bool) -> bool {
    let all = |chunk: &[u8; 16]| chunk.iter().fold(true, |so_far, it| so_far & fits(*it));
    match bytes.last_chunk() {
        Some(last) => bytes.as_chunks().0.iter().all(all) && all(last),
        None => bytes.iter().fold(true, |so_far, it| so_far & fits(*it)),
    }
}

fn within(byte: u8, from: u8, to: u8) -> bool {
    byte.wrapping_sub(from) <= to - from
}

/// Says whether a text is what a plain URL consists of behind its scheme.
pub(crate) fn plain_in_url(text: &str) -> bool {
    // From - to 9 stand these two, the digits, the dot and the slash.
    let letter = |it: u8| within(it | 0x20, b'a', b'z');
    every(text.as_bytes(), |it| {
        letter(it) | within(it, b'-', b'9') | within(it, b'_', b'_') | within(it, b'~', b'~')
    })
}

/// Says whether a text has no control characters, which cannot stand in a JSON string as they are.
pub(super) fn without_controls(text: &[u8]) -> bool {
    every(text, |it| it >= b' ')
}

fn hex(text: &str) -> bool {
    every(text.as_bytes(), |it| within(it, b'0', b'9') | within(it, b'a', b'f'))
}

fn hyphenated(text: &str) -> bool {
    let plain = |it| within(it, b'a', b'z') | within(it, b'0', b'9') | within(it, b'-', b'-');
    every(text.as_bytes(), plain) && text.len() >= 2 && !text.starts_with('-') && !text.ends_with('-')
}

fn something_behind_a_colon(text: &str) -> bool {
    let graphic = |at: usize| text[at + 1..].starts_with(|it: char| it.is_ascii_graphic());
    text.starts_with("https:/") || text.find(':').is_some_and(|at| at > 0 && graphic(at))
}

/// A version without build metadata.
fn version(text: &str) -> bool {
    let (numbers, label) =
        text.split_once('-').map_or((text, None), |(numbers, label)| (numbers, Some(label)));
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    let letter = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-');
    numbers.split('.').count() == 3
        && numbers.split('.').all(digits)
        && label.is_none_or(|it| !it.is_empty() && it.bytes().all(letter))
}

/// An https or http URL of a host with a name, without port, user, escape, query or fragment.
fn web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|it| it.starts_with(|first: char| first.is_ascii_alphanumeric()) && plain_in_url(it))
}

/// `2024-11-08T12:00:00Z`, on a day that every month has.
fn universal_time(text: &str) -> bool {
    let form = b"0000-00-00T00:00:00Z";
    let same = |(it, form): (u8, &u8)| if *form == b'0' { it.is_ascii_digit() } else { it == *form };
    let between = |at: usize, from: &str, to: &str| (from..=to).contains(&&text[at..at + 2]);
    text.len() == form.len()
        && text.bytes().zip(form).all(same)
        && !text.starts_with('0')
        && between(5, "01", "12")
        && between(8, "01", "28")
        && between(11, "00", "23")
        && between(14, "00", "59")
        && between(17, "00", "59")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_is_looked_at(length in 1..70_usize, at in 0..70_usize) {
            let mut bytes = vec![b'a'; length];
            prop_assert!(every(&bytes, |it| it == b'a'));
            bytes[at % length] = b'b';
            prop_assert!(!every(&bytes, |it| it == b'a'));
        }
    }
}
