//! Makes verified files visible: in the model store, and in the Hugging Face cache.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use base::{CommitId, Sha256};
use vault::{
    Object,
    view::{EntryPath, RepoName, Snapshot, ViewFile, synthetic_commit},
};

use super::{
    End,
    fetch::{Fetched, Shelved},
    inside, note,
};
use crate::{
    host::Host,
    order::{FileOrder, OnHub, Order},
    records::Event,
};

/// Files that loaders ask for and that are not there unless the entry lists them. Offline, a client that knows so
/// goes on without a complaint.
const OPTIONAL_FILES: [&str; 8] = [
    "adapter_config.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
];

/// Shows a model whose files are all there, and notes which gate let it through.
pub(super) fn model(
    host: &Host,
    order: &Order,
    fetched: &BTreeMap<Sha256, Fetched>,
    gate: Option<Sha256>,
) -> anyhow::Result<End> {
    let files = order.files.iter().map(|it| view_file(it, it.path.clone(), fetched));
    let Some(files) = files.collect::<Option<Vec<_>>>() else {
        return Ok(End::Failed {
            why: "a file was never looked for: sync again".to_owned(),
            is_final: false,
        });
    };
    let size_bytes = files.iter().map(ViewFile::size_bytes).sum();
    let verified = files.iter().all(ViewFile::is_verified);
    let deployed = host.store.deploy(&order.id, &files);
    let changed = deployed.with_context(|| format!("deploy {}", order.id))?;
    let main = fetched.get(&order.digest).and_then(|it| match it {
        Fetched::Came(bytes) => Some(bytes),
        _ => None,
    });
    let inside = inside(main);
    let mut flaws = inside.as_ref().map(|it| it.flaws.clone()).unwrap_or_default();
    let doubtful = order.files.iter().zip(&files).filter(|(_, shown)| !shown.is_verified());
    let waived = doubtful.map(|(file, shown)| (file.want.digest, shown.digest())).collect::<BTreeMap<_, _>>();
    // What was found inside stays on record: the file is not looked into again until it changes.
    let known = host.records.read(&order.id, order.digest)?.map(|it| it.event);
    match known {
        Some(Event::Deployed { inside, waived: known, gate: passed })
            if main.is_none() && known == waived =>
        {
            if passed != gate {
                note(host, &order.id, order.digest, Event::Deployed { inside, waived, gate })?;
            }
        }
        _ => note(host, &order.id, order.digest, Event::Deployed { inside, waived, gate })?,
    }
    if verified {
        match RepoName::parse(&format!("hallmark/{}", order.id)) {
            Ok(repo) => {
                let published = host.cache.publish(&own_snapshot(repo, files)?);
                published.with_context(|| format!("show {} in the Hugging Face cache", order.id))?;
            }
            // An id may have two hyphens in a row, a repository's name may not: clients could not ask for it.
            Err(error) => flaws.push(format!("not in the Hugging Face cache under its id: {error}")),
        }
    }
    let version = order.version.clone();
    Ok(End::Deployed { version, size_bytes, changed, verified, flaws, unjudged: false })
}

/// Shows deployed files under the repositories they come from. Entries that share one are shown together.
/// Returns the models that could not be shown there, and why. Just one repository, if one is named.
pub(crate) fn hub_views(
    host: &Host,
    orders: &[&Order],
    fetched: &BTreeMap<Sha256, Fetched>,
    only: Option<&RepoName>,
) -> BTreeMap<String, String> {
    let mut repos: BTreeMap<_, Vec<(&Order, &OnHub, &FileOrder)>> = BTreeMap::new();
    for (order, file) in orders.iter().flat_map(|order| order.files.iter().map(move |file| (order, file))) {
        // A model that is not whole is not shown, not even the part that came.
        let whole = order.files.iter().all(|it| object(it, fetched).is_some());
        let is_meant = |it: &&OnHub| whole && only.is_none_or(|only| it.repo == *only);
        if let Some(place) = file.on_hub.as_ref().filter(is_meant) {
            repos.entry((place.repo.clone(), place.commit)).or_default().push((order, place, file));
        }
    }
    let mut hidden = BTreeMap::new();
    for ((repo, commit), places) in repos {
        if let Err(error) = hub_view(host, &repo, commit, &places, fetched) {
            let why = format!("not shown in the Hugging Face cache as {repo}: {error:#}");
            hidden.extend(places.iter().map(|(order, ..)| (order.id.to_string(), why.clone())));
        }
    }
    hidden
}

