//! The patterns and formats of our schema as plain code. Each says yes, or leaves the text to the validator.

/// Returns the check that stands for a pattern.
pub(super) fn pattern(pattern: &str) -> Option<fn(&str) -> bool> {
    Some(match pattern {
        "^[a-f0-9]{64}$" => |it| it.len() == 64 && hex(it),
        "^[a-f0-9]{40}$" => |it| it.len() == 40 && hex(it),
        "^[a-f0-9]{7,40}$" => |it| (7..=40).contains(&it.len()) && hex(it),
        "^[a-z0-9][a-z0-9-]*[a-z0-9]$" => hyphenated,
        r"^\d+\.\d+\.\d+(-[a-zA-Z0-9.-]+)?(\+[a-zA-Z0-9.-]+)?$" => version,
        "^[^:]+:." => |it| {
            it.find(':')
                .is_some_and(|at| at > 0 && it[at + 1..].starts_with(|it: char| it.is_ascii_graphic()))
        },
        _ => return None,
    })
}

/// Returns the check that stands for a format.
pub(super) fn format(format: &str) -> Option<fn(&str) -> bool> {
    Some(match format {
        "uri" => web_address,
        "date-time" => universal_time,
        _ => return None,
    })
}

/// What a byte may be part of, one bit each.
static PART_OF: [u8; 256] = {
    let mut part_of = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let digit = byte.is_ascii_digit();
        let in_url = byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'~');
        let in_hex = digit || matches!(byte, b'a'..=b'f');
        let in_name = digit || byte.is_ascii_lowercase() || byte == b'-';
        part_of[byte as usize] =
            (in_url as u8 * IN_URL) | (in_hex as u8 * IN_HEX) | (in_name as u8 * IN_NAME);
        byte += 1;
    }
    part_of
};
const IN_URL: u8 = 1;
const IN_HEX: u8 = 2;
const IN_NAME: u8 = 4;

/// Looks at all bytes without a branch, which is quick since nearly every text is fine.
fn every(text: &str, part: u8) -> bool {
    text.bytes().fold(part, |so_far, it| so_far & PART_OF[usize::from(it)]) != 0
}

/// Says whether a text is what a plain URL consists of behind its scheme.
pub(crate) fn plain_in_url(text: &str) -> bool {
    every(text, IN_URL)
}

fn hex(text: &str) -> bool {
    every(text, IN_HEX)
}

fn hyphenated(text: &str) -> bool {
    every(text, IN_NAME) && text.len() >= 2 && !text.starts_with('-') && !text.ends_with('-')
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
    let unreserved = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'/' | b'.' | b'_' | b'-' | b'~');
    rest.is_some_and(|it| {
        it.starts_with(|first: char| first.is_ascii_alphanumeric()) && it.bytes().all(unreserved)
    })
}

/// `2024-11-08T12:00:00Z`, on a day that every month has.
fn universal_time(text: &str) -> bool {
    let form = b"0000-00-00T00:00:00Z";
    let same = |(it, form): (u8, &u8)| if *form == b'0' { it.is_ascii_digit() } else { it == *form };
    let within = |at: usize, from: &str, to: &str| (from..=to).contains(&&text[at..at + 2]);
    text.len() == form.len()
        && text.bytes().zip(form).all(same)
        && !text.starts_with('0')
        && within(5, "01", "12")
        && within(8, "01", "28")
        && within(11, "00", "23")
        && within(14, "00", "59")
        && within(17, "00", "59")
}
