//! The daemon fetches and deploys; this command asks it to, follows what happens, and says how it ended.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    NOTHING_WANTED,
    watchers::{ModelWatcher, Style},
};
use crate::{
    delivery::End,
    engine::Settled,
    remote::{Event, Events, Found, Remote},
    state::State,
};

const STOPPED: &str = "stopped by a signal; the daemon goes on fetching";

/// How far a model is.
#[derive(Deserialize)]
struct Progress {
    id: String,
    bytes: u64,
    size_bytes: u64,
    phase: Option<String>,
}

/// Has the daemon bring models to their ends, and waits for them.
pub(super) fn ends(
    daemon: &Remote,
    ids: &[String],
    all: bool,
    style: Style,
) -> anyhow::Result<Vec<(String, End)>> {
    daemon.converse(async {
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        tokio::select! {
            biased;
            _ = terminate.recv() => bail!(STOPPED),
            _ = interrupt.recv() => bail!(STOPPED),
            ends = follow(daemon, ids, all, style) => ends,
        }
    })
}

async fn follow(
    daemon: &Remote,
    ids: &[String],
    all: bool,
    style: Style,
) -> anyhow::Result<Vec<(String, End)>> {
    // Watched before it is asked, so that no end is missed.
    let mut events = daemon.watch(None).await?;
    let (known, mut ends) = look_up(daemon, ids, all).await?;
    let begun =
        if known.is_empty() && !ids.is_empty() { Vec::new() } else { daemon.sync(&known, all).await? };
    if begun.is_empty() && ends.is_empty() && !all {
        bail!(NOTHING_WANTED);
    }
    let mut waiting = Waiting::new(begun, style);
    while !waiting.open.is_empty() {
        match next(daemon, &mut events).await? {
            it if it.kind == "progress" => waiting.progress(&it.read()?),
            it if it.kind == "settled" => {
                let settled: Settled = it.read()?;
                let id = settled.id.to_string();
                if waiting.settle(&id) {
                    ends.insert(id, settled.end);
                }
            }
            _ => {}
        }
    }
    Ok(ends.into_iter().collect())
}

/// Sorts what was named, or what the daemon wants, into what it knows and what it does not.
async fn look_up(
    daemon: &Remote,
    ids: &[String],
    all: bool,
) -> anyhow::Result<(Vec<String>, BTreeMap<String, End>)> {
    let (mut known, mut ends) = (Vec::new(), BTreeMap::new());
    if ids.is_empty() && !all {
        let missing = daemon.missing().await?.into_iter();
        ends.extend(missing.map(|it| (it.id, End::Missing { why: it.why.join("; ") })));
    }
    for id in ids.iter().collect::<BTreeSet<_>>() {
        match daemon.find_model(id).await? {
            Found::Model(row) if row.state != State::Missing => known.push(id.clone()),
            Found::Model(row) => drop(ends.insert(id.clone(), End::Missing { why: row.why.join("; ") })),
            Found::Nothing(why) => drop(ends.insert(id.clone(), End::Missing { why })),
        }
    }
    Ok((known, ends))
}

/// Returns the next event. Who was let go for reading too slowly goes on where it was.
async fn next(daemon: &Remote, events: &mut Events) -> anyhow::Result<Event> {
    loop {
        // An answer that broke off and one that ended come to the same: there may be more, or no daemon.
        match events.next().await {
            Ok(Some(event)) if event.kind == "reset" => {
                bail!("the daemon was started again, or too much happened: see `hallmark status`")
            }
            Ok(Some(event)) => return Ok(event),
            Ok(None) | Err(_) => {
                let again = daemon.watch(Some(events.last())).await;
                *events = again.context("follow the daemon: it ended before all was done")?;
            }
        }
    }
}

/// The models whose end is still to come.
struct Waiting {
    open: BTreeMap<String, Option<ModelWatcher>>,
    style: Style,
    bars: MultiProgress,
}

impl Waiting {
    fn new(ids: Vec<String>, style: Style) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        Self { open: ids.into_iter().map(|it| (it, None)).collect(), style, bars }
    }

    fn progress(&mut self, told: &Progress) {
        let (style, bars) = (self.style, &self.bars);
        if let Some(watcher) = self.open.get_mut(&told.id) {
            let watcher = watcher.get_or_insert_with(|| ModelWatcher::new(style, bars, told.id.clone()));
            watcher.reached(told.bytes, told.size_bytes, told.phase.as_deref());
        }
    }

    /// Takes that a model has come to its end; says whether that was waited for.
    fn settle(&mut self, id: &str) -> bool {
        let Some(watcher) = self.open.remove(id) else { return false };
        if let Some(watcher) = watcher {
            watcher.ended();
        }
        true
    }
}
