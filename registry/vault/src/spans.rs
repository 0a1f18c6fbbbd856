//! Which bytes of a file are there: a set of ranges, merged as it grows.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

/// A set of byte offsets, kept as ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(crate) struct Spans(BTreeMap<u64, u64>);

impl Spans {
    /// Adds a range. What is there already may be added again.
    pub(crate) fn add(&mut self, span: Range<u64>) {
        if span.is_empty() {
            return;
        }
        let (mut start, mut end) = (span.start, span.end);
        while let Some((&from, &to)) = self.0.range(..=end).next_back().filter(|(_, to)| **to >= start) {
            (start, end) = (start.min(from), end.max(to));
            self.0.remove(&from);
        }
        self.0.insert(start, end);
    }

    /// Forgets everything from `length` on, which the file does not have.
    pub(crate) fn cut(&mut self, length: u64) {
        self.0 =
            self.0.iter().map(|(&from, &to)| (from, to.min(length))).filter(|(from, to)| from < to).collect();
    }

    /// Returns where the first gap begins.
    pub(crate) fn contiguous(&self) -> u64 {
        self.0.get(&0).copied().unwrap_or(0)
    }

    /// Returns how many bytes are there.
    pub(crate) fn covered(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }

    /// Returns where the last range ends.
    pub(crate) fn end(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(_, &to)| to)
    }

    /// Returns the first gap at or after `from` and below `size`, at most `length_max` long.
    pub(crate) fn gap(&self, from: u64, size: u64, length_max: u64) -> Option<Range<u64>> {
        let inside = self.0.range(..=from).next_back().map_or(0, |(_, &to)| to);
        let start = inside.max(from);
        let next = self.0.range(start..).next().map_or(size, |(&from, _)| from.min(size));
        let end = next.min(start.saturating_add(length_max));
        (start < end).then_some(start..end)
    }
}

impl From<Vec<(u64, u64)>> for Spans {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        let mut spans = Self::default();
        for (from, to) in pairs {
            spans.add(from..to);
        }
        spans
    }
}

impl From<Spans> for Vec<(u64, u64)> {
    fn from(spans: Spans) -> Self {
        spans.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(spans: &Spans) -> Vec<bool> {
        let mut bits = vec![false; 64];
        for (from, to) in Vec::from(spans.clone()) {
            (from..to).for_each(|it| bits[usize::try_from(it).unwrap()] = true);
        }
        bits
    }

    proptest! {
        #[test]
        fn spans_are_a_set_of_offsets(ranges: Vec<(u8, u8)>, cut in 0_u64..70) {
            let (mut spans, mut model) = (Spans::default(), vec![false; 64]);
            for (from, length) in ranges {
                let (from, to) = (u64::from(from % 64), u64::from(from % 64 + length % 16).min(64));
                spans.add(from..to);
                (from..to).for_each(|it| model[usize::try_from(it).unwrap()] = true);
                prop_assert_eq!(bits(&spans), model.clone());
            }
            prop_assert_eq!(spans.covered(), model.iter().filter(|it| **it).count() as u64);
            prop_assert_eq!(spans.contiguous(), model.iter().take_while(|it| **it).count() as u64);
            // Filling every gap in turn leaves none, and no gap holds what is there.
            let mut filled = spans.clone();
            while let Some(gap) = filled.gap(0, 64, 5) {
                prop_assert!(gap.clone().all(|it| !bits(&filled)[usize::try_from(it).unwrap()]));
                filled.add(gap);
            }
            prop_assert_eq!(filled.covered(), 64);
            spans.cut(cut);
            let kept = model.iter().enumerate().map(|(at, it)| *it && (at as u64) < cut).collect::<Vec<_>>();
            prop_assert_eq!(bits(&spans), kept);
        }
    }
}
