//! `hallmark publish`: a model of the index goes to the Hub, in one commit, and is fetched back and checked.
//!
//! - What goes there is what the index promises: files that it does not list, or that differ, stay here.
//! - The index learns the commit only after the bytes came back as they were promised.
//! - A repeat makes no commit.

mod card;
mod check;
mod files;
mod report;

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use base::{CommitId, ModelId, SystemClock};
use catalog::Contract;
use clap::Args;
use serde_json::{Map, Value};
use vault::upload::{Addition, Branch, Bytes, Committed, Uploader};

use self::files::{Found, Listed};
use crate::{
    Outcome,
    add::{Index, Put},
    config::Config,
    out,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The model's files, or folders that hold them; a README.md among them becomes the card's text
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The repository on the Hub, which must exist: `org/name`
    #[arg(long, value_name = "ORG/NAME", value_parser = repository)]
    repo: String,
    /// The repository's branch
    #[arg(long, default_value = "main")]
    branch: String,
    /// The model's id; unless given, the entry whose digest the files have
    #[arg(long)]
    id: Option<ModelId>,
    /// The index that lists the model, and that learns where it is
    #[arg(long, value_name = "FILE", default_value = "index.json")]
    index: PathBuf,
    /// The config file; its section `[hub]` says which hub, and which file holds the token
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What was sent and what changed, as JSON
    #[arg(long)]
    json: bool,
}

/// The model card's name on the Hub.
const CARD: &str = "README.md";
/// The mirror of the index's entry.
const METADATA: &str = "metadata.json";

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let config = arguments.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let settings = config.settings().map_err(anyhow::Error::msg)?;
    let contract = Contract::ours();
    let index = Index::open(&arguments.index)?;
    let found = Found::look(&arguments.files)?;
    let entry = entry(arguments, index.bytes(), &found)?;
    let listed = Listed::of(&entry)?;
    let additions = match found.match_up(&listed) {
        Ok(additions) => additions,
        Err(missing) => {
            out::print(&report::missing(&listed, &missing))?;
            return Ok(Outcome::DoesNotHold);
        }
    };
    let branch = Branch { repository: arguments.repo.clone(), name: arguments.branch.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
    let committed = runtime.block_on(async {
        let uploader = Uploader::new(settings.clone(), std::sync::Arc::new(SystemClock));
        // Asked first, since of files a hub does not say whether they or their repository are missing.
        uploader.head(&branch).await?;
        let there = uploader.text(&branch, CARD).await?;
        let card = card::merged(there.or_else(|| found.card.clone()).as_deref(), &entry)?;
        let mut additions = additions;
        additions.push(here(METADATA, metadata(&entry, &contract)));
        additions.push(here(CARD, card));
        let summary = format!("Add {} {}", text(&entry, "id"), text(&entry, "version"));
        let committed = uploader.commit(&branch, &additions, &summary).await?;
        check::fetch_back(&settings, &branch, committed.commit, &listed).await?;
        anyhow::Ok(committed)
    })?;
    let revised = placed(&entry, &branch, &committed)?;
    let change = match index.lock(text(&entry, "id"), Some(&entry))?.put(&revised, &contract, false)? {
        Put::Done(change, _) => change,
        Put::Refused(..) => bail!(
            "{} was published as {} at {}, but {} does not hold: see `hallmark validate`, then publish again",
            text(&entry, "id"),
            branch.repository,
            committed.commit,
            arguments.index.display()
        ),
    };
    out::print(&report::done(arguments, &listed, &committed, &change)?)?;
    Ok(Outcome::Holds)
}

/// Finds the entry by its id, or by the digest of a file.
fn entry(arguments: &Arguments, index: &[u8], found: &Found) -> anyhow::Result<Map<String, Value>> {
    let shown = arguments.index.display();
    if let Some(id) = &arguments.id {
        let entry = catalog::edit::find(index, id.as_str())?;
        return entry.with_context(|| format!("{shown} has no entry '{id}': make one with `hallmark add`"));
    }
    let matching = catalog::edit::entries(index)?.into_iter().filter(|it| {
        let digest = it.get("artifact").and_then(|it| it.get("sha256")).and_then(Value::as_str);
        digest.is_some_and(|it| found.has(it))
    });
    let mut matching = matching.collect::<Vec<_>>();
    ensure!(
        matching.len() < 2,
        "{shown} has {} entries with these bytes: say which one by --id",
        matching.len()
    );
    matching.pop().with_context(|| {
        format!("{shown} has no entry with the digest of any of these files: make one with `hallmark add`")
    })
}

/// Writes the entry as it stands in the index, without what says where it is: that is beside this file.
fn metadata(entry: &Map<String, Value>, contract: &Contract) -> String {
    let mut entry = entry.clone();
    if let Some(artifact) = entry.get_mut("artifact").and_then(Value::as_object_mut) {
        artifact.remove("downloadUrl");
        artifact.remove("revision");
        forget_urls(artifact);
    }
    catalog::edit::render(&entry, contract) + "\n"
}

/// Returns the entry with the place where its files are now.
fn placed(
    entry: &Map<String, Value>,
    branch: &Branch,
    committed: &Committed,
) -> anyhow::Result<Map<String, Value>> {
    let mut entry = entry.clone();
    let artifact = entry.get_mut("artifact").and_then(Value::as_object_mut);
    let artifact = artifact.context("the entry has no artifact")?;
    let revision = match revision_there(artifact, &branch.repository) {
        // Nothing changed, so the commit that the index names is as good as the branch's newest one.
        Some(revision) if committed.changed.is_empty() => revision,
        _ => committed.commit,
    };
    let filename =
        artifact.get("filename").and_then(Value::as_str).context("the artifact has no filename")?;
    let url = check::address(&branch.repository, revision, filename);
    artifact.insert("downloadUrl".to_owned(), url.into());
    artifact.insert("revision".to_owned(), revision.to_string().into());
    // They stand beside the main file, which is where they are looked for.
    forget_urls(artifact);
    Ok(entry)
}

/// Returns the commit that an artifact names, if it is one of this repository.
fn revision_there(artifact: &Map<String, Value>, repository: &str) -> Option<CommitId> {
    let revision = CommitId::parse(artifact.get("revision")?.as_str()?).ok()?;
    let url = artifact.get("downloadUrl")?.as_str()?;
    let filename = artifact.get("filename")?.as_str()?;
    (url == check::address(repository, revision, filename)).then_some(revision)
}

fn forget_urls(artifact: &mut Map<String, Value>) {
    let files = artifact.get_mut("files").and_then(Value::as_array_mut);
    for file in files.into_iter().flatten().filter_map(Value::as_object_mut) {
        file.remove("downloadUrl");
    }
}

fn here(path: &str, text: String) -> Addition {
    Addition { path: path.to_owned(), bytes: Bytes::Here(text.into_bytes()) }
}

fn text<'e>(entry: &'e Map<String, Value>, name: &str) -> &'e str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn repository(text: &str) -> Result<String, String> {
    let plain = |part: &str| {
        let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
    };
    match text.split_once('/') {
        Some((owner, name)) if plain(owner) && plain(name) => Ok(text.to_owned()),
        _ => Err("a repository is written <org>/<name>".to_owned()),
    }
}
