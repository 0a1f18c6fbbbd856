//! Makes verified files visible: in the model store, and in the Hugging Face cache.

use std::collections::BTreeMap;

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

/// Shows a model whose files are all there.
pub(super) fn model(host: &Host, order: &Order, fetched: &BTreeMap<Sha256, Fetched>) -> anyhow::Result<End> {
    let files = order.files.iter().map(|it| view_file(it, it.path.clone(), fetched));
    let Some(files) = files.collect::<Option<Vec<_>>>() else {
        return Ok(End::Failed { why: "a file was never looked for: sync again".to_owned() });
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
    let flaws = inside.as_ref().map(|it| it.flaws.clone()).unwrap_or_default();
    // What was found inside stays on record: the file is not looked into again until it changes.
    let known = host.records.read(&order.id, order.digest)?;
    if main.is_some() || !known.is_some_and(|it| matches!(it.event, Event::Deployed { .. })) {
        note(host, &order.id, order.digest, Event::Deployed { inside })?;
    }
    if verified {
        let snapshot = own_snapshot(order, files)?;
        host.cache
            .publish(&snapshot)
            .with_context(|| format!("show {} in the Hugging Face cache", order.id))?;
    }
    Ok(End::Deployed { version: order.version.clone(), size_bytes, changed, verified, flaws })
}

/// Shows deployed files under the repositories they come from. Entries that share one are shown together.
pub(super) fn hub_views(
    host: &Host,
    orders: &[Order],
    fetched: &BTreeMap<Sha256, Fetched>,
) -> anyhow::Result<()> {
    let mut repos: BTreeMap<_, Vec<(&OnHub, &FileOrder)>> = BTreeMap::new();
    for (order, file) in orders.iter().flat_map(|order| order.files.iter().map(move |file| (order, file))) {
        // A model that is not whole is not shown, not even the part that came.
        let whole = order.files.iter().all(|it| object(it, fetched).is_some());
        if let Some(place) = file.on_hub.as_ref().filter(|_| whole) {
            repos.entry((place.repo.clone(), place.commit)).or_default().push((place, file));
        }
    }
    for ((repo, commit), places) in repos {
        let mut files = BTreeMap::new();
        let mut revisions = vec![main_branch()?];
        for (place, file) in places {
            let shown = view_file(file, place.path.clone(), fetched);
            files.extend(shown.map(|it| (place.path.clone(), it)));
            revisions.extend(place.branch.clone().filter(|it| !revisions.contains(it)));
        }
        let files = files.into_values().collect::<Vec<_>>();
        let commit = commit.unwrap_or_else(|| synthetic(&files));
        let absent = absent(&files)?;
        let snapshot = Snapshot { repo: repo.clone(), commit, revisions, files, absent };
        host.cache.publish(&snapshot).with_context(|| format!("show {repo} in the Hugging Face cache"))?;
    }
    Ok(())
}

/// Every model is also shown under its own name, whatever the repository is called that it comes from.
fn own_snapshot(order: &Order, files: Vec<ViewFile>) -> anyhow::Result<Snapshot> {
    let repo =
        RepoName::parse(&format!("hallmark/{}", order.id)).context("name the model's own repository")?;
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
        Fetched::Came(bytes) => Some(match &bytes.place {
            Shelved::Proven(object) => ViewFile::verified(path, object.clone()),
            Shelved::Unproven(loose) => ViewFile::unverified(path, loose.clone()),
        }),
        Fetched::Failed { .. } | Fetched::Wrong { .. } => None,
    }
}

fn object<'f>(file: &FileOrder, fetched: &'f BTreeMap<Sha256, Fetched>) -> Option<&'f Object> {
    match fetched.get(&file.want.digest)? {
        Fetched::Stands(object) => Some(object),
        Fetched::Came(bytes) => match &bytes.place {
            Shelved::Proven(object) => Some(object),
            Shelved::Unproven(_) => None,
        },
        Fetched::Failed { .. } | Fetched::Wrong { .. } => None,
    }
}
