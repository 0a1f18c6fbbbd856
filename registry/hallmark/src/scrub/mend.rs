//! Fetches damaged pieces again.

use std::{collections::BTreeMap, fmt, sync::Arc};

use anyhow::Context as _;
use base::{Sha256, SystemClock};
use serde::{Deserialize, Serialize};
use vault::{
    CHUNK_BYTES, DiskRoom, Downloader, Partials, Progress, Quarantined, Want,
    scrub::{Health, Repair, Seen, damaged_chunks},
};

use super::Known;
use crate::host::Host;

/// How mending ended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub(super) enum Mended {
    /// Just the damaged pieces were fetched.
    Pieces { bytes: u64 },
    /// The whole file was fetched.
    Whole { bytes: u64 },
    /// It is as damaged as before.
    Not { why: String },
}

impl Mended {
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self, Self::Not { .. })
    }
}

impl fmt::Display for Mended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pieces { bytes } => {
                write!(out, "mended with {} of new bytes", indicatif::HumanBytes(*bytes))
            }
            Self::Whole { bytes } => write!(out, "fetched again, {} in all", indicatif::HumanBytes(*bytes)),
            Self::Not { why } => write!(out, "not mended: {why}"),
        }
    }
}

/// Mends everything that is damaged or missing and that the index knows a source for.
pub(super) fn all(
    host: &Host,
    known: &BTreeMap<Sha256, Known>,
    seen: &[Seen],
) -> anyhow::Result<BTreeMap<Sha256, Mended>> {
    let broken = |it: &&Seen| matches!(it.health, Health::Damaged { .. } | Health::Missing);
    let broken = seen.iter().filter(broken).collect::<Vec<_>>();
    if broken.is_empty() {
        return Ok(BTreeMap::new());
    }
    let settings = host.config.settings().map_err(anyhow::Error::msg)?;
    let downloader = Downloader::new(settings, Arc::new(SystemClock), Arc::new(DiskRoom));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        let mut mended = BTreeMap::new();
        for one in broken {
            let outcome = match known.get(&one.digest) {
                Some(it) => mend(host, &downloader, &it.want, one).await,
                None => Mended::Not {
                    why: "no entry of the index has this digest, so there is no source".to_owned(),
                },
            };
            mended.insert(one.digest, outcome);
        }
        Ok(mended)
    })
}

async fn mend(host: &Host, downloader: &Downloader, want: &Want, seen: &Seen) -> Mended {
    let mut why = None;
    match damaged_pieces(host, seen) {
        Ok(Some((quarantined, chunks))) => {
            match pieces(host, downloader, want, &quarantined, &chunks).await {
                Ok(bytes) => return Mended::Pieces { bytes },
                Err(error) => why = Some(format!("{error:#}")),
            }
        }
        Ok(None) => {}
        Err(error) => why = Some(format!("{error:#}")),
    }
    match whole(host, downloader, want).await {
        Ok(()) => Mended::Whole { bytes: want.size_bytes },
        Err(error) => {
            let pieces = why.map_or_else(String::new, |it| format!("{it}; and "));
            Mended::Not { why: format!("{pieces}{error:#}") }
        }
    }
}

/// Returns the bytes to mend and which pieces of them are wrong: from this look, or from the one that took them off.
fn damaged_pieces(host: &Host, seen: &Seen) -> anyhow::Result<Option<(Quarantined, Vec<usize>)>> {
    if let Health::Damaged { quarantined, chunks } = &seen.health {
        return Ok(chunks.clone().map(|it| (quarantined.clone(), it)));
    }
    for quarantined in host.shelf.quarantined(&seen.digest).context("look into quarantine")? {
        if let Some(chunks) = damaged_chunks(&host.shelf, &quarantined).context("look for the damage")? {
            return Ok(Some((quarantined, chunks)));
        }
    }
    Ok(None)
}

async fn pieces(
    host: &Host,
    downloader: &Downloader,
    want: &Want,
    damaged: &Quarantined,
    chunks: &[usize],
) -> anyhow::Result<u64> {
    let mut repair = Repair::begin(&host.shelf, damaged).context("copy the damaged bytes")?;
    let mut bytes = 0;
    for index in chunks {
        let start = *index as u64 * CHUNK_BYTES;
        let span = start..want.size_bytes.min(start + CHUNK_BYTES);
        let piece =
            downloader.fetch_span(want, span).await.with_context(|| format!("fetch piece {index}"))?;
        repair.patch(*index, &piece)?;
        bytes += piece.len() as u64;
    }
    tokio::task::spawn_blocking(move || repair.finish())
        .await
        .context("mend on a thread")?
        .context("put the pieces together")?;
    Ok(bytes)
}

async fn whole(host: &Host, downloader: &Downloader, want: &Want) -> anyhow::Result<()> {
    let partials = Partials::new(host.shelf.partials());
    let silent: Arc<dyn Progress> = Arc::new(());
    let verified = downloader.obtain(want, &partials, &silent).await?;
    host.shelf.place(verified).context("shelve it")?;
    Ok(())
}
