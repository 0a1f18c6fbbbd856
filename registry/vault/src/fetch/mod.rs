//! Brings the bytes of a [`Want`] onto this disk, from the first of its sources that gives them.
//!
//! - What arrived stays: a fetch that fails, is dropped or is killed is resumed by the next one.
//! - Nothing here decides whether bytes are right; that is [`verify`](crate::verify) alone.
//! - Everything is bounded: files and ranges at once, bytes in memory, tries, pauses, time.

mod body;
mod error;
mod local;
mod ranges;
mod span;

use std::{ops::Range, sync::Arc, time::Duration};

use base::Clock;
use bytes::Bytes;
use tokio::{sync::Semaphore, task::spawn_blocking};

pub use self::error::{FetchError, SetUpError, SourceFailure};
use self::ranges::Haul;
use crate::{
    backoff::{Hosts, Pause, RealPause},
    client::{Place, Tries, Web},
    cursor::Counted,
    fault::{Fault, SourceError},
    hub::Hub,
    limit::Limit,
    partial::{OpenError, Partial, Partials, Slot},
    progress::{Phase, Progress},
    resolve::{Located, resolve},
    room::Room,
    scribe::{Desk, DiskFault, Scribe},
    settings::Settings,
    source::{HubFile, Source},
    want::Want,
};

/// How often one source may make a download start over.
const RESTARTS_MAX: u32 = 4;
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

/// What one source made of a partial file.
enum Outcome {
    Whole(Slot, Counted),
    Failed(Slot, SourceError),
}

