//! `hallmark sync`: what is wanted becomes what is deployed, now.
//!
//! - Files with one digest are fetched once, whoever wants them.
//! - One model's failure never holds up another.
//! - What is already there costs a look at the disk: no request, no byte read.

mod deploy;
mod fetch;
mod look;
mod watchers;

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use base::{Clock as _, ModelId, Sha256, SystemClock};
use catalog::Index;
use clap::Args;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use vault::{DiskRoom, Downloader, Source, Want};

use self::{
    fetch::{Bytes, Fetched},
    look::{deployed_besides, look_on_shelf},
    watchers::{Style, Watchers},
};
use crate::{
    Outcome,
    config::Wanted,
    host::{Host, Place},
    order::{Choice, Order, choose, missing_text},
    out,
    records::{Event, Inside, Record},
};

/// How many files of one model are named when they did not come; wrong bytes come first.
const WHYS_MAX: usize = 3;

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

/// How one model ended.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(crate) enum End {
    /// Every file is there, proven, and visible.
    Deployed {
        version: String,
        size_bytes: u64,
        /// Whether anything had to be done for it.
        changed: bool,
        /// Whether every file is what the index promises; false only where the operator waived that.
        verified: bool,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        flaws: Vec<String>,
    },
    Failed {
        why: String,
    },
    Quarantined {
        why: String,
    },
    Stub {
        why: String,
    },
    Missing {
        why: String,
    },
}

#[derive(Serialize)]
struct Said<'s> {
    event: &'static str,
    model: &'s str,
    #[serde(flatten)]
    end: &'s End,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let host = Host::open(&arguments.place)?;
    let index = host.index()?;
    let choices = choose(&host.config, &index, &arguments.ids, arguments.all);
    if choices.is_empty() && (arguments.all || host.config.deploy.models == Wanted::All) {
        out::print("the index has no models: nothing to do\n")?;
        return Ok(Outcome::Holds);
    }
    if choices.is_empty() {
        anyhow::bail!("nothing is wanted: name models, or list them under [deploy] models in the config");
    }
    let style = if arguments.json { Style::Json } else { Style::of_terminal() };
    let ends = ends(&host, &index, &choices, style)?;
    for (id, end) in &ends {
        out::print(&report(id, end, arguments.json)?)?;
    }
    let all_there = ends.iter().all(|(_, end)| matches!(end, End::Deployed { .. }));
    Ok(if all_there { Outcome::Holds } else { Outcome::DoesNotHold })
}

