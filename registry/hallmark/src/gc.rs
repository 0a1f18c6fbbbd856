//! `hallmark gc`: what nothing wants goes, and what is wanted stays whatever it costs.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context as _;
use base::{Clock as _, CommitId, ModelId, Sha256, SystemClock, UnixSeconds};
use catalog::Index;
use clap::Args;
use indicatif::HumanBytes;
use serde::{Deserialize, Serialize};
use vault::{
    gc::{Inventory, Keep, Limits, Plan, Swept, plan, sweep},
    view::RepoName,
};

use crate::{
    Outcome,
    config::{Config, Wanted},
    host::{Host, Place},
    order::{Choice, choose},
    out,
    remote::Remote,
};

/// What was used so short a time ago is never dropped: times on disk are no finer than a second.
const FRESH: Duration = Duration::from_mins(10);
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Say what would go, and how much, and leave it
    #[arg(long)]
    dry_run: bool,
    /// One JSON object in place of the text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Everything that goes.
#[derive(Debug, Serialize, Deserialize)]
struct Doomed {
    /// Models whose view goes: nobody wants them, and all their bytes are unused for long enough.
    models: Vec<ModelId>,
    /// Snapshots of the Hugging Face cache, likewise.
    snapshots: Vec<(RepoName, CommitId)>,
    #[serde(flatten)]
    plan: Plan,
}

/// What went, or would go.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    dry_run: bool,
    #[serde(flatten)]
    doomed: Doomed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    swept: Option<Counts>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Counts {
    objects: u64,
    partials: u64,
    quarantine: u64,
    freed_bytes: u64,
    in_use: u64,
    failed: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let done = if let Some(daemon) = Remote::find(&arguments.place)? {
        daemon.gc(arguments.dry_run)?
    } else {
        let host = Host::find(&arguments.place)?;
        // Without an index that holds nothing is known to be unwanted, so nothing goes.
        let index = host.index()?;
        collect(&host, &index, &BTreeSet::new(), arguments.dry_run, SystemClock.now())?
    };
    if arguments.json {
        out::print(&(serde_json::to_string_pretty(&done).context("write the result as JSON")? + "\n"))?;
    } else {
        out::print(&text(&done.doomed, done.swept.as_ref()))?;
    }
    let failed = done.swept.as_ref().is_some_and(|it| !it.failed.is_empty());
    Ok(if failed { Outcome::DoesNotHold } else { Outcome::Holds })
}

/// Removes what nothing wants, or says what it would remove. Models that were asked for beyond the config stay too.
pub(crate) fn collect(
    host: &Host,
    index: &Index,
    also: &BTreeSet<ModelId>,
    dry_run: bool,
    now: UnixSeconds,
) -> anyhow::Result<Done> {
    let doomed = doomed(host, index, also, now)?;
    let swept = if dry_run { None } else { Some(remove(host, &doomed)?) };
    Ok(Done { dry_run, doomed, swept })
}

fn doomed(host: &Host, index: &Index, also: &BTreeSet<ModelId>, now: UnixSeconds) -> anyhow::Result<Doomed> {
    let inventory = Inventory::take(&host.shelf).context("look through the model store")?;
    let limits = limits(&host.config, now);
    let mut keep = Keep { live: wanted(&host.config, index), pins: pinned(&host.config, index) };
    let asked = also.iter().filter_map(|id| index.entry(id));
    keep.live.extend(asked.flat_map(|it| digests(&it.entry)));
    let wanted = keep.live.union(&keep.pins).copied().collect::<BTreeSet<_>>();
    let unused = plan(&inventory, &keep, &limits).drops;
    let unused = unused.into_iter().map(|it| it.standing.digest).collect::<BTreeSet<_>>();
    // A view goes if something it shows is unused for long enough, and nothing that it shows was used since.
    let outlived = |digests: &BTreeSet<Sha256>| {
        !digests.is_disjoint(&unused) && digests.iter().all(|it| unused.contains(it) || wanted.contains(it))
    };
    let kept_ids = kept_ids(&host.config);
    let mut models = Vec::new();
    for view in host.store.views().context("list the deployed models")? {
        let digests = view.files.iter().map(|it| it.digest).collect();
        if outlived(&digests) && !kept_ids.contains(view.id.as_str()) && !also.contains(&view.id) {
            models.push(view.id);
        } else {
            keep.live.extend(digests);
        }
    }
    let mut snapshots = Vec::new();
    for snapshot in host.cache.snapshots().context("list the Hugging Face cache")? {
        let digests = snapshot.digests.into_iter().collect();
        if outlived(&digests) {
            snapshots.push((snapshot.repo, snapshot.commit));
        } else {
            keep.live.extend(digests);
        }
    }
    Ok(Doomed { models, snapshots, plan: plan(&inventory, &keep, &limits) })
}

