//! `hallmark sync`: what is wanted becomes what is deployed, now.
//!
//! - Files with one digest are fetched once, whoever wants them.
//! - One model's failure never holds up another.
//! - What is already there costs a look at the disk: no request, no byte read.

mod by_daemon;
pub(crate) mod watchers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;
use base::{Sha256, SystemClock};
use catalog::Index;
use clap::Args;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use vault::{DiskRoom, Downloader, Progress, Promise, Want};

use self::watchers::{Style, Watchers};
use crate::{
    Outcome,
    config::Wanted,
    delivery::{
        End, deploy,
        fetch::{self, Fetched},
        finish, gate_before, hold,
        look::{deployed_besides, look_on_shelf},
    },
    host::{Host, Place},
    order::{Choice, Order, Places, choose, misfiled_text, missing_text},
    out,
    remote::Remote,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The models to fetch; without any, those that [deploy] wants
    ids: Vec<String>,
    /// Every model of the index
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// One JSON object a line: what happens, as it happens
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

const NOTHING_WANTED: &str =
    "nothing is wanted: name models, or list them under [deploy] models in the config";

#[derive(Serialize)]
struct Said<'s> {
    event: &'static str,
    model: &'s str,
    #[serde(flatten)]
    end: &'s End,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let style = if arguments.json { Style::Json } else { Style::of_terminal() };
    let ends = match Remote::find(&arguments.place)? {
        Some(daemon) => by_daemon::ends(&daemon, &arguments.ids, arguments.all, style)?,
        None => here(arguments, style)?,
    };
    if ends.is_empty() {
        out::print("the index has no models: nothing to do\n")?;
    }
    for (id, end) in &ends {
        out::print(&report(id, end, arguments.json)?)?;
    }
    let all_there = ends.iter().all(|(_, end)| matches!(end, End::Deployed { .. }));
    Ok(if all_there { Outcome::Holds } else { Outcome::DoesNotHold })
}

fn here(arguments: &Arguments, style: Style) -> anyhow::Result<Vec<(String, End)>> {
    let host = Host::open(&arguments.place)?;
    let index = host.index()?;
    let choices = choose(&host.config, &index, &arguments.ids, arguments.all);
    if choices.is_empty() && !arguments.all && host.config.deploy.models != Wanted::All {
        anyhow::bail!("{NOTHING_WANTED}");
    }
    ends(&host, &index, &choices, style)
}

