//! Lower-case hex of fixed length, shared by every type that is written so. One value has one text.

use std::fmt;

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
        return match text.chars().count() {
            // As many characters as there should be, and one of them is longer than any digit.
            found if found == 2 * N => Err(first_bad_digit(text, 2 * N)),
            found => Err(HexError::Length { expected: 2 * N, found }),
        };
    }
    let (mut decoded, mut is_hex) = ([0; N], true);
    // No way out of the loop: so compilers do it on many digits at once.
    for (byte, pair) in decoded.iter_mut().zip(bytes.as_chunks::<2>().0) {
        let [high, low] = pair.map(value);
        *byte = high << 4 | low & 15;
        is_hex &= high < 16 && low < 16;
    }
    if is_hex { Ok(decoded) } else { Err(first_bad_digit(text, 2 * N)) }
}

fn first_bad_digit(text: &str, expected: usize) -> HexError {
    let bad = text.chars().enumerate().find(|(_, it)| !matches!(it, '0'..='9' | 'a'..='f'));
    match bad {
        Some((position, found)) => HexError::Digit { found, position },
        None => HexError::Length { expected, found: text.chars().count() },
    }
}

/// Returns what a digit stands for; more than 15 if it is none.
fn value(character: u8) -> u8 {
    let (number, letter) = (character.wrapping_sub(b'0'), character.wrapping_sub(b'a'));
    if number < 10 {
        number
    } else if letter < 6 {
        letter + 10
    } else {
        u8::MAX
    }
}

/// Writes the lower-case hex of as many bytes as there are pairs of digits.
pub fn fill(bytes: &[u8], digits: &mut [u8]) {
    let digit = |it: u8| it + if it < 10 { b'0' } else { b'a' - 10 };
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
}

/// Appends the lower-case hex of some bytes to other bytes.
pub fn append(bytes: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    out.resize(from + 2 * bytes.len(), 0);
    fill(bytes, &mut out[from..]);
}

/// Appends the lower-case hex of some bytes.
pub fn write(bytes: &[u8], text: &mut impl fmt::Write) -> fmt::Result {
    let mut digits = [0; 128];
    for bytes in bytes.chunks(digits.len() / 2) {
        let digits = &mut digits[..2 * bytes.len()];
        fill(bytes, digits);
        // Hex digits are ASCII.
        text.write_str(str::from_utf8(digits).unwrap_or_default())?;
    }
    Ok(())
}

/// Bytes that are printed as lower-case hex.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, out)
    }
}

/// Returns the lower-case hex of some bytes.
pub fn text(bytes: &[u8]) -> String {
    let mut digits = vec![0; 2 * bytes.len()];
    fill(bytes, &mut digits);
    String::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_back_from_their_text(bytes in any::<[u8; 65]>()) {
            let digits = bytes.iter().fold(String::new(), |digits, it| format!("{digits}{it:02x}"));
            prop_assert_eq!(text(&bytes), digits.as_str());
            prop_assert_eq!(Hex(&bytes).to_string(), digits.as_str());
            let mut appended = b"0".to_vec();
            append(&bytes, &mut appended);
            prop_assert_eq!(appended, format!("0{digits}").into_bytes());
            prop_assert_eq!(decode(&digits), Ok(bytes));
        }

        #[test]
        fn nothing_but_lower_case_digits_is_read(
            place in 0_usize..64,
            other in prop_oneof![any::<char>(), (0_u8..128).prop_map(char::from)],
        ) {
            let mut characters = ['7'; 64];
            characters[place] = other;
            let text: String = characters.iter().collect();
            let expected = if matches!(other, '0'..='9' | 'a'..='f') {
                Ok(())
            } else {
                Err(HexError::Digit { found: other, position: place })
            };
            prop_assert_eq!(decode::<32>(&text).map(drop), expected);
        }
    }
}