fn limits(config: &Config, now: UnixSeconds) -> Limits {
    let days = |days: u32| now.before(DAY.saturating_mul(days));
    let vault = &config.vault;
    Limits {
        unused_since: days(vault.keep_unused_days),
        fresh_since: now.before(FRESH),
        budget_bytes: vault.size_bytes_max,
        partials_since: days(vault.keep_partial_days),
        quarantine_since: days(vault.keep_quarantine_days),
    }
}

fn wanted(config: &Config, index: &Index) -> BTreeSet<Sha256> {
    let choices = choose(config, index, &[], false);
    let models = choices.iter().filter_map(|it| match it {
        Choice::Model(listed) => Some(&listed.entry),
        _ => None,
    });
    models.flat_map(digests).collect()
}

fn pinned(config: &Config, index: &Index) -> BTreeSet<Sha256> {
    let entries = config.vault.pins.iter().filter_map(|id| index.entry(id));
    entries.flat_map(|it| digests(&it.entry)).collect()
}

/// Returns the ids whose view stays even if the index has lost them for now.
fn kept_ids(config: &Config) -> BTreeSet<&str> {
    let listed = match &config.deploy.models {
        Wanted::These(ids) => ids.iter(),
        Wanted::All => [].iter(),
    };
    let filed = config.deploy.by_chakra.values().flatten();
    listed.chain(filed).map(String::as_str).chain(config.vault.pins.iter().map(ModelId::as_str)).collect()
}

fn digests(entry: &catalog::Entry) -> impl Iterator<Item = Sha256> {
    let artifact = &entry.artifact;
    std::iter::once(artifact.sha256).chain(artifact.files.iter().map(|it| it.sha256))
}

fn remove(host: &Host, doomed: &Doomed) -> anyhow::Result<Counts> {
    // Views first: should this stop half-way, objects stay without a view, never a view without its objects.
    for id in &doomed.models {
        host.store.remove(id).with_context(|| format!("remove the view of {id}"))?;
    }
    for (repo, commit) in &doomed.snapshots {
        host.cache
            .remove(repo, commit)
            .with_context(|| format!("remove {repo} at {commit} from the cache"))?;
    }
    let Swept { objects, partials, quarantine, freed_bytes, in_use, failed } =
        sweep(&host.shelf, &doomed.plan);
    let failed = failed.into_iter().map(|it| format!("{:#}", anyhow::Error::from(it))).collect();
    Ok(Counts { objects, partials, quarantine, freed_bytes, in_use, failed })
}

fn text(doomed: &Doomed, swept: Option<&Counts>) -> String {
    let Doomed { models, snapshots, plan } = doomed;
    let mut lines = models.iter().map(|id| format!("model {id}")).collect::<Vec<_>>();
    lines.extend(snapshots.iter().map(|(repo, commit)| format!("snapshot {repo} at {commit}")));
    lines.extend(plan.drops.iter().map(|it| {
        format!("object {} ({}, {})", it.standing.digest, HumanBytes(it.standing.size_bytes), it.reason)
    }));
    lines.extend(plan.partials.iter().map(|it| format!("partial {}", it.path.display())));
    lines.extend(
        plan.quarantine.iter().map(|it| format!("quarantined {} (promised {})", it.found, it.promised)),
    );
    if plan.over_budget_bytes > 0 {
        let over = HumanBytes(plan.over_budget_bytes);
        lines.push(format!(
            "still {over} over [vault] size_bytes_max: all that is left is wanted, pinned or in use"
        ));
    }
    lines.extend(swept.iter().flat_map(|it| &it.failed).map(|it| format!("failed: {it}")));
    lines.push(match swept {
        None => {
            let freed = HumanBytes(plan.freed_bytes);
            let objects = out::counted(plan.drops.len() as u64, "object");
            format!("would free {freed} in {objects}; nothing was removed")
        }
        Some(Counts { objects, partials, quarantine, freed_bytes, in_use, .. }) => {
            let busy = if *in_use > 0 { format!(", {in_use} in use and kept") } else { String::new() };
            let freed = HumanBytes(*freed_bytes);
            let (objects, partials) = (out::counted(*objects, "object"), out::counted(*partials, "partial"));
            format!("freed {freed}: {objects}, {partials}, {quarantine} quarantined{busy}")
        }
    });
    lines.join("\n") + "\n"
}