/// Brings every choice to its end.
fn ends(
    host: &Host,
    index: &Index,
    choices: &[Choice<'_>],
    style: Style,
) -> anyhow::Result<Vec<(String, End)>> {
    let settings = host.config.settings().map_err(anyhow::Error::msg)?;
    let near = near(host)?;
    let mut ends = Vec::new();
    let mut orders = Vec::new();
    for choice in choices {
        match choice {
            Choice::Model(listed) => match Order::of(&listed.entry, &settings.endpoint, &near) {
                Ok(order) => orders.push(order),
                Err(error) => {
                    let why = format!("{:#}", anyhow::Error::from(error));
                    ends.push((listed.entry.id.to_string(), End::Failed { why }));
                }
            },
            other => ends.push(no_model(other)),
        }
    }
    let endpoint = settings.endpoint.clone();
    let (mut fetched, wants) = look_on_shelf(host, &orders)?;
    let mut open = orders.iter().collect::<Vec<_>>();
    // A model is deployed as soon as its last file is there, whatever others still wait for.
    let mut settle = |fetched: &BTreeMap<Sha256, Fetched>| {
        let is_decided = |order: &&Order| order.files.iter().all(|it| fetched.contains_key(&it.want.digest));
        let (decided, rest) = std::mem::take(&mut open).into_iter().partition::<Vec<_>, _>(is_decided);
        open = rest;
        ends.extend(decided.into_iter().map(|it| (it.id.to_string(), finish(host, it, fetched))));
    };
    settle(&fetched);
    if !wants.is_empty() {
        fetch_missing(host, wants, settings, style, |digest, outcome| {
            fetched.insert(digest, outcome);
            settle(&fetched);
        })?;
    }
    let others = deployed_besides(host, index, &orders, &endpoint, &near)?;
    for file in others.iter().flat_map(|it| &it.files) {
        let object = host.shelf.object_of_size(&file.want.digest, file.want.size_bytes);
        fetched
            .extend(object.context("look on the shelf")?.map(|it| (file.want.digest, Fetched::Stands(it))));
    }
    orders.extend(others);
    let hidden = deploy::hub_views(host, &orders, &fetched);
    for (id, end) in &mut ends {
        if let Some(why) = hidden.get(id.as_str()) {
            *end = End::Failed { why: format!("deployed, but {why}") };
        }
    }
    ends.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(ends)
}

/// Returns the places that are asked before the network at large: this machine's seeds, then other hallmarks.
pub(crate) fn near(host: &Host) -> anyhow::Result<Vec<Source>> {
    let seeds = host.config.vault.seeds.iter().cloned().map(Source::Seeds);
    let mirrors = host.config.mirrors().map_err(anyhow::Error::msg)?;
    Ok(seeds.chain(mirrors).collect())
}

fn no_model(choice: &Choice<'_>) -> (String, End) {
    match choice {
        Choice::Stub(id) => {
            let why = "its entry holds placeholders; `hallmark validate` names them".to_owned();
            (id.to_string(), End::Stub { why })
        }
        Choice::Missing(missing) => (missing.id.clone(), End::Missing { why: missing_text(missing) }),
        Choice::Misfiled { id, listed, filed } => {
            let filed = filed.as_deref().unwrap_or("nothing");
            let why = format!(
                "[deploy] by_chakra lists it under {listed}, but it is filed under {filed}: correct one"
            );
            (id.to_string(), End::Failed { why })
        }
        Choice::Model(listed) => {
            (listed.entry.id.to_string(), End::Failed { why: "not looked at".to_owned() })
        }
    }
}

fn fetch_missing(
    host: &Host,
    wants: BTreeMap<Sha256, Want>,
    settings: vault::Settings,
    style: Style,
    each: impl FnMut(Sha256, Fetched),
) -> anyhow::Result<()> {
    let downloader =
        Downloader::new(settings, Arc::new(SystemClock), Arc::new(DiskRoom)).context("set up downloads")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    let watchers = Watchers::new(style, wants.len());
    let job = fetch::all(host, &downloader, wants.into_values().collect(), &watchers, each);
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

/// Deploys a model if all its files are there. Its trouble is its own: the others go on.
fn finish(host: &Host, order: &Order, fetched: &BTreeMap<Sha256, Fetched>) -> End {
    let end = decide(host, order, fetched);
    end.unwrap_or_else(|error| End::Failed { why: format!("{error:#}") })
}

/// Deploys a model or says why not, and keeps a record of what became of it.
fn decide(host: &Host, order: &Order, fetched: &BTreeMap<Sha256, Fetched>) -> anyhow::Result<End> {
    let mut whys = Vec::new();
    let mut quarantined = false;
    let mut is_final = false;
    for file in &order.files {
        match fetched.get(&file.want.digest) {
            Some(Fetched::Wrong { why }) => {
                quarantined = true;
                whys.insert(0, why.clone());
            }
            Some(Fetched::Failed { why, is_final: last }) => {
                is_final |= last;
                whys.push(why.clone());
            }
            Some(Fetched::Stands(_) | Fetched::StandsUnproven(_) | Fetched::Came { .. }) | None => {}
        }
    }
    if whys.is_empty() {
        return deploy::model(host, order, fetched);
    }
    if whys.len() > WHYS_MAX {
        // A hub that is down says the same of every file.
        let more = whys.split_off(WHYS_MAX).len();
        whys.push(format!("and {} more of this model did not come", out::counted(more as u64, "file")));
    }
    let why = whys.join("\n");
    let event = if quarantined {
        Event::Quarantined { why: why.clone() }
    } else {
        Event::Failed { why: why.clone(), is_final }
    };
    // The reason is worth more than its record: on a full disk there may be no room for that.
    let why =
        match note(host, &order.id, order.digest, event).and_then(|()| withdraw_doubtful(host, &order.id)) {
            Ok(()) => why,
            Err(error) => format!("{why}\n  and: {error:#}"),
        };
    Ok(if quarantined { End::Quarantined { why } } else { End::Failed { why } })
}

/// Takes away a view of unverified bytes that an earlier sync was allowed to make and this one is not.
fn withdraw_doubtful(host: &Host, id: &ModelId) -> anyhow::Result<()> {
    if !host.config.vault.verify_checksums {
        return Ok(());
    }
    let view = host.store.view(id).with_context(|| format!("look at the view of {id}"))?;
    if view.is_some_and(|it| it.files.iter().any(|file| !file.verified)) {
        host.store.remove(id).with_context(|| format!("remove the unverified view of {id}"))?;
    }
    Ok(())
}

/// Writes a record unless the last one says the same.
fn note(host: &Host, id: &ModelId, digest: Sha256, event: Event) -> anyhow::Result<()> {
    if host.records.read(id, digest)?.is_some_and(|it| it.event == event) {
        return Ok(());
    }
    host.records.write(id, &Record { digest, at: SystemClock.now(), event })
}

fn report(id: &str, end: &End, json: bool) -> anyhow::Result<String> {
    if json {
        let said = Said { event: "model", model: id, end };
        return Ok(serde_json::to_string(&said).context("write the result as JSON")? + "\n");
    }
    Ok(match end {
        End::Deployed { version, size_bytes, changed, verified, flaws } => {
            let size = indicatif::HumanBytes(*size_bytes);
            let news = if *changed { "" } else { ", nothing to do" };
            let doubt =
                if *verified { "verified" } else { "UNVERIFIED: its bytes are not what the index promises" };
            let flaws = flaws.iter().map(|it| format!("  warning: {it}\n")).collect::<Vec<_>>().concat();
            format!("{id} {version}: deployed, {doubt} ({size}{news})\n{flaws}")
        }
        End::Failed { why } => format!("{id}: failed: {why}\n"),
        End::Quarantined { why } => format!("{id}: quarantined: {why}\n"),
        End::Stub { why } => format!("{id}: stub: {why}\n"),
        End::Missing { why } => format!("{id}: {why}\n"),
    })
}

/// Returns the parts of a look inside that a record keeps.
fn inside(bytes: Option<&Bytes>) -> Option<Inside> {
    bytes.and_then(|it| it.inspected.as_ref()).map(Inside::from)
}
