//! Writes what arrives, hashes it on the way, and keeps the journal honest. Three threads for each file:
//!
//! - the writer puts pieces where they belong and hands those that come in order to the cursor;
//! - the cursor hashes ([`cursor`](crate::cursor));
//! - the keeper syncs the file every so often, and only then writes into the journal what was synced.
//!
//! Bytes in flight are paid for from a budget that all downloads share, so memory does not grow with files.
//! Dropping a [`Scribe`] ends the threads; what had arrived is synced and journalled.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::{JoinHandle, spawn_blocking},
};

use crate::{
    cursor::{self, Step, Tally},
    journal::Journal,
    partial::Slot,
    progress::Progress,
    room::Room,
    spans::Spans,
};

/// How far the cursor may lag before it reads back from the file instead of being waited for.
const LAG_BYTES_MAX: u64 = 16 << 20;
/// The most that is written between two looks at the free space.
const ROOM_BYTES: u64 = 64 << 20;
const SYNC_TIME_MAX: Duration = Duration::from_secs(1);
const QUEUE_MAX: usize = 64;
/// What is given up of a download for the sake of its journal, where the disk is full.
const TAIL_BYTES: u64 = 1 << 20;

/// What a scribe works with besides the file.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) budget: Arc<Semaphore>,
    pub(crate) budget_bytes: u32,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) room: Arc<dyn Room>,
    pub(crate) keep_free_bytes: u64,
    pub(crate) sync_bytes: u64,
}

/// The writing end of one partial file.
pub(crate) struct Scribe {
    pieces: mpsc::Sender<Piece>,
    budget: Arc<Semaphore>,
    budget_bytes: u32,
    sheet: Arc<Sheet>,
    path: PathBuf,
    writer: JoinHandle<Result<(), DiskFault>>,
    cursor: JoinHandle<io::Result<Tally>>,
    keeper: JoinHandle<io::Result<()>>,
}

/// Why bytes could not be written.
#[derive(Debug)]
pub(crate) enum DiskFault {
    /// The disk is full, or would be.
    NoRoom {
        needed_bytes: u64,
        free_bytes: u64,
    },
    Io(io::Error),
}

/// The scribe has stopped; [`Scribe::finish`] says why.
#[derive(Debug)]
pub(crate) struct Stopped;

struct Piece {
    offset: u64,
    bytes: Bytes,
    permit: OwnedSemaphorePermit,
}

/// What the three threads share.
struct Sheet {
    file: Arc<File>,
    journal_path: PathBuf,
    size_bytes: u64,
    /// Its spans are those that were synced.
    journal: Mutex<Journal>,
    /// Those that were written.
    written: Mutex<Spans>,
    hashed: AtomicU64,
    stop: AtomicBool,
}

impl Scribe {
    /// Takes the pen. The cursor starts at once with what the file already holds.
    pub(crate) fn start(slot: Slot, desk: &Desk) -> Self {
        let Slot { file, path, journal_path, journal } = slot;
        let (size_bytes, spans) = (journal.size_bytes, journal.spans.clone());
        let sheet = Arc::new(Sheet {
            file,
            journal_path,
            size_bytes,
            journal: Mutex::new(journal),
            written: Mutex::new(spans),
            hashed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let (pieces, inbox) = mpsc::channel(QUEUE_MAX);
        let (steps, news) = sync_channel(QUEUE_MAX);
        let (kick, kicks) = sync_channel(1);
        let cursor = spawn_blocking({
            let sheet = Arc::clone(&sheet);
            move || cursor::follow(&sheet.file, &news, &sheet.hashed, &sheet.stop)
        });
        let keeper = spawn_blocking({
            let sheet = Arc::clone(&sheet);
            move || sheet.keep(&kicks)
        });
        let writer =
            Writer { sheet: Arc::clone(&sheet), steps, kick, desk: desk.clone(), folder: folder(&path) };
        let writer = spawn_blocking(move || writer.run(inbox));
        let (budget, budget_bytes) = (Arc::clone(&desk.budget), desk.budget_bytes);
        Self { pieces, budget, budget_bytes, sheet, path, writer, cursor, keeper }
    }

    /// Hands over bytes; waits while too many are in flight.
    pub(crate) async fn put(&self, offset: u64, bytes: Bytes) -> Result<(), Stopped> {
        let cost = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(self.budget_bytes);
        let permit = Arc::clone(&self.budget).acquire_many_owned(cost).await.map_err(|_| Stopped)?;
        self.pieces.send(Piece { offset, bytes, permit }).await.map_err(|_| Stopped)
    }

    /// Returns the first gap at or after `from`, at most `length_max` long.
    pub(crate) fn gap(&self, from: u64, length_max: u64) -> Option<std::ops::Range<u64>> {
        self.sheet.written().gap(from, self.sheet.size_bytes, length_max)
    }

    /// Looks at the journal, or writes into it what will be stored with the next sync.
    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.sheet.journal()
    }

    /// Waits until all is written, synced and hashed. The tally is of the contiguous beginning of the file.
    pub(crate) async fn finish(self) -> Result<(Slot, Tally), DiskFault> {
        let Self { pieces, sheet, path, writer, cursor, keeper, .. } = self;
        drop(pieces);
        let written = joined(writer).await?;
        let tally = joined(cursor).await?;
        let kept = joined(keeper).await?;
        written?;
        kept.map_err(|it| sheet.fault(it))?;
        let tally = tally.map_err(DiskFault::Io)?;
        let journal = sheet.journal().clone();
        let (file, journal_path) = (Arc::clone(&sheet.file), sheet.journal_path.clone());
        Ok((Slot { file, path, journal_path, journal }, tally))
    }
}

impl Sheet {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Spans> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, error: io::Error) -> DiskFault {
        if is_full(&error) {
            let needed_bytes = self.size_bytes.saturating_sub(self.written().covered());
            return DiskFault::NoRoom { needed_bytes, free_bytes: 0 };
        }
        DiskFault::Io(error)
    }

