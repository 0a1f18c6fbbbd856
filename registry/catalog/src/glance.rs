//! Recognises an index with nothing wrong in it on the way past.
//!
//! - It says yes or nothing. Where anything is wrong, unusual or merely doubtful, the whole text is examined by
//!   [`crate::check`], which alone reports; nothing is refused here.
//! - Of the index it holds one block for each core, whatever the size of the file.
//! - The index is cut into stretches, and a core that has read one takes the next: one that comes late or is held up
//!   leaves more to the others.
//! - Where the first entry of a stretch begins is guessed. A guess counts only if whoever read the stretch before arrives
//!   exactly there, so that together they have read one sequence of entries.

mod cores;
mod marks;
mod share;
#[cfg(test)]
mod tests;
mod window;

use std::{
    hash::RandomState,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use memchr::{memchr, memmem};

pub(crate) use self::window::Source;
use self::{
    marks::surely_agree,
    share::{Core, Share, Task},
    window::Window,
};
use crate::{
    check::ENTRIES_MAX,
    document::{Document, Kind, TEXT_BYTES_MAX},
    schema::Contract,
};

/// How long a stretch is: little enough for a core's own cache, and for the last one to end soon after the others.
const STRETCH_BYTES: u64 = 496 << 10;

/// In so many bytes the first entry has to begin.
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
    let task =
        Task { source, contract, keep: &keep, seed: RandomState::new(), given_up: AtomicBool::new(false) };
    let (mut kept, mut marks, mut closing) = (Vec::new(), Vec::new(), None);
    for share in one_sequence(&task, &opening, size)? {
        kept.extend(share.kept);
        marks.push(share.marks);
        closing = share.closing;
    }
    let fine = kept.len() <= ENTRIES_MAX && surely_agree(&marks) && opening.fits(&closing?, contract);
    fine.then_some(kept)
}

/// Reads on all cores, and again on one what was guessed wrongly.
fn one_sequence<S, K, T>(task: &Task<'_, S, K>, opening: &Opening, size: u64) -> Option<Vec<Share<T>>>
where
    S: Source + ?Sized,
    K: Fn(&str, u64) -> Option<T> + Sync,
    T: Send,
{
    let count = opening.stretches(size);
    let mut shares = (0..count).map(|_| None).collect::<Vec<_>>();
    for (stretch, share) in on_all_cores(task, opening, count) {
        shares[stretch] = Some(share);
    }
    task.given_up.store(false, Ordering::Relaxed);
    let mut end = opening.text.len() as u64;
    let (mut sequence, mut again) = (Vec::with_capacity(shares.len()), None);
    for (stretch, share) in shares.into_iter().enumerate() {
        let until = opening.until(stretch, count);
        let share = match share {
            Some(share) if share.start == end => share,
            _ if end >= until => continue,
            _ => {
                let core = again.get_or_insert_with(|| Core::new(task));
                core.go_to(end, None);
                core.examine(until)?
            }
        };
        end = share.end;
        sequence.push(share);
        if sequence.last().is_some_and(|it| it.closing.is_some()) {
            return Some(sequence);
        }
    }
    None
}

/// Reads stretches on all cores, and returns those in which there is nothing to report.
fn on_all_cores<S, K, T>(task: &Task<'_, S, K>, opening: &Opening, count: usize) -> Vec<(usize, Share<T>)>
where
    S: Source + ?Sized,
    K: Fn(&str, u64) -> Option<T> + Sync,
    T: Send,
{
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut core, mut shares) = (Core::new(task), Vec::new());
        loop {
            let stretch = next.fetch_add(1, Ordering::Relaxed);
            if stretch >= count || task.given_up.load(Ordering::Relaxed) {
                return shares;
            }
            let (place, between) = match stretch {
                0 => (opening.text.len() as u64, None),
                _ => (stretch as u64 * STRETCH_BYTES, Some(&opening.between[..])),
            };
            if !core.go_to(place, between) {
                continue;
            }
            match core.examine(opening.until(stretch, count)) {
                Some(share) => shares.push((stretch, share)),
                // Mostly there is something to report.
                None => task.given_up.store(true, Ordering::Relaxed),
            }
        }
    };
    cores::on_each(count, work).into_iter().flatten().collect()
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
        let mut window = Window::new(source, OPENING_BYTES);
        window.open_at(0);
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

    /// Returns into how many stretches an index is cut.
    fn stretches(&self, size: u64) -> usize {
        let count = if self.brace().is_some() { size.div_ceil(STRETCH_BYTES) } else { 1 };
        usize::try_from(count).unwrap_or(1).max(1)
    }

    /// Returns where a stretch ends: the first entry from there on belongs to the next.
    fn until(&self, stretch: usize, count: usize) -> u64 {
        match self.brace() {
            Some(brace) if stretch + 1 < count => (stretch as u64 + 1) * STRETCH_BYTES + brace as u64,
            _ => u64::MAX,
        }
    }

    /// Returns where in what stands between two entries the second begins.
    fn brace(&self) -> Option<usize> {
        memchr(b'{', &self.between)
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
