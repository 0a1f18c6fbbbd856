//! Turns what Python writes for numbers that are none into texts, and bounds the length of texts.

use std::io::{self, Read};

/// The longest text in a document that is read on.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// A reader that lets JSON pass, with NaN, Infinity and -Infinity in quotes.
pub(super) struct Filter<R> {
    reader: R,
    input: Vec<u8>,
    /// What of the input was not looked at yet.
    left: std::ops::Range<usize>,
    /// What was looked at and did not fit yet.
    output: Vec<u8>,
    given: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Text {
        length: u64,
        escaped: bool,
    },
    /// A word such as NaN, which is being quoted.
    Word,
    /// A minus that may be a number's or a word's.
    Minus,
}

impl<R: Read> Filter<R> {
    pub(super) fn new(reader: R) -> Self {
        let state = State::Between;
        Self { reader, input: vec![0; 16 << 10], left: 0..0, output: Vec::new(), given: 0, state }
    }

    fn pass(&mut self, byte: u8) -> io::Result<()> {
        match self.state {
            State::Text { length, escaped } => {
                if length > TEXT_BYTES_MAX {
                    let message = format!("a text in it is longer than {TEXT_BYTES_MAX} bytes");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                self.output.push(byte);
                self.state = match byte {
                    b'"' if !escaped => State::Between,
                    _ => State::Text { length: length + 1, escaped: byte == b'\\' && !escaped },
                };
            }
            State::Word if byte.is_ascii_alphabetic() => self.output.push(byte),
            State::Word => {
                self.output.push(b'"');
                self.state = State::Between;
                return self.pass(byte);
            }
            State::Minus => {
                if byte == b'I' {
                    self.output.extend(b"\"-I");
                    self.state = State::Word;
                } else {
                    self.output.push(b'-');
                    self.state = State::Between;
                    return self.pass(byte);
                }
            }
            State::Between => match byte {
                b'N' | b'I' => {
                    self.output.extend([b'"', byte]);
                    self.state = State::Word;
                }
                b'-' => self.state = State::Minus,
                b'"' => {
                    self.output.push(byte);
                    self.state = State::Text { length: 0, escaped: false };
                }
                _ => self.output.push(byte),
            },
        }
        Ok(())
    }
}

impl<R: Read> Read for Filter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.output.len() {
            self.output.clear();
            self.given = 0;
            if self.left.is_empty() {
                let length = self.reader.read(&mut self.input)?;
                if length == 0 {
                    // The last word has no end of its own.
                    match std::mem::replace(&mut self.state, State::Between) {
                        State::Word => self.output.push(b'"'),
                        State::Minus => self.output.push(b'-'),
                        State::Between | State::Text { .. } => return Ok(0),
                    }
                    continue;
                }
                self.left = 0..length;
            }
            for at in std::mem::take(&mut self.left) {
                let byte = self.input[at];
                self.pass(byte)?;
            }
        }
        let length = buffer.len().min(self.output.len() - self.given);
        buffer[..length].copy_from_slice(&self.output[self.given..self.given + length]);
        self.given += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_becomes_a_text_and_nothing_else_changes() {
        let check = |text: &str, expected: &str| {
            let mut passed = String::new();
            Filter::new(text.as_bytes()).read_to_string(&mut passed).unwrap();
            assert_eq!(passed, expected);
        };
        check(
            r#"{"NaN": NaN, "a": [Infinity, -Infinity, -1, "-I \" N"]} "#,
            r#"{"NaN": "NaN", "a": ["Infinity", "-Infinity", -1, "-I \" N"]} "#,
        );
        check("NaN", "\"NaN\"");
        check("-Infinity", "\"-Infinity\"");
        check("-", "-");
        check(r#"{"a\\": NaN}"#, r#"{"a\\": "NaN"}"#);
        let long = format!("\"{}\"", "x".repeat(2 << 20));
        assert!(Filter::new(long.as_bytes()).read_to_string(&mut String::new()).is_err());
    }
}
