//! Checks a text that differs in one place from one that held, by a look at that place.
//!
//! - What is looked at is a short text: the new one without the entries that stay, but for the first and the last of
//!   them. If a parser finds those two in their places in the list of the short text, then it is in the same state
//!   where each entry that was left out would stand, and would read it as it did before. So the short text is well
//!   formed if and only if the new one is, and holds the same entries but for those left out.
//! - It says what changed, or nothing. Where there is an error, or anything else out of the ordinary, the whole text is
//!   checked by [`super::check_again`]; so what is reported never depends on what stood there before.

use std::ops::Range;

use super::{ENTRIES_MAX, examine};
use crate::{
    document::{Document, Kind, Node, TEXT_BYTES_MAX},
    entry::Entry,
    flaw::{Flaw, Place, Report, Severity},
    index::{Index, Kept, Listed, Revision},
    schema::Contract,
};

/// Two texts are compared in pieces of this length.
const PIECE_BYTES: usize = 4 << 10;

/// A new text, and what it shares with the one before.
pub(super) struct Change<'t> {
    old: &'t Index,
    text: &'t str,
    kept: Kept,
    /// Where the entries that do not stay stand, and what is between them.
    middle: Range<usize>,
}

impl<'t> Change<'t> {
    /// Compares a text with an index.
    pub(super) fn between(old: &'t Index, text: &'t str) -> Self {
        let (before, after) = (old.text().as_bytes(), text.as_bytes());
        let (prefix, suffix) = (common_prefix(before, after), common_suffix(before, after));
        let spans = old.spans();
        let head = spans.partition_point(|it| it.end <= prefix);
        // The two may overlap: an entry put in before another often begins like that one.
        let head_end = head.checked_sub(1).map_or(0, |last| spans[last].end);
        let behind = |it: &Range<usize>| {
            it.start + suffix >= before.len() && it.start + after.len() >= head_end + before.len()
        };
        let tail = spans.len() - (head + spans[head..].partition_point(|it| !behind(it)));
        let mut change = Self { old, text, kept: Kept { head, tail }, middle: 0..text.len() };
        change.middle.start = head_end;
        if tail > 0 {
            change.middle.end = change.moved(spans[spans.len() - tail].start);
        }
        change
    }

    /// Returns how many bytes there are to look at.
    pub(super) fn length(&self) -> usize {
        self.first().len() + self.middle.len() + self.last().len()
    }

    /// Looks at what changed.
    pub(super) fn check(&self, contract: &Contract, before: &Report) -> Option<(Revision, Report)> {
        // Another organisation's schema may say something about all entries together.
        let usual = contract.is_ours() && before.left_out() == 0 && self.text.len() <= TEXT_BYTES_MAX;
        usual.then_some(())?;
        let short =
            [&self.text[self.first()], &self.text[self.middle.clone()], &self.text[self.last()]].concat();
        let document = Document::parse(short.as_bytes()).ok()?;
        let fresh = self.fresh_entries(&document)?;
        let examined = examine(&document, contract);
        let fine = examined.unlisted == 0 && examined.flaws.iter().all(|it| it.severity == Severity::Warning);
        fine.then_some(())?;
        let stubs = examined.entries.iter().skip(self.kept.head.min(1)).map(|it| it.1);
        let listed = fresh.iter().zip(stubs).map(|(node, is_stub)| {
            let span = node.span();
            let entry = Entry::read_ours(*node).ok()?;
            Some((Listed { entry, is_stub }, self.in_text(span.start)..self.in_text(span.end)))
        });
        let revision = Revision::of(self.old, self.kept, listed.collect::<Option<_>>()?)?;
        let mut flaws =
            before.flaws.iter().filter_map(|it| self.carried(it, fresh.len())).collect::<Vec<_>>();
        flaws.extend(examined.flaws.into_iter().filter_map(|it| self.found(it, fresh.len())));
        let (stubs, gone) = revision.stubs(self.old);
        let models = self.kept.head + fresh.len() + self.kept.tail;
        let report = Report::new(self.text.as_bytes(), flaws);
        (models <= ENTRIES_MAX).then_some(())?;
        Some((revision, Report { models, stubs: before.stubs - gone + stubs, ..report }))
    }

