//! Draws one file from one source, starting over where what is here does not go with what the source has.

use std::{io, path::PathBuf, sync::Arc};

use base::CommitId;
use tokio::task::spawn_blocking;

use crate::{
    chunks::ChunkList,
    client::{Place, Tries},
    fault::{Fault, SourceError},
    fetch::{Downloader, FetchError, local, ranges::Haul},
    partial::Slot,
    progress::{Phase, Progress},
    resolve::{Located, resolve},
    scribe::{Desk, DiskFault, Scribe},
    source::{HubFile, Source},
    want::Want,
};

/// How often one source may make a download start over.
const RESTARTS_MAX: u32 = 4;

/// What one source made of a partial file.
pub(crate) enum Outcome {
    Whole(Slot, ChunkList),
    Failed(Slot, SourceError),
}

impl Downloader {
    /// Hashes what an earlier download left whole.
    pub(crate) async fn recount(
        &self,
        slot: Slot,
        want: &Want,
        progress: &Arc<dyn Progress>,
    ) -> Result<(Slot, ChunkList), FetchError> {
        progress.phase(&Phase::Verifying);
        let path = slot.path.clone();
        let finished = Scribe::start(slot, &self.desk(progress)).finish().await;
        let (slot, tally) = finished.map_err(|it| stopped(want, path, it))?;
        Ok((slot, tally.finish()))
    }

    /// Fetches from one source, starting over where what is here does not go with what the source has.
    pub(crate) async fn draw(
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
        let slot = reset.map_err(io::Error::other).and_then(|it| it).map_err(disk)?;
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

    /// Asks the hub where a file is, with patience.
    pub(crate) async fn locate(
        &self,
        file: &HubFile,
        pinned: Option<CommitId>,
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
        }
    }
}

/// Returns the place of a source that is one web address.
pub(crate) fn web_place(source: &Source, want: &Want) -> Option<Place> {
    match source {
        Source::Web(url) => Some(Place::new(url.clone(), None)),
        it => it.mirror_url(&want.digest).map(|url| Place::new(url, None)),
    }
}

/// Says whether a hub that has a file, but not by plain GET, may still have it by Xet.
fn may_be_xet_only(error: &SourceError) -> bool {
    matches!(error, SourceError::Missing { .. } | SourceError::Answer { .. } | SourceError::Confused { .. })
}

fn stopped(want: &Want, path: PathBuf, fault: DiskFault) -> FetchError {
    match fault {
        DiskFault::Io(source) => FetchError::Disk { path, source },
        DiskFault::NoRoom { needed_bytes, free_bytes } => {
            let folder = path.parent().unwrap_or(&path).into();
            FetchError::NoRoom { name: want.name.clone(), folder, needed_bytes, free_bytes }
        }
    }
}
