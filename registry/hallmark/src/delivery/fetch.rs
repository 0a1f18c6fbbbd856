//! Fetches what is not on the shelf, and shelves it.

use std::sync::Arc;

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use tokio::task::spawn_blocking;
use vault::{
    Checked, Downloader, FetchError, Loose, ObtainError, Partials, Progress, Promise, Shelf, Want,
    inspect::{Inspected, inspect},
};

/// What became of a file.
#[derive(Clone, Debug)]
pub(crate) enum Fetched {
    /// It was on the shelf already.
    Stands(vault::Object),
    /// What came in its place earlier still stands apart from the shelf, and the operator waives the check.
    StandsUnproven(Loose),
    /// It came.
    Came(Bytes),
    /// It did not come.
    Failed { why: String, is_final: bool },
    /// Something else came, and is in quarantine.
    Wrong { why: String },
}

impl Fetched {
    /// Returns where its bytes are, proven or not.
    pub(crate) fn path(&self) -> Option<&std::path::Path> {
        match self {
            Self::Stands(it) => Some(it.path()),
            Self::StandsUnproven(it) => Some(it.path()),
            Self::Came(bytes) => Some(match &bytes.place {
                Shelved::Proven(it) => it.path(),
                Shelved::Unproven(it) => it.path(),
            }),
            Self::Failed { .. } | Self::Wrong { .. } => None,
        }
    }
}

/// Bytes that came, and what a look inside found.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    pub(crate) place: Shelved,
    pub(crate) inspected: Option<Inspected>,
}

/// Where bytes were put.
#[derive(Clone, Debug)]
pub(crate) enum Shelved {
    Proven(vault::Object),
    /// Apart from the shelf, served to nobody: the operator waived the check.
    Unproven(Loose),
}

/// Fetches one file and shelves it.
pub(crate) async fn one(
    downloader: &Downloader,
    shelf: &Shelf,
    want: &Want,
    promise: Promise,
    progress: &Arc<dyn Progress>,
) -> Fetched {
    let partials = Partials::of(shelf);
    let checked = match promise {
        Promise::Kept => downloader.obtain(want, &partials, progress).await.map(Checked::Verified),
        Promise::Waived => waived(downloader, want, &partials, progress).await,
    };
    match checked {
        Ok(checked) => {
            let (shelf, name) = (shelf.clone(), want.name.clone());
            match spawn_blocking(move || place(&shelf, checked, &name)).await {
                Ok(Ok(bytes)) => Fetched::Came(bytes),
                Ok(Err(error)) => Fetched::Failed { why: format!("{error:#}"), is_final: false },
                Err(panic) => {
                    Fetched::Failed { why: format!("shelve {}: {panic}", want.name), is_final: false }
                }
            }
        }
        // Another process was faster: what it fetched is as proven as what we would have.
        Err(ObtainError::Fetch(FetchError::TakenOver { name })) => {
            match shelf.object_of_size(&want.digest, want.size_bytes) {
                Ok(Some(object)) => Fetched::Stands(object),
                Ok(None) => {
                    let why = format!("another process fetched {name} and did not shelve it: sync again");
                    Fetched::Failed { why, is_final: false }
                }
                Err(error) => Fetched::Failed { why: error.to_string(), is_final: false },
            }
        }
        Err(ObtainError::Fetch(error)) => {
            let is_final = error.is_final();
            Fetched::Failed { why: format!("{:#}", anyhow::Error::from(error)), is_final }
        }
        Err(error @ ObtainError::Mismatch { .. }) => quarantine(shelf, error).await,
    }
}

async fn waived(
    downloader: &Downloader,
    want: &Want,
    partials: &Partials,
    progress: &Arc<dyn Progress>,
) -> Result<Checked, ObtainError> {
    let partial = downloader.fetch(want, partials, progress).await?;
    let refused = |it: Box<vault::Refused>| ObtainError::Mismatch {
        refused: vec![*it],
        verdict: vault::Verdict::Unclear,
    };
    partial.check(want, Promise::Waived).map_err(refused)
}

fn place(shelf: &Shelf, checked: Checked, name: &str) -> anyhow::Result<Bytes> {
    let (place, path) = match checked {
        Checked::Verified(it) => {
            let object = shelf.place(it).with_context(|| format!("shelve {name}"))?;
            let path = object.path().to_owned();
            (Shelved::Proven(object), path)
        }
        Checked::Unverified(it) => {
            let loose = shelf.place_unverified(it).with_context(|| format!("keep {name}"))?;
            let path = loose.path().to_owned();
            (Shelved::Unproven(loose), path)
        }
    };
    let inspected = inspect(&path, name).with_context(|| format!("look inside {name}"))?;
    Ok(Bytes { place, inspected: Some(inspected) })
}

async fn quarantine(shelf: &Shelf, error: ObtainError) -> Fetched {
    let why = error.to_string();
    let ObtainError::Mismatch { refused, .. } = error else { return Fetched::Wrong { why } };
    let shelf = shelf.clone();
    let moved = spawn_blocking(move || {
        let away = |it| {
            let record = shelf.quarantine(it, SystemClock.now())?;
            Ok::<_, vault::DiskError>(shelf.quarantined_path(&record.promised, &record.found))
        };
        refused.iter().map(away).collect::<Result<Vec<_>, _>>()
    });
    match moved.await {
        Ok(Ok(paths)) => {
            let kept = paths.iter().map(|it| format!("\n  what came is kept in {}", it.display()));
            Fetched::Wrong { why: why + &kept.collect::<String>() }
        }
        Ok(Err(error)) => {
            Fetched::Wrong { why: format!("{why}\n  and could not be moved to quarantine: {error}") }
        }
        Err(panic) => {
            Fetched::Wrong { why: format!("{why}\n  and could not be moved to quarantine: {panic}") }
        }
    }
}
