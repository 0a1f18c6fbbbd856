//! One core's share of the entries.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicBool, Ordering},
};

use super::window::{Source, Window};
use crate::{
    document::{Node, Slots},
    rules::{self, Parts},
    schema::Contract,
};

/// What all cores work with.
pub(super) struct Task<'t, S: ?Sized, K> {
    pub(super) source: &'t S,
    pub(super) contract: &'t Contract,
    pub(super) keep: &'t K,
    /// Nobody can guess two names with the same hash, as long as the seed is random.
    pub(super) seed: RandomState,
    /// Whether it is clear already that nothing will come of it.
    pub(super) given_up: AtomicBool,
}

/// What a core has read.
pub(super) struct Share<T> {
    pub(super) kept: Vec<T>,
    pub(super) marks: Marks,
    /// Where it ended: at an entry, or at the end of the list.
    pub(super) end: u64,
    /// What follows the last entry, if the list ended.
    pub(super) closing: Vec<u8>,
}

impl<S: Source + ?Sized, K> Task<'_, S, K> {
    /// Reads entries from a place on, and ends at the first one not before `until`, or where the list ends.
    pub(super) fn examine<T>(&self, from: u64, until: u64) -> Option<Share<T>>
    where
        K: Fn(Node<'_>, u64) -> Option<T>,
    {
        let mut window = Window::open(self.source, from);
        let mut share = Share { kept: Vec::new(), marks: Marks::default(), end: from, closing: Vec::new() };
        let mut slots = Slots::default();
        let mut byte = window.next_byte()?;
        while byte != b']' && window.place() < until {
            if self.given_up.load(Ordering::Relaxed) {
                return None;
            }
            let (document, length) = window.document(&mut slots)?;
            share.kept.push(self.entry(document.root(), window.place(), &mut share.marks)?);
            slots = document.into_slots();
            window.advance(length);
            byte = window.next_byte()?;
            if byte == b',' {
                window.advance(1);
                // A comma is followed by an entry.
                byte = window.next_byte().filter(|it| *it == b'{')?;
            } else if byte != b']' {
                return None;
            }
        }
        share.end = window.place();
        if byte == b']' {
            share.closing = window.bytes().to_vec();
        }
        share.marks.sort();
        Some(share)
    }

    fn entry<T>(&self, entry: Node<'_>, place: u64, marks: &mut Marks) -> Option<T>
    where
        K: Fn(Node<'_>, u64) -> Option<T>,
    {
        let parts = Parts::of(entry);
        let (flaws, is_stub) = rules::check(&parts);
        let fine = flaws.is_empty() && !is_stub && self.contract.check_entry(entry).is_empty();
        fine.then_some(())?;
        marks.add(&parts, &self.seed)?;
        (self.keep)(entry, place)
    }
}

/// What has to be compared across entries, each in eight bytes: two that are equal there need a closer look.
#[derive(Default)]
pub(super) struct Marks {
    ids: Vec<u64>,
    /// The first half of a digest's first half, and the size of the file.
    sizes: Vec<(u64, u64)>,
}

impl Marks {
    fn add(&mut self, parts: &Parts<'_>, seed: &RandomState) -> Option<()> {
        self.ids.push(seed.hash_one(parts.id?.plain_str()?));
        for file in parts.artifact.files() {
            let digest = file.sha256?.plain_str()?.get(..16)?;
            let size = file.size_bytes?.as_number()?;
            self.sizes.push((u64::from_str_radix(digest, 16).ok()?, size.parse().ok()?));
        }
        Some(())
    }

    #[expect(clippy::stable_sort_primitive, reason = "the stable sort sees the runs that are sorted already")]
    fn sort(&mut self) {
        self.ids.sort();
        self.sizes.sort();
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.sizes.extend(other.sizes);
    }

    /// Says that no id stands twice and that no digest has two sizes. If it does not say so, that may still hold.
    pub(super) fn surely_agree(mut self) -> bool {
        self.sort();
        self.ids.windows(2).all(|pair| pair[0] != pair[1])
            && self.sizes.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].1 == pair[1].1)
    }
}