/// Brings every choice to its end.
fn ends(
    host: &Host,
    index: &Index,
    choices: &[Choice<'_>],
    style: Style,
) -> anyhow::Result<Vec<(String, End)>> {
    let places = Places::of(&host.config)?;
    let mut ends = Vec::new();
    let mut orders = Vec::new();
    for choice in choices {
        match choice {
            Choice::Model(listed) => match Order::of(listed, &places) {
                Ok(order) => orders.push(order),
                Err(error) => ends.push((listed.entry.id.to_string(), End::failed(&error.into()))),
            },
            other => ends.push(no_model(other)),
        }
    }
    let (forbidden, mut orders) =
        orders.into_iter().partition::<Vec<_>, _>(|it| gate_before(host, it).forbids_fetch);
    ends.extend(forbidden.iter().map(|it| {
        let end = hold(host, it, gate_before(host, it).objections);
        (it.id.to_string(), end.unwrap_or_else(|error| End::failed(&error)))
    }));
    let (mut fetched, wants) = look_on_shelf(host, &orders)?;
    let mut open = orders.iter().collect::<Vec<_>>();
    // A model is deployed as soon as its last file is there, whatever others still wait for.
    let mut settle = |fetched: &BTreeMap<Sha256, Fetched>| {
        let is_decided = |order: &&Order| order.files.iter().all(|it| fetched.contains_key(&it.want.digest));
        let (decided, rest) = std::mem::take(&mut open).into_iter().partition::<Vec<_>, _>(is_decided);
        open = rest;
        ends.extend(decided.into_iter().map(|it| (it.id.to_string(), finish(host, None, it, fetched))));
    };
    settle(&fetched);
    if !wants.is_empty() {
        fetch_missing(host, wants, style, |digest, outcome| {
            fetched.insert(digest, outcome);
            settle(&fetched);
        })?;
    }
    let held = |it: &&(String, End)| matches!(it.1, End::Held { .. });
    let held = ends.iter().filter(held).map(|it| it.0.clone()).collect::<BTreeSet<_>>();
    orders.retain(|it| !held.contains(it.id.as_str()));
    let others = deployed_besides(host, index, choices, &places)?;
    for file in others.iter().flat_map(|it| &it.files) {
        let object = host.shelf.object_of_size(&file.want.digest, file.want.size_bytes);
        fetched
            .extend(object.context("look on the shelf")?.map(|it| (file.want.digest, Fetched::Stands(it))));
    }
    orders.extend(others);
    let hidden = deploy::hub_views(host, &orders.iter().collect::<Vec<_>>(), &fetched, None);
    for (id, end) in &mut ends {
        if let Some(why) = hidden.get(id.as_str()) {
            *end = End::Failed { why: format!("deployed, but {why}"), is_final: false };
        }
    }
    ends.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(ends)
}

fn no_model(choice: &Choice<'_>) -> (String, End) {
    match choice {
        Choice::Stub(id) => {
            let why = "its entry holds placeholders; `hallmark validate` names them".to_owned();
            (id.to_string(), End::Stub { why })
        }
        Choice::Missing(missing) => (missing.id.clone(), End::Missing { why: missing_text(missing) }),
        Choice::Misfiled { id, listed, filed } => {
            let why = misfiled_text(listed, filed.as_deref());
            (id.to_string(), End::Failed { why, is_final: true })
        }
        Choice::Model(listed) => {
            (listed.entry.id.to_string(), End::Failed { why: "not looked at".to_owned(), is_final: false })
        }
    }
}

fn fetch_missing(
    host: &Host,
    wants: BTreeMap<Sha256, Want>,
    style: Style,
    each: impl FnMut(Sha256, Fetched),
) -> anyhow::Result<()> {
    let settings = host.config.settings().map_err(anyhow::Error::msg)?;
    let downloader = Downloader::new(settings, Arc::new(SystemClock), Arc::new(DiskRoom));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    let watchers = Watchers::new(style, wants.len());
    let job = all(host, &downloader, wants.into_values().collect(), &watchers, each);
    let stopped = "stopped by a signal; what came so far is kept, and the next sync goes on there";
    runtime.block_on(async {
        // A service manager stops with SIGTERM, a person with SIGINT: what arrived is synced either way.
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        tokio::select! {
            biased;
            _ = terminate.recv() => Err(anyhow::Error::msg(stopped)),
            _ = interrupt.recv() => Err(anyhow::Error::msg(stopped)),
            () = job => Ok(()),
        }
    })
}

/// Fetches every want and tells of each as it ends; the downloader bounds how many at once.
async fn all(
    host: &Host,
    downloader: &Downloader,
    wants: Vec<Want>,
    watchers: &Watchers,
    mut each: impl FnMut(Sha256, Fetched),
) {
    let promise = if host.config.vault.verify_checksums { Promise::Kept } else { Promise::Waived };
    // All on this one thread: it only moves bytes along, hashing and disk have threads of their own.
    let jobs = wants.into_iter().map(|want| async move {
        let watcher = watchers.file(&want);
        let progress: Arc<dyn Progress> = watcher.clone();
        let fetched = fetch::one(downloader, &host.shelf, &want, promise, &progress).await;
        watcher.ended(&fetched);
        (want.digest, fetched)
    });
    let mut jobs = jobs.collect::<FuturesUnordered<_>>();
    while let Some((digest, outcome)) = jobs.next().await {
        each(digest, outcome);
    }
}

fn report(id: &str, end: &End, json: bool) -> anyhow::Result<String> {
    if json {
        let said = Said { event: "model", model: id, end };
        return Ok(serde_json::to_string(&said).context("write the result as JSON")? + "\n");
    }
    Ok(match end {
        End::Deployed { version, size_bytes, changed, verified, flaws, unjudged: _ } => {
            let size = indicatif::HumanBytes(*size_bytes);
            let news = if *changed { "" } else { ", nothing to do" };
            let doubt =
                if *verified { "verified" } else { "UNVERIFIED: its bytes are not what the index promises" };
            let flaws = flaws.iter().map(|it| format!("  warning: {it}\n")).collect::<Vec<_>>().concat();
            format!("{id} {version}: deployed, {doubt} ({size}{news})\n{flaws}")
        }
        End::Held { why, .. } => {
            let why = why.iter().map(ToString::to_string).collect::<Vec<_>>();
            format!("{id}: held: {}\n", why.join("; "))
        }
        End::Waiting { why } => {
            let why = why.iter().map(ToString::to_string).collect::<Vec<_>>();
            format!("{id}: waits: {}\n", why.join("; "))
        }
        End::Failed { why, .. } => format!("{id}: failed: {why}\n"),
        End::Quarantined { why } => format!("{id}: quarantined: {why}\n"),
        End::Stub { why } => format!("{id}: stub: {why}\n"),
        End::Missing { why } => format!("{id}: {why}\n"),
    })
}
