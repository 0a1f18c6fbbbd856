//! `hallmark verify`: every byte hashed again, and what rotted mended piece by piece.

mod mend;
mod onlooker;
mod said;

use std::collections::BTreeMap;

use anyhow::Context as _;
use base::{Clock as _, Sha256, SystemClock};
use catalog::Index;
use clap::Args;
use serde::Deserialize;
use vault::{
    Want,
    scrub::{Pace, Seen, scrub},
};

pub(crate) use self::said::Said;
use self::{onlooker::Bars, said::Found};
use crate::{
    Outcome,
    host::{Host, Place},
    order::{Choice, Order, Places, choose, missing_text},
    out,
    remote::Remote,
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

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut verdict = Verdict { arguments, count: 0, holds: true };
    match Remote::find(&arguments.place)? {
        Some(daemon) => by_daemon(&daemon, &mut verdict)?,
        None => here(&mut verdict)?,
    }
    verdict.print()?;
    Ok(if verdict.holds { Outcome::Holds } else { Outcome::DoesNotHold })
}

/// What all objects together come to.
struct Verdict<'a> {
    arguments: &'a Arguments,
    count: u64,
    holds: bool,
}

impl Verdict<'_> {
    fn take(&mut self, said: &Said) -> anyhow::Result<()> {
        self.count += 1;
        self.holds &= said.holds();
        out::print(&report(said, self.arguments)?)
    }

    fn print(&self) -> anyhow::Result<()> {
        if self.arguments.json {
            return Ok(());
        }
        let verdict = match (self.holds, self.count) {
            (true, 0) => "nothing is deployed yet",
            (true, _) => "all whole",
            (false, _) => "NOT all whole",
        };
        out::print(&format!("{} hashed: {verdict}\n", out::counted(self.count, "object")))
    }
}

fn here(verdict: &mut Verdict<'_>) -> anyhow::Result<()> {
    let arguments = verdict.arguments;
    let host = Host::find(&arguments.place)?;
    let index = host.index()?;
    let digests = digests(&host, &index, &arguments.ids)?;
    let pace = pace(&host, arguments.threads);
    let bars = Bars::new(&host.shelf, &digests, arguments.json)?;
    let seen = scrub(&host.shelf, &digests, pace, SystemClock.now(), &bars);
    bars.finish();
    let mut printed = Ok(());
    tell(&host, &index, seen, arguments.repair, |said| {
        printed = std::mem::replace(&mut printed, Ok(())).and_then(|()| verdict.take(&said));
    })?;
    printed
}

/// A line of the daemon's answer.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Last {
    End,
    Failed { why: String },
}

fn by_daemon(daemon: &Remote, verdict: &mut Verdict<'_>) -> anyhow::Result<()> {
    let arguments = verdict.arguments;
    if arguments.threads.is_some() {
        out::note("the daemon hashes at its own pace: --threads is not looked at");
    }
    daemon.converse(async {
        let mut lines = daemon.verify(&arguments.ids, arguments.repair).await?;
        while let Some(line) = lines.next().await? {
            let read = "read the daemon's answer: is it the same version of hallmark?";
            let value: serde_json::Value = serde_json::from_str(&line).context(read)?;
            if value["event"] == "object" {
                verdict.take(&serde_json::from_value(value).context(read)?)?;
                continue;
            }
            match serde_json::from_value(value).context(read)? {
                Last::End => return Ok(()),
                Last::Failed { why } => anyhow::bail!("{why}"),
            }
        }
        anyhow::bail!("the daemon ended before all was hashed: look at its log, and ask again once it runs")
    })
}

/// Hashes what is here again, mends what may be mended, and tells of each object.
pub(crate) fn all(
    host: &Host,
    index: &Index,
    ids: &[String],
    repair: bool,
    each: impl FnMut(Said),
) -> anyhow::Result<()> {
    let digests = digests(host, index, ids)?;
    let seen = scrub(&host.shelf, &digests, pace(host, None), SystemClock.now(), &());
    tell(host, index, seen, repair, each)
}

fn pace(host: &Host, threads: Option<std::num::NonZeroUsize>) -> Pace {
    let pace = Pace { bytes_per_second: host.config.vault.scrub_bytes_per_second, ..Pace::default() };
    Pace { threads: threads.unwrap_or(pace.threads), ..pace }
}

fn tell(
    host: &Host,
    index: &Index,
    seen: Vec<Seen>,
    repair: bool,
    mut each: impl FnMut(Said),
) -> anyhow::Result<()> {
    let known = known(host, index)?;
    let mut mended = if repair { mend::all(host, &known, &seen)? } else { BTreeMap::new() };
    for seen in seen {
        let names = known.get(&seen.digest).map_or_else(Vec::new, |it| it.names.clone());
        let mended = mended.remove(&seen.digest);
        each(Said::new(names, seen, mended));
    }
    Ok(())
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

fn report(said: &Said, arguments: &Arguments) -> anyhow::Result<String> {
    let Said { names, digest, health, mended, .. } = said;
    if arguments.json {
        return Ok(serde_json::to_string(said).context("write the result as JSON")? + "\n");
    }
    let name = names.first().map_or_else(|| digest.to_string(), |it| format!("{it} ({digest})"));
    let mended = mended.as_ref().map_or_else(String::new, |it| format!("; {it}"));
    Ok(match health {
        Found::Whole { .. } => String::new(),
        Found::Damaged { chunks, quarantined } => {
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
        Found::Missing => {
            let remedy =
                if arguments.repair { "" } else { "; run hallmark verify --repair, or hallmark sync" };
            format!("{name}: not on the shelf{remedy}{mended}\n")
        }
        Found::Unreadable { error } => format!("{name}: unreadable: {error}: look at the disk\n"),
        Found::Unchecked => format!("{name}: not checked\n"),
    })
}

fn list(chunks: &[usize]) -> String {
    chunks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
