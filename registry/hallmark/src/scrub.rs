//! `hallmark verify`: every byte hashed again, and what rotted mended piece by piece.

mod mend;
mod onlooker;

use std::collections::BTreeMap;

use anyhow::Context as _;
use base::{Clock as _, Sha256, SystemClock};
use catalog::Index;
use clap::Args;
use serde::Serialize;
use vault::{
    Want,
    scrub::{Health, Pace, Seen, scrub},
};

use self::{mend::Mended, onlooker::Bars};
use crate::{
    Outcome,
    host::{Host, Place},
    order::{Choice, Order, Places, choose, missing_text},
    out,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The models to hash again; without any, every object there is
    ids: Vec<String>,
    /// Fetch damaged pieces again, and nothing else
    #[arg(long)]
    repair: bool,
    /// How many objects to hash at once; without it, one for each core
    #[arg(long, value_name = "COUNT")]
    threads: Option<std::num::NonZeroUsize>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct Said<'s> {
    event: &'static str,
    names: &'s [String],
    #[serde(flatten)]
    seen: &'s Seen,
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<&'s Mended>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let host = Host::open(&arguments.place)?;
    let index = host.index()?;
    let known = known(&host, &index)?;
    let digests = digests(&host, &index, &arguments.ids)?;
    let mut pace = Pace { bytes_per_second: host.config.vault.scrub_bytes_per_second, ..Pace::default() };
    pace.threads = arguments.threads.unwrap_or(pace.threads);
    let bars = Bars::new(&host.shelf, &digests, arguments.json)?;
    let seen = scrub(&host.shelf, &digests, pace, SystemClock.now(), &bars);
    bars.finish();
    let mended = if arguments.repair { mend::all(&host, &known, &seen)? } else { BTreeMap::new() };
    let mut holds = true;
    for one in &seen {
        let names = known.get(&one.digest).map_or(&[][..], |it| &it.names);
        let mended = mended.get(&one.digest);
        holds &= matches!(one.health, Health::Whole { .. }) || mended.is_some_and(Mended::is_whole);
        out::print(&report(one, names, mended, arguments)?)?;
    }
    if !arguments.json {
        let verdict = match (holds, seen.is_empty()) {
            (true, true) => "nothing is deployed yet",
            (true, false) => "all whole",
            (false, _) => "NOT all whole",
        };
        out::print(&format!("{} hashed: {verdict}\n", out::counted(seen.len() as u64, "object")))?;
    }
    Ok(if holds { Outcome::Holds } else { Outcome::DoesNotHold })
}

/// A file that the index knows: how people call it, and how to get it.
struct Known {
    names: Vec<String>,
    want: Want,
}

fn known(host: &Host, index: &Index) -> anyhow::Result<BTreeMap<Sha256, Known>> {
    let places = Places::of(&host.config)?;
    let mut known: BTreeMap<Sha256, Known> = BTreeMap::new();
    for listed in index.entries().filter(|it| !it.is_stub) {
        // An entry without any source can be hashed again, if not mended.
        let Ok(order) = Order::of(listed, &places) else { continue };
        for file in order.files {
            let entry = known.entry(file.want.digest);
            let it = entry.or_insert_with(|| Known { names: Vec::new(), want: file.want.clone() });
            it.names.push(file.want.name);
        }
    }
    Ok(known)
}

fn digests(host: &Host, index: &Index, ids: &[String]) -> anyhow::Result<Vec<Sha256>> {
    if ids.is_empty() {
        // What a view shows and the shelf has lost is missed too: an earlier look may have taken it off.
        let mut digests = host.store.digests().context("list the deployed models")?;
        for object in host.shelf.objects().context("list the objects")? {
            digests.insert(object.context("list the objects")?.digest());
        }
        return Ok(digests.into_iter().collect());
    }
    let mut digests = Vec::new();
    for choice in choose(&host.config, index, ids, false) {
        match choice {
            Choice::Model(listed) => {
                let artifact = &listed.entry.artifact;
                digests.push(artifact.sha256);
                digests.extend(artifact.files.iter().map(|it| it.sha256));
            }
            Choice::Missing(missing) => anyhow::bail!("{}", missing_text(&missing)),
            Choice::Stub(id) => anyhow::bail!("{id} is a stub: it has no bytes to verify"),
            Choice::Misfiled { id, .. } => {
                anyhow::bail!("{id} is listed under another chakra than it is filed under")
            }
        }
    }
    digests.sort_unstable();
    digests.dedup();
    Ok(digests)
}

fn report(
    seen: &Seen,
    names: &[String],
    mended: Option<&Mended>,
    arguments: &Arguments,
) -> anyhow::Result<String> {
    if arguments.json {
        let said = Said { event: "object", names, seen, mended };
        return Ok(serde_json::to_string(&said).context("write the result as JSON")? + "\n");
    }
    let name = names.first().map_or_else(|| seen.digest.to_string(), |it| format!("{it} ({})", seen.digest));
    let mended = mended.map_or_else(String::new, |it| format!("; {it}"));
    Ok(match &seen.health {
        Health::Whole { .. } => String::new(),
        Health::Damaged { chunks, quarantined } => {
            let which = match chunks.as_deref() {
                Some(chunks) => format!("piece {} of 16 MiB", list(chunks)),
                None => "an unknown part".to_owned(),
            };
            let remedy =
                if arguments.repair { "" } else { "; run hallmark verify --repair to fetch just that again" };
            format!(
                "{name}: Model checksum verification failed: damaged in {which}, its digest is now {}{remedy}{mended}\n",
                quarantined.found
            )
        }
        Health::Missing => {
            let remedy =
                if arguments.repair { "" } else { "; run hallmark verify --repair, or hallmark sync" };
            format!("{name}: not on the shelf{remedy}{mended}\n")
        }
        Health::Unreadable { error } => format!("{name}: unreadable: {error}: look at the disk\n"),
        Health::Unchecked => format!("{name}: not checked\n"),
    })
}

fn list(chunks: &[usize]) -> String {
    chunks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
