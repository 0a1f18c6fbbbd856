//! `hallmark review`: what a branch changes in an index, checked entry by entry, for whoever decides about it.
//!
//! - Only entries that are new or say something else are fetched and compared; the others were reviewed before.
//! - What is found fits into one remark under a pull request; what does not fit is counted.

mod page;

use std::path::PathBuf;

use anyhow::Context as _;
use base::ModelId;
use catalog::{Checked, Contract, Index, Report, diff, watch::read_index_file, work_tree};
use clap::{Args, ValueEnum};
use proposal::review::{Check, Review, Verdict, describe, previous};
use serde_json::json;

use self::page::Page;
use crate::{
    Outcome,
    config::Config,
    out,
    propose::{
        ForgeFlags,
        checks::{checksums, listed, schema_and_rules},
        forge_of_clone, nix,
    },
    validate::foreign_contract,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The index, in a working copy of its repository
    #[arg(default_value = "index.json")]
    index: PathBuf,
    /// What it is compared with: a branch or commit, as it was when this one left it
    #[arg(long, value_name = "REF")]
    base: String,
    /// Another organisation's schema; id, version, artifact, license and provenance stay as they are
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Refuse warnings about what is new or changed
    #[arg(long)]
    strict: bool,
    /// How to report
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
    /// Do not fetch what is new to compare its checksums
    #[arg(long)]
    skip_checksum: bool,
    /// Put the report under this pull request, or in the place of the one that is there
    #[arg(long, value_name = "NUMBER")]
    comment: Option<u64>,
    #[command(flatten)]
    forge: ForgeFlags,
    /// The config file; without it every setting has its default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder for all that hallmark keeps
    #[arg(long, value_name = "DIR", default_value = ".hallmark")]
    state: PathBuf,
}

/// How to report.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people, and for a remark under a pull request
    Markdown,
    /// For programs
    Json,
}

/// One entry that is new or says something else, as Markdown, and what was checked about it.
struct Seen {
    id: ModelId,
    text: String,
    checks: Vec<Check>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let config = match &arguments.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    let contract = match &arguments.schema {
        Some(path) => foreign_contract(path)?.0,
        None => Contract::ours(),
    };
    let bytes = read_index_file(&arguments.index)?;
    let Checked { index, report } = catalog::check(&bytes, &contract);
    let before = before(arguments, &contract)?;
    let mut page = Page::new();
    let Some(index) = index else {
        page.say(&broken(&report));
        return end(arguments, &config, &page, &[], false);
    };
    let changes = diff(&before, &index);
    let ids = changes.added.iter().chain(changes.revised.iter().map(|it| &it.id));
    let mut seen = Vec::new();
    for id in ids {
        seen.push(look(arguments, &config, (&before, &index), &report, id)?);
    }
    page.open(&seen.iter().map(|it| &it.id).collect::<Vec<_>>(), &changes.removed);
    for it in &seen {
        page.entry(&it.text);
    }
    let holds = seen.iter().flat_map(|it| &it.checks).all(|it| it.verdict != Verdict::Failed);
    end(arguments, &config, &page, &seen, holds)
}

/// Returns the index as it was; one that did not hold, or was not there, is as good as an empty one.
fn before(arguments: &Arguments, contract: &Contract) -> anyhow::Result<Index> {
    let folder = arguments.index.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
    let bytes = work_tree::before(folder, &arguments.base, &arguments.index)?;
    let index = bytes.and_then(|bytes| {
        let index = catalog::check(&bytes, contract).index;
        if index.is_none() {
            out::note(&format!(
                "the index at {} does not hold, so every entry counts as new",
                arguments.base
            ));
        }
        index
    });
    match index {
        Some(index) => Ok(index),
        None => catalog::check(b"{\"models\": []}", contract).index.context("an empty index does not hold"),
    }
}

fn look(
    arguments: &Arguments,
    config: &Config,
    (before, index): (&Index, &Index),
    report: &Report,
    id: &ModelId,
) -> anyhow::Result<Seen> {
    let listed = index.entry(id).with_context(|| format!("find {id} in the index again"))?;
    let (rules, _) = schema_and_rules(report, id, !arguments.strict);
    let mut checks = vec![rules];
    if arguments.skip_checksum {
        let detail = "by --skip-checksum: nobody has compared the bytes behind the URL with the entry";
        checks.push(Check::new("checksum", Verdict::Skipped, detail));
    } else {
        checks.extend(checksums(config, listed, &arguments.state)?);
    }
    let folder = tempfile::tempdir().context("make a folder for Nix")?;
    checks.push(nix::reads(index.text(), id.as_str(), folder.path())?);
    let review = Review {
        entry: &listed.entry,
        source: index.source(id).unwrap_or_default(),
        previous: previous(before, id),
        checks: &checks,
        vote: None,
    };
    let text = describe(&review);
    Ok(Seen { id: id.clone(), text, checks })
}

fn broken(report: &Report) -> String {
    let errors = out::counted(report.errors as u64, "error");
    format!("❌ The index does not hold: {errors}. `hallmark validate` shows every one with its place.\n")
}

fn end(
    arguments: &Arguments,
    config: &Config,
    page: &Page,
    seen: &[Seen],
    holds: bool,
) -> anyhow::Result<Outcome> {
    let text = page.text();
    match arguments.format {
        Format::Markdown => out::print(&text)?,
        Format::Json => {
            let entries = seen.iter().map(|it| json!({ "model": it.id, "checks": listed(&it.checks) }));
            let page = json!({ "holds": holds, "changed": entries.collect::<Vec<_>>() });
            out::print(&(serde_json::to_string_pretty(&page).context("write the result as JSON")? + "\n"))?;
        }
    }
    if let Some(number) = arguments.comment {
        let forge = forge_of_clone(&arguments.index, &arguments.forge, &config.propose)?;
        let changed =
            forge.remark(number, page::MARK, &text).context("put the report under the pull request")?;
        out::note(if changed {
            "the report is under the pull request"
        } else {
            "the same report is there already"
        });
    }
    Ok(if holds { Outcome::Holds } else { Outcome::DoesNotHold })
}
