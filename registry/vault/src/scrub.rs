//! Hashes everything on the shelf again, and mends what rotted.
//!
//! - One thread hashes one object, as many objects at once as there are threads; memory is one buffer each.
//! - An object whose bytes are no longer its digest leaves the shelf at once, to quarantine: no view shows it.
//! - A chunk list that is missing, damaged or wrong is written anew, but only from an object found whole.
//! - The chunk list names the damaged pieces; [`Repair`] patches a copy and the whole digest decides again.
//! - To scrub is no use of an object: gc does not count it.

mod pace;
mod repair;

pub use repair::{Repair, RepairError, damaged_chunks};

use std::{
    fs::File,
    io::{self, Read},
    num::{NonZeroU64, NonZeroUsize},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use base::{Sha256, UnixSeconds};
use serde::Serialize;

use crate::{DiskError, Quarantined, Shelf, chunks::ChunkList, cursor::Tally, durable::at};
use pace::Pacer;

/// Small enough for the processor's cache, large enough that calls cost nothing.
const BUFFER_BYTES: usize = 256 << 10;

/// How fast a scrub may go.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many objects are hashed at once.
    pub threads: NonZeroUsize,
    /// How many bytes a second are read, all threads together; as many as there are when `None`.
    pub bytes_per_second: Option<NonZeroU64>,
}

impl Default for Pace {
    /// Uses all cores and all the disk gives.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { threads, bytes_per_second: None }
    }
}

/// Looks on while a scrub runs, and may end it. Called from all its threads.
pub trait Onlooker: Sync {
    /// Hears that so many more bytes of an object were hashed.
    fn hashed(&self, _digest: &Sha256, _bytes: u64) {}

    /// Hears how an object is.
    fn saw(&self, _seen: &Seen) {}

    /// Says whether to stop. Objects that are not done by then are [`Health::Unchecked`].
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Onlooker for () {}

/// How one object is.
#[derive(Debug, Serialize)]
pub struct Seen {
    /// Which object.
    pub digest: Sha256,
    /// What was found.
    #[serde(flatten)]
    pub health: Health,
}

/// What a scrub found out about an object.
#[derive(Debug, Serialize)]
#[serde(tag = "health", rename_all = "kebab-case")]
pub enum Health {
    /// The bytes are what their digest says.
    Whole {
        /// How many there are.
        size_bytes: u64,
    },
    /// They are not. The object is off the shelf; repair it or fetch it again.
    Damaged {
        /// What is in quarantine now.
        #[serde(flatten)]
        quarantined: Quarantined,
        /// Which 16 MiB pieces are wrong, or `None` where no chunk list tells.
        chunks: Option<Vec<usize>>,
    },
    /// There is no such object.
    Missing,
    /// The disk does not give the bytes, or the shelf could not be changed. Look at the disk.
    Unreadable {
        /// Why.
        #[serde(serialize_with = "as_text")]
        error: DiskError,
    },
    /// The scrub was cancelled before this one was done.
    Unchecked,
}

/// Hashes these objects again. Returns how each of them is, in the given order.
pub fn scrub(
    shelf: &Shelf,
    digests: &[Sha256],
    pace: Pace,
    now: UnixSeconds,
    onlooker: &dyn Onlooker,
) -> Vec<Seen> {
    let pacer = Pacer::new(pace.bytes_per_second);
    let next = AtomicUsize::new(0);
    let results = Mutex::new((0..digests.len()).map(|_| None).collect::<Vec<Option<Seen>>>());
    let work = || {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(digest) = digests.get(index) else { return };
            let mut look = Look { shelf, digest: *digest, now, pacer: &pacer, onlooker, buffer: &mut buffer };
            let health = look.check().unwrap_or_else(|error| Health::Unreadable { error });
            let seen = Seen { digest: *digest, health };
            onlooker.saw(&seen);
            results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(seen);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..pace.threads.get().min(digests.len()) {
            scope.spawn(work);
        }
        work();
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().flatten().collect()
}

/// One thread's look at one object.
struct Look<'a> {
    shelf: &'a Shelf,
    digest: Sha256,
    now: UnixSeconds,
    pacer: &'a Pacer,
    onlooker: &'a dyn Onlooker,
    buffer: &'a mut [u8],
}

impl Look<'_> {
    fn check(&mut self) -> Result<Health, DiskError> {
        if self.onlooker.is_cancelled() {
            return Ok(Health::Unchecked);
        }
        let _lease = self.shelf.lease_quietly(&self.digest)?;
        let path = self.shelf.object_path(&self.digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Health::Missing),
            Err(error) => return Err(at("open", &path)(error)),
        };
        let chunk_list = self.shelf.chunks(&self.digest)?;
        let hashed = self.hash(&file).map_err(at("read", &path))?;
        let Some(found) = hashed else { return Ok(Health::Unchecked) };
        if found.digest != self.digest {
            return self.take_off(&file, &found, chunk_list.as_ref());
        }
        let size_bytes = found.size_bytes;
        if chunk_list.is_none_or(|it| it != found) {
            self.shelf.keep_chunks(&found)?;
        }
        Ok(Health::Whole { size_bytes })
    }

    /// Hashes the whole. Returns `None` if the onlooker has had enough.
    fn hash(&mut self, mut file: &File) -> io::Result<Option<ChunkList>> {
        let mut tally = Tally::default();
        loop {
            if self.onlooker.is_cancelled() {
                return Ok(None);
            }
            let length = match file.read(self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if length == 0 {
                break;
            }
            tally.update(&self.buffer[..length]);
            self.onlooker.hashed(&self.digest, length as u64);
            self.pacer.spent(length as u64);
        }
        Ok(Some(tally.finish()))
    }

    fn take_off(
        &self,
        file: &File,
        found: &ChunkList,
        list: Option<&ChunkList>,
    ) -> Result<Health, DiskError> {
        let record = Quarantined {
            promised: self.digest,
            promised_size_bytes: list.map_or(found.size_bytes, ChunkList::size_bytes),
            found: found.digest,
            found_size_bytes: found.size_bytes,
            source: "the shelf: it was whole when it was placed".to_owned(),
            first: self.now,
            last: self.now,
            count: 1,
        };
        match self.shelf.quarantine_object(file, record)? {
            Some(quarantined) => {
                let chunks = damaged_chunks(self.shelf, &quarantined)?;
                Ok(Health::Damaged { quarantined, chunks })
            }
            // Somebody placed it again meanwhile, with bytes just proven, or gc took it.
            None => match self.shelf.object(&self.digest)? {
                Some(it) => Ok(Health::Whole { size_bytes: it.size_bytes() }),
                None => Ok(Health::Missing),
            },
        }
    }
}

fn as_text<S: serde::Serializer>(error: &DiskError, serializer: S) -> Result<S::Ok, S::Error> {
    match error.io() {
        Some(source) => serializer.collect_str(&format_args!("{error}: {source}")),
        None => serializer.collect_str(error),
    }
}

#[cfg(test)]
mod tests;
