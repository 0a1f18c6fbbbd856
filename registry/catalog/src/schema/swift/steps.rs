//! What was met last in each place between two values.
//!
//! Entries of one file are mostly laid out alike: behind the value of one key stand the same comma, line break, blanks,
//! next key and colon as in the entry before. The parser is in the same state there, so what it read from those bytes
//! the last time, it would read from them again.

/// One for each place, learned from the entries that came by.
#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<Option<Step>>);

/// The bytes from behind one value to where the next begins, or behind the bracket that ends them.
#[derive(Debug)]
struct Step {
    bytes: Vec<u8>,
    /// The first of them once more, and which bits of so many bytes belong to it: a few words are compared faster than
    /// any number of bytes.
    words: Words,
    mask: Words,
    then: Then,
}

/// So many bytes are compared at once.
const WORDS_BYTES: usize = 32;

type Words = [u64; WORDS_BYTES / 8];

/// What follows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// The value of a property that the shape knows.
    Property(usize),
    /// The value of another property, whose key stands in the step from here to there.
    Other(usize, usize),
    /// An element.
    Element,
    /// What is behind the object or array.
    End,
}

impl Steps {
    /// Returns what the next bytes say, and how many they are, if it is what they said the last time.
    pub(super) fn recall(&self, place: usize, bytes: &[u8]) -> Option<(usize, Then)> {
        let step = self.0.get(place)?.as_ref()?;
        let (length, then) = (step.bytes.len(), step.then);
        // Where more blanks follow, this is the step of another layout.
        let whole = matches!(then, Then::End) || bytes.get(length).is_some_and(|it| *it > b' ');
        (step.begins(bytes) && whole).then_some((length, then))
    }

    /// Remembers what bytes said.
    pub(super) fn learn(&mut self, place: usize, bytes: &[u8], then: Then) {
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        let length = bytes.len().min(WORDS_BYTES);
        let (mut first, mut mask) = ([0; WORDS_BYTES], [0; WORDS_BYTES]);
        first[..length].copy_from_slice(&bytes[..length]);
        mask[..length].fill(u8::MAX);
        self.0[place] = Some(Step { bytes: bytes.to_vec(), words: words(&first), mask: words(&mask), then });
    }
}

impl Step {
    fn begins(&self, bytes: &[u8]) -> bool {
        match bytes.first_chunk() {
            Some(chunk) if self.bytes.len() <= WORDS_BYTES => {
                let pairs = words(chunk).into_iter().zip(self.words).zip(self.mask);
                pairs.fold(0, |differ, ((one, other), mask)| differ | (one ^ other) & mask) == 0
            }
            _ => bytes.starts_with(&self.bytes),
        }
    }
}

fn words(bytes: &[u8; WORDS_BYTES]) -> Words {
    let mut words = Words::default();
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}