fn hub_view(
    host: &Host,
    repo: &RepoName,
    commit: Option<CommitId>,
    places: &[(&Order, &OnHub, &FileOrder)],
    fetched: &BTreeMap<Sha256, Fetched>,
) -> anyhow::Result<()> {
    let mut files = BTreeMap::new();
    let mut revisions = vec![main_branch()?];
    for (_, place, file) in places {
        let shown = view_file(file, place.path.clone(), fetched);
        files.extend(shown.map(|it| (place.path.clone(), it)));
        revisions.extend(place.branch.clone().filter(|it| !revisions.contains(it)));
    }
    let files = files.into_values().collect::<Vec<_>>();
    let commit = commit.unwrap_or_else(|| synthetic(&files));
    let absent = absent(&files)?;
    let snapshot = Snapshot { repo: repo.clone(), commit, revisions, files, absent };
    host.cache.publish(&snapshot)?;
    Ok(())
}

/// Takes a model out of sight: its view, and the snapshots of the cache that show its files.
pub(super) fn hide(host: &Host, order: &Order) -> anyhow::Result<()> {
    let view = host.store.view(&order.id).with_context(|| format!("look at the view of {}", order.id))?;
    let Some(view) = view else { return Ok(()) };
    host.store.remove(&order.id).with_context(|| format!("remove the view of {}", order.id))?;
    let own = format!("hallmark/{}", order.id);
    let repos = order.files.iter().filter_map(|it| it.on_hub.as_ref()).map(|it| it.repo.as_str());
    let repos = repos.chain([own.as_str()]).collect::<BTreeSet<_>>();
    // What is shown may be an earlier version of it.
    let earlier = view.files.iter().map(|it| it.digest);
    let digests = order.files.iter().map(|it| it.want.digest).chain(earlier).collect::<BTreeSet<_>>();
    for shown in host.cache.snapshots().context("list the Hugging Face cache")? {
        if repos.contains(shown.repo.as_str()) && !digests.is_disjoint(&shown.digests) {
            let removed = host.cache.remove(&shown.repo, &shown.commit);
            removed.with_context(|| format!("remove {} from the cache", shown.repo))?;
        }
    }
    Ok(())
}

/// Every model is also shown under its own name, whatever the repository is called that it comes from.
fn own_snapshot(repo: RepoName, files: Vec<ViewFile>) -> anyhow::Result<Snapshot> {
    let (commit, absent) = (synthetic(&files), absent(&files)?);
    Ok(Snapshot { repo, commit, revisions: vec![main_branch()?], files, absent })
}

fn synthetic(files: &[ViewFile]) -> CommitId {
    let digests = files.iter().map(|it| (it.path().clone(), it.digest())).collect::<Vec<_>>();
    synthetic_commit(digests.iter().map(|(path, digest)| (path, digest)))
}

fn absent(files: &[ViewFile]) -> anyhow::Result<Vec<EntryPath>> {
    let missing =
        OPTIONAL_FILES.into_iter().filter(|name| files.iter().all(|it| it.path().as_str() != *name));
    missing.map(|name| EntryPath::parse(name).context("name a file that is not there")).collect()
}

fn main_branch() -> anyhow::Result<EntryPath> {
    EntryPath::parse("main").context("name the main branch")
}

fn view_file(file: &FileOrder, path: EntryPath, fetched: &BTreeMap<Sha256, Fetched>) -> Option<ViewFile> {
    match fetched.get(&file.want.digest)? {
        Fetched::Stands(object) => Some(ViewFile::verified(path, object.clone())),
        Fetched::StandsUnproven(loose) => Some(ViewFile::unverified(path, loose.clone())),
        Fetched::Came(bytes) => Some(match &bytes.place {
            Shelved::Proven(object) => ViewFile::verified(path, object.clone()),
            Shelved::Unproven(loose) => ViewFile::unverified(path, loose.clone()),
        }),
        Fetched::Failed { .. } | Fetched::Wrong { .. } => None,
    }
}

pub(super) fn object<'f>(file: &FileOrder, fetched: &'f BTreeMap<Sha256, Fetched>) -> Option<&'f Object> {
    match fetched.get(&file.want.digest)? {
        Fetched::Stands(object) => Some(object),
        Fetched::Came(bytes) => match &bytes.place {
            Shelved::Proven(object) => Some(object),
            Shelved::Unproven(_) => None,
        },
        Fetched::StandsUnproven(_) | Fetched::Failed { .. } | Fetched::Wrong { .. } => None,
    }
}