    /// Returns the entries that the short text has between the first and the last, if those two are in their places.
    fn fresh_entries<'d>(&self, document: &'d Document<'_>) -> Option<Vec<Node<'d>>> {
        let models = document.root().get("models").filter(|it| it.kind() == Kind::Array)?;
        let mut entries = models.elements().collect::<Vec<_>>();
        let (first, last) = (self.first(), self.last());
        if !last.is_empty() {
            let span = entries.pop()?.span();
            let expected = first.len() + self.middle.len();
            (span.start == expected && span.len() == self.old.spans().last()?.len()).then_some(())?;
        }
        if !first.is_empty() {
            (!entries.is_empty() && entries.remove(0).span() == self.old.spans()[0]).then_some(())?;
        }
        Some(entries)
    }

    /// Returns a flaw of an entry that stays, as it is reported now.
    fn carried(&self, flaw: &Flaw, fresh: usize) -> Option<Flaw> {
        let (number, _) = entry_of(&flaw.pointer)?;
        let gone = self.kept.gone(self.old);
        if number < gone.start {
            return Some(flaw.clone());
        }
        let flaw = (number >= gone.end).then(|| flaw.clone())?;
        renumbered(flaw, |it| it - gone.len() + fresh, |it| self.moved(it))
    }

    /// Returns a flaw of an entry that does not stay, as it is reported in the whole text.
    fn found(&self, flaw: Flaw, fresh: usize) -> Option<Flaw> {
        let first = self.kept.head.min(1);
        let (number, _) = entry_of(&flaw.pointer).filter(|it| (first..first + fresh).contains(&it.0))?;
        renumbered(flaw, |_| number - first + self.kept.head, |it| self.in_text(it))
    }

    /// Returns what the short text begins with: everything up to the end of the first entry, if that one stays.
    fn first(&self) -> Range<usize> {
        0..if self.kept.head > 0 { self.old.spans()[0].end } else { 0 }
    }

    /// Returns what the short text ends with: everything from the last entry on, if that one stays.
    fn last(&self) -> Range<usize> {
        let start = self.old.spans().last().filter(|_| self.kept.tail > 0).map(|it| self.moved(it.start));
        start.unwrap_or(self.text.len())..self.text.len()
    }

    /// Turns a place in the middle of the short text into one in the whole.
    fn in_text(&self, place: usize) -> usize {
        place - self.first().len() + self.middle.start
    }

    /// Turns a place behind the change into where it is now.
    fn moved(&self, place: usize) -> usize {
        place + self.text.len() - self.old.text().len()
    }
}

fn renumbered(
    mut flaw: Flaw,
    number: impl Fn(usize) -> usize,
    place: impl Fn(usize) -> usize,
) -> Option<Flaw> {
    let (old, rest) = entry_of(&flaw.pointer)?;
    flaw.pointer = format!("/models/{}{rest}", number(old));
    let move_to = |it: &mut Place| it.span = place(it.span.start)..place(it.span.end);
    move_to(&mut flaw.place);
    flaw.related.iter_mut().for_each(|it| move_to(&mut it.place));
    Some(flaw)
}

/// Returns the number of the entry that a pointer leads into, and the rest of the way.
fn entry_of(pointer: &str) -> Option<(usize, &str)> {
    let way = pointer.strip_prefix("/models/")?;
    let (number, rest) = way.split_at(way.find('/').unwrap_or(way.len()));
    Some((number.parse().ok()?, rest))
}

fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let pieces = one.chunks_exact(PIECE_BYTES).zip(other.chunks_exact(PIECE_BYTES));
    let same = pieces.take_while(|(one, other)| one == other).count() * PIECE_BYTES;
    same + one[same..].iter().zip(&other[same..]).take_while(|(one, other)| one == other).count()
}

fn common_suffix(one: &[u8], other: &[u8]) -> usize {
    let pieces = one.rchunks_exact(PIECE_BYTES).zip(other.rchunks_exact(PIECE_BYTES));
    let same = pieces.take_while(|(one, other)| one == other).count() * PIECE_BYTES;
    let (one, other) = (&one[..one.len() - same], &other[..other.len() - same]);
    same + one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests;
