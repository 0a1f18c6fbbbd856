//! Brings the bytes of a [`Want`] onto this disk, from the first of its sources that gives them.
//!
//! - What arrived stays: a fetch that fails, is dropped or is killed is resumed by the next one.
//! - Nothing here decides whether bytes are right; that is [`verify`](crate::verify) alone.
//! - Everything is bounded: files and ranges at once, bytes in memory, tries, pauses, time.

mod body;
mod draw;
mod error;
mod local;
mod ranges;
mod span;

use std::{ops::Range, sync::Arc, time::Duration};

use base::Clock;
use bytes::Bytes;
use tokio::{sync::Semaphore, task::spawn_blocking};

use self::draw::{Outcome, web_place};
pub use self::error::{FetchError, SourceFailure};
use crate::{
    backoff::{Hosts, Pause, RealPause},
    chunks::ChunkList,
    client::Web,
    fault::{Fault, SourceError},
    hub::Hub,
    limit::Limit,
    partial::{OpenError, Partial, Partials, Slot},
    progress::{Phase, Progress},
    room::Room,
    settings::Settings,
    source::Source,
    want::Want,
};

const LOCK_LOOK: Duration = Duration::from_millis(200);

/// Fetches files. One for the whole process: its bounds hold over all downloads together.
pub struct Downloader {
    settings: Settings,
    web: Web,
    hub: Hub,
    limit: Limit,
    room: Arc<dyn Room>,
    seats: Semaphore,
    budget: Arc<Semaphore>,
}

