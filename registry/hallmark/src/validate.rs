//! `hallmark validate`: an index against its schema and rules.

mod github;
mod text;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use catalog::{Contract, Report};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::{Outcome, out};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The index to check
    #[arg(default_value = "index.json")]
    index: PathBuf,
    /// Another organisation's schema; id, version, artifact, license and provenance stay as they are
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// How to report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Refuse warnings too: placeholders, unpinned URLs, missing commits
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people: each flaw with the lines it stands in
    Text,
    /// For programs
    Json,
    /// For GitHub workflows: one annotation for each flaw
    Github,
}

/// The report as programs get it.
#[derive(Serialize)]
struct Verdict<'r> {
    valid: bool,
    index: &'r str,
    #[serde(flatten)]
    report: &'r Report,
    left_out: usize,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let contract = match &arguments.schema {
        Some(path) => foreign_contract(path)?.0,
        None => Contract::ours(),
    };
    let (report, bytes) = catalog::validate_file(&arguments.index, &contract)?;
    let name = arguments.index.display().to_string();
    let holds = report.holds(arguments.strict);
    out::print(&match arguments.format {
        Format::Text => text::render(&name, &bytes, &report, arguments.strict),
        Format::Github => github::render(&name, &report, arguments.strict),
        Format::Json => {
            let left_out = report.left_out();
            let verdict = Verdict { valid: holds, index: &name, report: &report, left_out };
            serde_json::to_string_pretty(&verdict).context("write the report as JSON")? + "\n"
        }
    })?;
    Ok(if holds { Outcome::Holds } else { Outcome::DoesNotHold })
}

/// Writes a report for people, with the lines that it speaks of.
pub(crate) fn text(name: &str, bytes: &[u8], report: &Report) -> String {
    text::render(name, bytes, report, false)
}

/// Reads another organisation's schema, and returns its text as well.
pub(crate) fn foreign_contract(path: &Path) -> anyhow::Result<(Contract, String)> {
    let text = fs::read_to_string(path).with_context(|| format!("read the schema {}", path.display()))?;
    let contract = Contract::of(&text).with_context(|| format!("use the schema {}", path.display()))?;
    Ok((contract, text))
}
