//! Recognises an index with nothing wrong in it on the way past.
//!
//! - It says yes or nothing. Where anything is wrong, unusual or merely doubtful, the whole text is examined by
//!   [`crate::check`], which alone reports; nothing is refused here.
//! - Of the index it holds one block for each core, whatever the size of the file.
//! - The cores begin at entries that are guessed. A guess counts only if the core before arrives exactly there, so
//!   that together they have read one sequence of entries.

mod share;
#[cfg(test)]
mod tests;
mod window;

use std::{
    hash::RandomState,
    num::NonZero,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use memchr::{memchr, memmem};

pub(crate) use self::window::Source;
use self::{
    share::{Marks, Share, Task},
    window::Window,
};
use crate::{
    check::ENTRIES_MAX,
    document::{Document, Kind, TEXT_BYTES_MAX},
    schema::Contract,
};

/// Less than this is not worth a second thread.
const SHARE_BYTES_MIN: u64 = 128 << 10;

/// In so many bytes the first entry has to begin, and any other.
const OPENING_BYTES: usize = 64 << 10;

/// Reads an index in which there is nothing to report, and keeps something of each entry, whose text is handed over with
/// the place of its first byte. `None` says nothing about the index.
pub(crate) fn glance<T: Send>(
    source: &(impl Source + ?Sized),
    contract: &Contract,
    keep: impl Fn(&str, u64) -> Option<T> + Sync,
) -> Option<Vec<T>> {
    // Another organisation's schema may say something about all entries together.
    let size = source.size().ok().filter(|it| *it <= TEXT_BYTES_MAX as u64 && contract.is_ours())?;
    let opening = Opening::read(source)?;
    let starts = opening.starts(source, size);
    let task =
        Task { source, contract, keep: &keep, seed: RandomState::new(), given_up: AtomicBool::new(false) };
    let (mut kept, mut marks, mut closing) = (Vec::new(), Marks::default(), Vec::new());
    for share in one_sequence(&task, &starts)? {
        kept.extend(share.kept);
        marks.extend(share.marks);
        closing = share.closing;
    }
    let fine = kept.len() <= ENTRIES_MAX && marks.surely_agree() && opening.fits(&closing, contract);
    fine.then_some(kept)
}

/// Reads on all cores, and again on one what was guessed wrongly.
fn one_sequence<S, K, T>(task: &Task<'_, S, K>, starts: &[u64]) -> Option<Vec<Share<T>>>
where
    S: Source + ?Sized,
    K: Fn(&str, u64) -> Option<T> + Sync,
    T: Send,
{
    let untils = starts.iter().skip(1).copied().chain([u64::MAX]);
    let mut pairs = starts.iter().copied().zip(untils);
    let (from, until) = pairs.next()?;
    let (first, others) = thread::scope(|scope| {
        let others =
            pairs.map(|(from, until)| scope.spawn(move || task.examine(from, until))).collect::<Vec<_>>();
        let first = task.examine(from, until);
        task.given_up.store(first.is_none(), Ordering::Relaxed);
        let joined =
            others.into_iter().map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        (first, joined.collect::<Vec<_>>())
    });
    let mut end = first.as_ref()?.end;
    let mut shares = vec![first?];
    for (start, share) in starts[1..].iter().zip(others) {
        if *start != end {
            shares.push(task.examine(end, u64::MAX)?);
            break;
        }
        let share = share?;
        end = share.end;
        shares.push(share);
    }
    Some(shares)
}

/// What stands before the first entry.
struct Opening {
    /// Everything up to the bracket that opens the list.
    text: Vec<u8>,
    /// What probably stands between two entries, and the beginning of the second.
    between: Vec<u8>,
}

impl Opening {
    fn read(source: &(impl Source + ?Sized)) -> Option<Self> {
        let window = Window::open(source, 0, OPENING_BYTES);
        let bytes = window.bytes();
        let name = b"\"models\"";
        let at = memmem::find(bytes, name)? + name.len();
        let mut rest = bytes[at..].iter().enumerate().filter(|it| !it.1.is_ascii_whitespace());
        let opens = rest.next()?.1 == &b':';
        let (bracket, _) = rest.next().filter(|it| opens && it.1 == &b'[')?;
        let (text, entries) = bytes.split_at(at + bracket + 1);
        // An entry is known by its first key, and by how it is indented.
        let quote = |from: usize| Some(from + memchr(b'"', entries.get(from..)?)? + 1);
        let key_end = quote(0).and_then(quote).unwrap_or(0);
        let between = [b",", &entries[..key_end]].concat();
        Some(Self { text: text.to_vec(), between })
    }

    /// Guesses for each core where to begin.
    fn starts(&self, source: &(impl Source + ?Sized), size: u64) -> Vec<u64> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get) as u64;
        let cores = cores.min(size / SHARE_BYTES_MIN).max(1);
        let brace = memchr(b'{', &self.between);
        let guess = |core: u64| {
            let from = size / cores * core;
            let at = memmem::find(Window::open(source, from, OPENING_BYTES).bytes(), &self.between)?;
            Some(from + (at + brace?) as u64)
        };
        [self.text.len() as u64].into_iter().chain((1..cores).filter_map(guess)).collect()
    }

    /// Says that an index is well as far as it is not its entries: the same without them is.
    fn fits(&self, closing: &[u8], contract: &Contract) -> bool {
        let frame = [&self.text, closing].concat();
        let Ok(document) = Document::parse(&frame) else { return false };
        let list = document.root().get("models").filter(|it| it.kind() == Kind::Array);
        // The list that was read is the one that counts, not another of its name.
        let opened = self.text.len() - 1;
        list.is_some_and(|it| it.span() == (opened..opened + 2)) && contract.check_frame(&document).is_empty()
    }
}
