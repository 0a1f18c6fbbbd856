//! What one core reads of the entries, a stretch of the index at a time.

use std::{
    hash::RandomState,
    sync::atomic::{AtomicBool, Ordering},
};

use memchr::{memchr, memmem};

use super::{
    STRETCH_BYTES,
    marks::Marks,
    window::{Source, Window},
};
use crate::{
    document::{Document, ENTRY_DEPTH, Node, Slots},
    rules::{self, Licenses, Parts},
    schema::{Contract, Steps},
};

/// How much of the index stands in memory for each core: a stretch, and the rest of its last entry if that is not very
/// long. An entry that does not fit is for others to read.
const BLOCK_BYTES: usize = 512 << 10;

const _: () = assert!(BLOCK_BYTES as u64 > STRETCH_BYTES);

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

/// A core at work.
pub(super) struct Core<'t, S: ?Sized, K> {
    task: &'t Task<'t, S, K>,
    window: Window<'t, S>,
    memory: Memory,
}

/// What is seen of the source, and up to which place entries are read.
struct Block<'t> {
    text: &'t str,
    place: u64,
    until: u64,
}

/// What a core remembers of the entries before.
#[derive(Default)]
struct Memory {
    steps: Steps,
    slots: Slots,
    licenses: Licenses,
}

/// What was read at one go.
pub(super) struct Share<T> {
    pub(super) kept: Vec<T>,
    pub(super) marks: Marks,
    /// Where it began.
    pub(super) start: u64,
    /// Where it ended: at an entry, or at the end of the list.
    pub(super) end: u64,
    /// What follows the last entry, if the list ended.
    pub(super) closing: Option<Vec<u8>>,
}

impl<'t, S: Source + ?Sized, K> Core<'t, S, K> {
    pub(super) fn new(task: &'t Task<'t, S, K>) -> Self {
        Self { task, window: Window::new(task.source, BLOCK_BYTES), memory: Memory::default() }
    }

    /// Goes to a place, and to the first entry behind it if one is meant by what probably stands between two. Says
    /// whether it is there.
    pub(super) fn go_to(&mut self, place: u64, between: Option<&[u8]>) -> bool {
        self.window.open_at(place);
        let find = |between| Some(memmem::find(self.window.bytes(), between)? + memchr(b'{', between)?);
        let at = between.map_or(Some(0), find);
        self.window.advance(at.unwrap_or_default());
        at.is_some()
    }

    /// Reads entries, and ends at the first one not before `until`, or where the list ends.
    pub(super) fn examine<T>(&mut self, until: u64) -> Option<Share<T>>
    where
        K: Fn(&str, u64) -> Option<T>,
    {
        let Self { task, window, memory } = self;
        let start = window.place();
        let mut share = Share { kept: Vec::new(), marks: Marks::default(), start, end: start, closing: None };
        loop {
            let text = window.text();
            let block = Block { text, place: window.place(), until };
            let (length, done) = task.entries(&block, memory, &mut share)?;
            let ends = text[length..].starts_with(']');
            window.advance(length);
            if done {
                share.end = window.place();
                if ends {
                    // The end of the source is part of what is seen, unless there is very much behind the list.
                    window.look_ahead();
                    share.closing = Some(window.bytes().to_vec());
                    window.advance(window.bytes().len());
                    (!window.look_ahead()).then_some(())?;
                }
                return Some(share);
            }
            // An entry has to fit into the window.
            window.look_ahead().then_some(())?;
        }
    }
}

impl<S: Source + ?Sized, K> Task<'_, S, K> {
    /// Reads the entries that are seen whole. Says where they end, and whether there is nothing more to do.
    fn entries<T>(
        &self,
        block: &Block<'_>,
        memory: &mut Memory,
        share: &mut Share<T>,
    ) -> Option<(usize, bool)>
    where
        K: Fn(&str, u64) -> Option<T>,
    {
        let Memory { steps, slots, licenses } = memory;
        let mut skim = self.contract.skim(block.text, steps)?;
        let mut at = blanks(block.text, 0);
        while let Some(byte) = block.text.as_bytes().get(at) {
            if *byte == b']' || block.place + at as u64 >= block.until {
                return Some((at, true));
            }
            (!self.given_up.load(Ordering::Relaxed)).then_some(())?;
            let plain = skim
                .entry(at)
                .filter(|(facts, end)| rules::surely_kept(facts, &block.text[at..*end], licenses));
            let marks = &mut share.marks;
            let next = match plain {
                Some((facts, end)) => behind(block.text, end).and_then(|next| {
                    let files = facts.files().map(|it| (it.sha256, it.size_bytes));
                    marks.add(facts.id, files, &self.seed).map(|()| (next, end))
                }),
                None => self.closely(block.text, at, slots, marks),
            };
            let Some((next, end)) = next else { return Some((at, false)) };
            share.kept.push((self.keep)(&block.text[at..end], block.place + at as u64)?);
            at = next;
        }
        Some((at, false))
    }

    /// Reads an entry that is not laid out or written as most are, and looks at all of it.
    #[cold]
    fn closely(&self, text: &str, at: usize, slots: &mut Slots, marks: &mut Marks) -> Option<(usize, usize)> {
        let (document, length) = Document::first(&text.as_bytes()[at..], ENTRY_DEPTH, slots)?;
        let next = behind(text, at + length)?;
        let parts = Parts::of(document.root());
        let (flaws, is_stub) = rules::check(&parts);
        let fine = flaws.is_empty() && !is_stub && self.contract.check_entry(parts.entry).is_empty();
        fine.then_some(())?;
        let sizes = parts
            .artifact
            .files()
            .map(|it| (it.sha256.and_then(Node::plain_str), it.size_bytes.and_then(Node::as_number)));
        marks.add(parts.id.and_then(Node::plain_str), sizes, &self.seed)?;
        *slots = document.into_slots();
        Some((next, at + length))
    }
}

/// Returns where the next entry begins, or the list ends, behind an entry.
fn behind(text: &str, end: usize) -> Option<usize> {
    let at = blanks(text, end);
    match text.as_bytes().get(at)? {
        b']' => Some(at),
        // A comma is followed by an entry.
        b',' => Some(blanks(text, at + 1)).filter(|it| text.as_bytes().get(*it) == Some(&b'{')),
        _ => None,
    }
}

/// Returns where blanks end.
fn blanks(text: &str, at: usize) -> usize {
    let blank = |it: &&u8| matches!(it, b' ' | b'\n' | b'\r' | b'\t');
    at + text.as_bytes()[at..].iter().take_while(blank).count()
}
