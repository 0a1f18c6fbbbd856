//! Lower-case hex of fixed length, shared by every type that is written so. One value has one text.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Why a text is not the hex that a type is written in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// Too short or too long; often a digest cut by a copy.
    #[error("expected {expected} hex digits, found {found} characters")]
    Length {
        /// How many digits the type has.
        expected: usize,
        /// How many characters there were.
        found: usize,
    },
    /// A character that is no digit here; upper case is refused, so that one value has one text.
    #[error("character {found:?} at position {position} is not a lower-case hex digit")]
    Digit {
        /// Which character.
        found: char,
        /// Where it stands, counted in characters from 0.
        position: usize,
    },
}

/// Reads exactly `N` bytes from lower-case hex.
pub fn decode<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let bytes = text.as_bytes();
    if bytes.len() != 2 * N {
        return Err(HexError::Length { expected: 2 * N, found: text.chars().count() });
    }
    let mut decoded = [0; N];
    for (byte, pair) in decoded.iter_mut().zip(bytes.as_chunks::<2>().0) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return Err(first_bad_digit(text, 2 * N));
        };
        *byte = high << 4 | low;
    }
    Ok(decoded)
}

fn first_bad_digit(text: &str, expected: usize) -> HexError {
    let bad = text.chars().enumerate().find(|(_, it)| !matches!(it, '0'..='9' | 'a'..='f'));
    match bad {
        Some((position, found)) => HexError::Digit { found, position },
        None => HexError::Length { expected, found: text.chars().count() },
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// Returns the lower-case hex of some bytes.
pub fn text(bytes: &[u8]) -> String {
    let mut digits = vec![0; 2 * bytes.len()];
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
    // Hex digits are ASCII.
    String::from_utf8(digits).unwrap_or_default()
}

pub(crate) fn encode(bytes: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str(&text(bytes))
}