    /// The keeper: syncs when kicked, at least once a second, and a last time at the end.
    fn keep(&self, kicks: &Receiver<()>) -> io::Result<()> {
        loop {
            let last = matches!(kicks.recv_timeout(SYNC_TIME_MAX), Err(RecvTimeoutError::Disconnected));
            match self.sync() {
                Ok(()) if last => return Ok(()),
                Ok(()) => {}
                // A full disk has no room for the journal either. The writer meets it too, or room is made.
                Err(error) if is_full(&error) && !last => {}
                Err(error) if is_full(&error) => {
                    self.give_up_tail()?;
                    self.sync()?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Frees the little that the journal takes, so that a full disk does not cost all that came since the last sync.
    fn give_up_tail(&self) -> io::Result<()> {
        let end = {
            let mut written = self.written();
            let end = written.end().saturating_sub(TAIL_BYTES);
            written.cut(end);
            end
        };
        // What the journal on disk claims beyond this is cut to the file's length when it is read.
        self.file.set_len(end)
    }

    fn sync(&self) -> io::Result<()> {
        let spans = self.written().clone();
        if spans == self.journal().spans {
            return Ok(());
        }
        // The order is the point: first the bytes, then the claim that they are there.
        self.file.sync_data()?;
        let journal = Journal { spans: spans.clone(), ..self.journal().clone() };
        journal.store(&self.journal_path)?;
        self.journal().spans = spans;
        Ok(())
    }
}

struct Writer {
    sheet: Arc<Sheet>,
    steps: SyncSender<Step>,
    kick: SyncSender<()>,
    desk: Desk,
    folder: PathBuf,
}

impl Writer {
    fn run(self, mut inbox: mpsc::Receiver<Piece>) -> Result<(), DiskFault> {
        let result = self.write_all(&mut inbox);
        if result.is_err() || self.sheet.written().covered() < self.sheet.size_bytes {
            // Nobody will ask for the digest of half a file: spare the cursor the rest of its way.
            self.sheet.stop.store(true, Ordering::Relaxed);
        }
        result
    }

    fn write_all(&self, inbox: &mut mpsc::Receiver<Piece>) -> Result<(), DiskFault> {
        let (mut since_sync, mut since_look) = (0, 0);
        let begun = self.sheet.written().contiguous();
        let mut cursor_lives = self.steps.send(Step::Reach(begun)).is_ok();
        while let Some(piece) = inbox.blocking_recv().filter(|_| cursor_lives) {
            let length = piece.bytes.len() as u64;
            self.sheet.file.write_all_at(&piece.bytes, piece.offset).map_err(|it| self.sheet.fault(it))?;
            since_sync += length;
            since_look += length;
            if since_sync >= self.desk.sync_bytes {
                since_sync = 0;
                // A kick that finds the keeper busy is not needed: it looks again by itself.
                let _ = self.kick.try_send(());
            }
            if since_look >= ROOM_BYTES.min(self.desk.sync_bytes) {
                since_look = 0;
                self.look_for_room()?;
            }
            cursor_lives = self.tell(piece);
        }
        let end = self.sheet.written().contiguous();
        let _ = self.steps.send(Step::Reach(end));
        Ok(())
    }

    /// Notes a piece that was written and lets the cursor know. Returns whether there still is a cursor.
    fn tell(&self, piece: Piece) -> bool {
        let (offset, end) = (piece.offset, piece.offset + piece.bytes.len() as u64);
        let (before, after, covered) = {
            let mut written = self.sheet.written();
            let before = written.contiguous();
            written.add(offset..end);
            (before, written.contiguous(), written.covered())
        };
        self.desk.progress.reached(covered);
        let in_order = offset <= before && after > before;
        let lag = offset.saturating_sub(self.sheet.hashed.load(Ordering::Relaxed));
        if in_order && lag <= LAG_BYTES_MAX {
            let Piece { offset, bytes, permit } = piece;
            return self.steps.send(Step::Bytes { offset, bytes, permit }).is_ok();
        }
        // A cursor that is far behind reads back from the file, so that it does not hold up the network.
        !matches!(
            self.steps.try_send(Step::Reach(after)),
            Err(std::sync::mpsc::TrySendError::Disconnected(_))
        )
    }

    fn look_for_room(&self) -> Result<(), DiskFault> {
        let free_bytes = self.desk.room.free_bytes(&self.folder).map_err(DiskFault::Io)?;
        if free_bytes >= self.desk.keep_free_bytes {
            return Ok(());
        }
        let missing = self.sheet.size_bytes.saturating_sub(self.sheet.written().covered());
        Err(DiskFault::NoRoom { needed_bytes: missing + self.desk.keep_free_bytes, free_bytes })
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

async fn joined<T>(task: JoinHandle<T>) -> Result<T, DiskFault> {
    task.await.map_err(|it| DiskFault::Io(io::Error::other(it)))
}

fn folder(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}
