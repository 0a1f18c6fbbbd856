//! `hallmark add`: a trained file becomes an entry of the index.
//!
//! - What an entry says is computed from the files, read from where it was written down, or given by a flag; nothing is
//!   made up. What is still missing is listed, and then nothing is written.
//! - The index is written whole or not at all, and only if it holds with the entry in it.

mod ask;
mod bytes;
mod companions;
mod dataset;
mod draft;
mod facts;
mod given;
mod logs;
mod report;
mod sheet;
mod stub;
mod write;

use std::path::PathBuf;

use catalog::{
    Contract, Report,
    edit::{Change, Edited},
};
use clap::Args;

pub(crate) use self::{
    draft::{Draft, draft},
    facts::Facts,
};
use crate::{Outcome, out};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    facts: Facts,
    /// The index to write the entry into
    #[arg(long, value_name = "FILE", default_value = "index.json")]
    index: PathBuf,
    /// Say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// What was found, used and written, as JSON
    #[arg(long)]
    json: bool,
}

/// What became of the index.
#[derive(Debug)]
enum End {
    /// Something is missing; nothing was written.
    Incomplete,
    /// The index would not hold; nothing was written.
    Refused(Vec<u8>, Report),
    /// The entry stands in the index now, or would.
    Done(Change, Report),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let contract = arguments.facts.contract()?;
    let index = write::Index::open(&arguments.index)?;
    let draft = draft(&arguments.facts, index.bytes(), &contract)?;
    let end =
        if draft.is_complete() { put(index, &draft, &contract, arguments.dry_run)? } else { End::Incomplete };
    out::print(&report::render(arguments, &draft, &end)?)?;
    Ok(match end {
        End::Done(..) => Outcome::Holds,
        End::Incomplete | End::Refused(..) => Outcome::DoesNotHold,
    })
}

/// Writes the entry, if the index holds with it.
fn put(index: write::Index, draft: &Draft, contract: &Contract, dry_run: bool) -> anyhow::Result<End> {
    let index = index.lock(draft)?;
    let Edited { text, change } = catalog::edit::put(index.bytes(), &draft.entry, contract)?;
    let report = catalog::validate(text.as_bytes(), contract);
    if !report.holds(false) {
        return Ok(End::Refused(text.into_bytes(), report));
    }
    if !dry_run && change != Change::Nothing {
        index.replace(text.as_bytes())?;
    }
    Ok(End::Done(change, report))
}
