//! Files that the kernel sends by itself, in their place among the bytes that the HTTP library sends.
//!
//! The library hands on what a body gives it, without looking inside or copying it. So a body may give slices of a
//! blank region, which nobody ever reads, and note here which part of which file each slice stands for; where the
//! connection is about to write such a slice, it lets the kernel send that part of the file.
//!
//! - A blank byte never leaves this process: a slice that nothing is noted for ends the connection.
//! - Each slice begins at a place of its own in the region, so none is taken for another; one that is not the next in
//!   turn ends the connection, and so do other bytes in its place.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IoSlice},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

/// The longest part of a file that one slice stands for.
pub(in crate::http) const PART_BYTES_MAX: usize = 1 << 20;
/// How many slices can be told apart. The library queues some dozen.
const PLACES: usize = 4096;

/// Never read and never written, so the system gives it no memory.
static BLANK: LazyLock<&'static [u8]> =
    LazyLock::new(|| Box::leak(vec![0; PART_BYTES_MAX + PLACES].into_boxed_slice()));

/// The parts of files that one connection is about to send.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Outbox(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    parts: VecDeque<FilePart>,
    next_place: usize,
}

/// What one slice stands for; both begin with what was not sent yet.
#[derive(Debug)]
struct FilePart {
    file: Arc<File>,
    offset: u64,
    /// Where the slice begins in the blank region.
    place: usize,
    length: usize,
}

/// What a connection has to write next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// So many of the slices, as they are.
    Slices(usize),
    /// The first part of a file.
    File,
}

impl Outbox {
    /// Notes a part of a file, no longer than [`PART_BYTES_MAX`], and returns the slice that stands for it.
    pub(in crate::http) fn put(&self, file: &Arc<File>, offset: u64, length: usize) -> Bytes {
        let mut queue = self.queue();
        let place = queue.next_place;
        let length = length.min(PART_BYTES_MAX);
        queue.next_place = (place + 1) % PLACES;
        queue.parts.push_back(FilePart { file: Arc::clone(file), offset, place, length });
        Bytes::from_static(&BLANK[place..place + length])
    }

    /// Says what of these slices comes next, unless they are not what was noted.
    pub(super) fn next(&self, slices: &[IoSlice<'_>]) -> io::Result<Next> {
        let first = slices.iter().enumerate().find_map(|(at, it)| Some((at, it, place_of(it)?)));
        match (first, self.queue().parts.front()) {
            (None, None) => Ok(Next::Slices(slices.len())),
            (Some((at, slice, place)), Some(part)) if part.place == place && part.length == slice.len() => {
                let is_first = slices[..at].iter().all(|it| it.is_empty());
                Ok(if is_first { Next::File } else { Next::Slices(at) })
            }
            _ => Err(io::Error::other("what is to be sent is not what was noted: report this")),
        }
    }

    /// Lets the first part of a file be sent, or as much of it as is taken.
    pub(super) fn send(
        &self,
        send: impl FnOnce(&File, u64, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut queue = self.queue();
        let Some(part) = queue.parts.front_mut() else { return Ok(0) };
        let taken = send(&part.file, part.offset, part.length)?;
        if taken == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has lost bytes"));
        }
        (part.offset, part.place, part.length) =
            (part.offset + taken as u64, part.place + taken, part.length - taken);
        if part.length == 0 {
            queue.parts.pop_front();
        }
        Ok(taken)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns where a slice begins in the blank region, if it lies in it.
fn place_of(slice: &[u8]) -> Option<usize> {
    let place = slice.as_ptr().addr().checked_sub(BLANK.as_ptr().addr())?;
    (!slice.is_empty() && place < BLANK.len()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Arc<File> {
        Arc::new(tempfile::tempfile().unwrap())
    }

    fn next(outbox: &Outbox, slices: &[&[u8]]) -> Option<Next> {
        outbox.next(&slices.iter().map(|it| IoSlice::new(it)).collect::<Vec<_>>()).ok()
    }

    #[test]
    fn what_was_noted_is_sent_in_its_place_and_nothing_else() {
        let (outbox, file) = (Outbox::default(), file());
        assert_eq!(next(&outbox, &[b"head", b"body"]), Some(Next::Slices(2)));
        let one = outbox.put(&file, 100, 1000);
        let two = outbox.put(&file, 1100, 50);
        assert_eq!(next(&outbox, &[b"head", &one, &two]), Some(Next::Slices(1)));
        assert_eq!(next(&outbox, &[b"", &one, b"\r\n"]), Some(Next::File));
        // Out of turn, shortened, or gone: somebody on the way has not handed on what the body gave.
        for wrong in [&[&two[..], &one[..]][..], &[&one[..999]], &[&one[1..]], &[b"bytes"], &[]] {
            assert_eq!(next(&outbox, wrong), None);
        }
        let sent = outbox.send(|_, offset, length| {
            assert_eq!((offset, length), (100, 1000));
            Ok(400)
        });
        assert_eq!(sent.unwrap(), 400);
        assert_eq!(next(&outbox, &[&one]), None);
        assert_eq!(next(&outbox, &[&one[400..], &two]), Some(Next::File));
        let sent = outbox.send(|_, offset, length| {
            assert_eq!((offset, length), (500, 600));
            Ok(600)
        });
        assert_eq!(sent.unwrap(), 600);
        assert_eq!(outbox.send(|_, _, length| Ok(length)).unwrap(), 50);
        assert_eq!(next(&outbox, &[&two]), None, "a blank slice that nothing is noted for");
    }

    #[test]
    fn a_file_that_has_lost_bytes_is_an_error() {
        let outbox = Outbox::default();
        let _slice = outbox.put(&file(), 0, 10);
        let ended = outbox.send(|_, _, _| Ok(0)).unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn slices_that_wait_at_the_same_time_begin_at_different_places() {
        let (outbox, file) = (Outbox::default(), file());
        let slices = (0..PLACES).map(|_| outbox.put(&file, 0, PART_BYTES_MAX)).collect::<Vec<_>>();
        let places = slices.iter().map(|it| it.as_ptr().addr()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(places.len(), PLACES);
        assert!(slices.iter().all(|it| it.len() == PART_BYTES_MAX));
    }
}