impl Downloader {
    /// Makes a downloader that lives by real time and real chance.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, room: Arc<dyn Room>) -> Result<Self, SetUpError> {
        Self::with_pause(settings, clock, room, Arc::new(RealPause))
    }

    /// Makes a downloader whose pauses somebody else passes.
    pub fn with_pause(
        settings: Settings,
        clock: Arc<dyn Clock>,
        room: Arc<dyn Room>,
        pause: Arc<dyn Pause>,
    ) -> Result<Self, SetUpError> {
        let hosts = Hosts::new(clock, pause, settings.pause_first, settings.pause_max);
        let web = Web::new(&settings, hosts).map_err(|source| SetUpError { source })?;
        Ok(Self {
            web,
            hub: Hub::new(&settings),
            limit: Limit::new(settings.bytes_per_second_max),
            room,
            seats: Semaphore::new(settings.files_max.max(1)),
            budget: Arc::new(Semaphore::new(settings.memory_bytes_max.max(1) as usize)),
            settings,
        })
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
                Ok(slot) if !waited.is_zero() && slot.is_empty() => {
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

    async fn recount(
        &self,
        slot: Slot,
        want: &Want,
        progress: &Arc<dyn Progress>,
    ) -> Result<(Slot, Counted), FetchError> {
        progress.phase(&Phase::Verifying);
        let path = slot.path.clone();
        let finished = Scribe::start(slot, &self.desk(progress)).finish().await;
        let (slot, tally) = finished.map_err(|it| stopped(want, path, it))?;
        Ok((slot, tally.finish()))
    }

    /// Fetches from one source, starting over where what is here does not go with what the source has.
    async fn draw(
        &self,
        mut slot: Slot,
        source: &Source,
        want: &Want,
        progress: &Arc<dyn Progress>,
    ) -> Result<Outcome, FetchError> {
        let (mut in_one_piece, mut restarts) = (false, 0);
        let label = source.to_string();
        let path = slot.path.clone();
        loop {
            if slot.journal.source.as_ref() != Some(&label) {
                // Validators belong to the server that gave them; the bytes are promised to be the same everywhere.
                slot.journal.source = Some(label.clone());
                (slot.journal.etag, slot.journal.commit) = (None, None);
            }
            let scribe = Scribe::start(slot, &self.desk(progress));
            let poured = self.pour(&scribe, source, want, in_one_piece, progress.as_ref()).await;
            if poured.is_ok() {
                progress.phase(&Phase::Verifying);
            }
            let finished = scribe.finish().await;
            let (back, tally) = finished.map_err(|it| stopped(want, path.clone(), it))?;
            slot = back;
            let error = match poured {
                Ok(()) => return Ok(Outcome::Whole(slot, tally.finish())),
                Err(Fault::Final(error) | Fault::Again { error, .. }) => error,
                Err(Fault::Disk) => return Err(FetchError::Closed),
                Err(Fault::Changed { unranged, url }) => {
                    in_one_piece |= unranged;
                    restarts += 1;
                    slot = self.start_over(slot, want, progress.as_ref()).await?;
                    if restarts <= RESTARTS_MAX {
                        continue;
                    }
                    SourceError::Unsteady { url }
                }
            };
            return Ok(Outcome::Failed(slot, error));
        }
    }

    async fn start_over(
        &self,
        mut slot: Slot,
        want: &Want,
        progress: &dyn Progress,
    ) -> Result<Slot, FetchError> {
        let path = slot.path.clone();
        let disk = |source| stopped(want, path, DiskFault::Io(source));
        let reset = spawn_blocking(move || slot.reset().map(|()| slot)).await;
        let slot = reset.map_err(std::io::Error::other).and_then(|it| it).map_err(disk)?;
        progress.reached(0);
        Ok(slot)
    }

    async fn pour(
        &self,
        scribe: &Scribe,
        source: &Source,
        want: &Want,
        in_one_piece: bool,
        progress: &dyn Progress,
    ) -> Result<(), Fault> {
        let fetching = || progress.phase(&Phase::Fetching { source: source.to_string() });
        progress.phase(&Phase::Resolving { source: source.to_string() });
        let mut xet = None;
        let place = match source {
            Source::Mirror(_) | Source::Web(_) => web_place(source, want),
            Source::File(path) => {
                fetching();
                return local::copy(path, want, scribe).await;
            }
            Source::Seeds(folder) => {
                let seed = local::find_seed(folder, want).await?;
                fetching();
                return local::copy(&seed, want, scribe).await;
            }
            Source::Hub(file) => {
                let pinned = scribe.journal().commit;
                let located = self.locate(file, pinned, want, progress).await?;
                scribe.journal().commit = located.commit;
                xet = located.xet.then_some((file, located.commit));
                Some(located.place)
            }
        };
        let Some(place) = place else { return Err(Fault::Disk) };
        let label = source.to_string();
        let Self { web, settings, limit, .. } = self;
        let size_bytes = want.size_bytes;
        let haul = Haul {
            web,
            settings,
            limit,
            place: &place,
            scribe,
            source: &label,
            size_bytes,
            progress,
            in_one_piece,
        };
        match (haul.run().await, xet) {
            (Err(Fault::Final(error)), Some((file, commit))) if may_be_xet_only(&error) => {
                self.hub.pour(file, commit, scribe, &self.limit).await
            }
            (poured, _) => poured,
        }
    }

    async fn locate(
        &self,
        file: &HubFile,
        pinned: Option<base::CommitId>,
        want: &Want,
        progress: &dyn Progress,
    ) -> Result<Located, Fault> {
        let tell = |pause, why: &str| progress.phase(&Phase::Waiting { pause, why: why.to_owned() });
        let ask =
            async || resolve(&self.web, file, pinned, want).await.map(|it| (it, 0)).map_err(|it| (it, 0));
        let host = file.url().origin().ascii_serialization();
        match self.web.persist(&host, &mut Tries::new(&tell), ask).await {
            // The commit that an earlier download stood at is gone: the branch has to be asked anew.
            Err(Fault::Final(SourceError::Missing { url, .. })) if pinned.is_some() => {
                Err(Fault::Changed { unranged: false, url })
            }
            it => it,
        }
    }

    fn desk(&self, progress: &Arc<dyn Progress>) -> Desk {
        Desk {
            budget: Arc::clone(&self.budget),
            budget_bytes: self.settings.memory_bytes_max.max(1),
            progress: Arc::clone(progress),
            room: Arc::clone(&self.room),
            keep_free_bytes: self.settings.keep_free_bytes,
            sync_bytes: self.settings.sync_bytes,
            list_chunks: self.settings.list_chunks,
        }
    }
}

/// Returns the place of a source that is one web address.
fn web_place(source: &Source, want: &Want) -> Option<Place> {
    match source {
        Source::Web(url) => Some(Place::new(url.clone(), None)),
        it => it.mirror_url(&want.digest).map(|url| Place::new(url, None)),
    }
}

/// Says whether a hub that has a file, but not by plain GET, may still have it by Xet.
fn may_be_xet_only(error: &SourceError) -> bool {
    matches!(error, SourceError::Missing { .. } | SourceError::Answer { .. } | SourceError::Confused { .. })
}

fn partial(slot: Slot, counted: Counted, source: String) -> Partial {
    Partial { file: slot.file, path: slot.path, journal: slot.journal_path, source, counted }
}

fn stopped(want: &Want, path: std::path::PathBuf, fault: DiskFault) -> FetchError {
    match fault {
        DiskFault::Io(source) => FetchError::Disk { path, source },
        DiskFault::NoRoom { needed_bytes, free_bytes } => {
            let folder = path.parent().unwrap_or(&path).into();
            FetchError::NoRoom { name: want.name.clone(), folder, needed_bytes, free_bytes }
        }
    }
}