impl Downloader {
    /// Makes a downloader that lives by real time and real chance.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, room: Arc<dyn Room>) -> Self {
        Self::with_pause(settings, clock, room, Arc::new(RealPause))
    }

    /// Makes a downloader whose pauses somebody else passes.
    pub fn with_pause(
        settings: Settings,
        clock: Arc<dyn Clock>,
        room: Arc<dyn Room>,
        pause: Arc<dyn Pause>,
    ) -> Self {
        let hosts = Hosts::new(clock, pause, settings.pause_first, settings.pause_max);
        Self {
            web: Web::new(&settings, hosts),
            hub: Hub::new(&settings),
            limit: Limit::new(settings.bytes_per_second_max),
            room,
            seats: Semaphore::new(settings.files_max.max(1)),
            budget: Arc::new(Semaphore::new(settings.memory_bytes_max.max(1) as usize)),
            settings,
        }
    }

    /// Returns how this downloader behaves.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the client for what a hub says about its repositories.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Brings all bytes of a want into its partial file. May be dropped at any point; the next fetch goes on there.
    pub async fn fetch(
        &self,
        want: &Want,
        partials: &Partials,
        progress: &Arc<dyn Progress>,
    ) -> Result<Partial, FetchError> {
        let limit = self.settings.whole_time_max;
        let late = |_| FetchError::Late { name: want.name.clone(), limit };
        tokio::time::timeout(limit, self.fetch_in_time(want, partials, progress)).await.map_err(late)?
    }

    async fn fetch_in_time(
        &self,
        want: &Want,
        partials: &Partials,
        progress: &Arc<dyn Progress>,
    ) -> Result<Partial, FetchError> {
        let _seat = self.seats.acquire().await.map_err(|_| FetchError::Closed)?;
        let mut slot = self.take(want, partials, progress.as_ref()).await?;
        self.look_for_room(want, partials, &slot)?;
        progress.reached(slot.journal.spans.covered());
        let mut failures = Vec::new();
        if slot.journal.spans.contiguous() == want.size_bytes {
            let (slot, counted) = self.recount(slot, want, progress).await?;
            return Ok(partial(slot, counted, "an earlier download".into()));
        }
        for source in &want.sources {
            match self.draw(slot, source, want, progress).await? {
                Outcome::Whole(slot, counted) => return Ok(partial(slot, counted, source.to_string())),
                Outcome::Failed(back, error) => {
                    slot = back;
                    failures.push(SourceFailure { source: source.to_string(), error });
                }
            }
        }
        Err(FetchError::AllFailed { name: want.name.clone(), digest: want.digest, failures })
    }

    /// Fetches at most one chunk of a file into memory. Nothing is checked but its length.
    pub async fn fetch_span(&self, want: &Want, span: Range<u64>) -> Result<Bytes, FetchError> {
        if !span::is_askable(&span, want.size_bytes) {
            return Err(FetchError::BadSpan { name: want.name.clone(), span, size_bytes: want.size_bytes });
        }
        let mut failures = Vec::new();
        for source in &want.sources {
            match self.span_from(source, want, &span).await {
                Ok(bytes) => return Ok(bytes),
                Err(Fault::Final(error) | Fault::Again { error, .. }) => {
                    failures.push(SourceFailure { source: source.to_string(), error });
                }
                Err(Fault::Changed { url, .. }) => {
                    let error = SourceError::Unsteady { url };
                    failures.push(SourceFailure { source: source.to_string(), error });
                }
                Err(Fault::Disk) => return Err(FetchError::Closed),
            }
        }
        Err(FetchError::AllFailed { name: want.name.clone(), digest: want.digest, failures })
    }

    async fn span_from(&self, source: &Source, want: &Want, span: &Range<u64>) -> Result<Bytes, Fault> {
        let place = match source {
            Source::Mirror(_) | Source::Web(_) => web_place(source, want),
            Source::Hub(file) => Some(self.locate(file, None, want, &()).await?.place),
            Source::File(path) => return local::read_span(path, span).await,
            Source::Seeds(folder) => {
                return local::read_span(&local::find_seed(folder, want).await?, span).await;
            }
        };
        let Some(place) = place else { return Err(Fault::Disk) };
        span::fetch(&self.web, &self.settings, &self.limit, &place, span, want.size_bytes).await
    }

    /// Opens the partial file; waits while another process writes it.
    async fn take(
        &self,
        want: &Want,
        partials: &Partials,
        progress: &dyn Progress,
    ) -> Result<Slot, FetchError> {
        let mut waited = Duration::ZERO;
        loop {
            let (partials_too, want_too) = (partials.clone(), want.clone());
            let opened = spawn_blocking(move || partials_too.open(&want_too)).await;
            let disk = |source| FetchError::Disk { path: partials.path(&want.digest), source };
            match opened.map_err(|it| disk(std::io::Error::other(it)))? {
                // The other one is done and took the bytes away: they may be on the shelf by now.
                Ok(slot) if slot.is_empty() && (!waited.is_zero() || partials.is_shelved(want)) => {
                    slot.discard().map_err(disk)?;
                    return Err(FetchError::TakenOver { name: want.name.clone() });
                }
                Ok(slot) => return Ok(slot),
                Err(OpenError::Disk(source)) => return Err(disk(source)),
                Err(OpenError::Busy { process }) if waited >= self.settings.lock_time_max => {
                    return Err(FetchError::Busy { name: want.name.clone(), process });
                }
                Err(OpenError::Busy { process }) => {
                    let who = process.map_or_else(|| "another process".into(), |it| format!("process {it}"));
                    progress
                        .phase(&Phase::Waiting { pause: LOCK_LOOK, why: format!("{who} is fetching it") });
                    self.web.hosts.sleep(LOCK_LOOK).await;
                    waited += LOCK_LOOK;
                }
            }
        }
    }

    fn look_for_room(&self, want: &Want, partials: &Partials, slot: &Slot) -> Result<(), FetchError> {
        let missing = want.size_bytes.saturating_sub(slot.journal.spans.covered());
        let disk = |source| FetchError::Disk { path: partials.folder().into(), source };
        let free_bytes = self.room.free_bytes(partials.folder()).map_err(disk)?;
        let needed_bytes = missing.saturating_add(self.settings.keep_free_bytes);
        if missing == 0 || free_bytes >= needed_bytes {
            return Ok(());
        }
        Err(FetchError::NoRoom {
            name: want.name.clone(),
            folder: partials.folder().into(),
            needed_bytes,
            free_bytes,
        })
    }
}

fn partial(slot: Slot, counted: ChunkList, source: String) -> Partial {
    Partial { file: slot.file, path: slot.path, journal: slot.journal_path, source, counted }
}
