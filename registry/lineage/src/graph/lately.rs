//! Guesses at the number of a text that came up not long ago.
//!
//! A guess may be wrong, and whoever asks compares the texts; so no answer depends on it, and whoever makes up texts
//! that drive each other out makes nothing slower than it is without guesses.

/// How many numbers are kept: more than there are authors and names of fields that come in mass.
const SLOTS: usize = 1024;

/// The numbers of texts that came up lately.
#[derive(Debug)]
pub(super) struct Lately(Box<[u32; SLOTS]>);

impl Default for Lately {
    fn default() -> Self {
        Self(Box::new([u32::MAX; SLOTS]))
    }
}

impl Lately {
    /// Returns the number that a text has if it came up lately. It may be another text's.
    pub(super) fn guess(&self, text: Mixed) -> Option<u32> {
        Some(self.0[text.top(SLOTS.ilog2()) as usize]).filter(|it| *it != u32::MAX)
    }

    /// Notes the number of a text.
    pub(super) fn note(&mut self, text: Mixed, number: u32) {
        self.0[text.top(SLOTS.ilog2()) as usize] = number;
    }
}

/// A text mixed into few bits: quickly, so anybody can make up texts that come to the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixed(u64);

impl Mixed {
    /// Mixes a text, eight bytes at a time.
    pub(super) fn of(text: &[u8]) -> Self {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let (words, rest) = text.as_chunks::<8>();
        let rest = rest.iter().fold(text.len() as u64, |word, byte| word << 8 | u64::from(*byte));
        let mix = |mixed: u64, word: u64| (mixed.rotate_left(29) ^ word).wrapping_mul(ODD);
        Self(words.iter().fold(mix(0, rest), |mixed, word| mix(mixed, u64::from_le_bytes(*word))))
    }

    /// Returns the top bits, at most 32: all of the text went into them.
    pub(super) fn top(self, bits: u32) -> u32 {
        u32::try_from(self.0 >> (u64::BITS - bits)).unwrap_or_default()
    }
}
