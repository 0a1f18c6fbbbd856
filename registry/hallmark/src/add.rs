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

use clap::Args;

pub(crate) use self::{
    bytes::measure,
    draft::{Draft, draft},
    facts::Facts,
    report::incomplete,
    write::{Index, Put},
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
    /// Something is missing, or stands against it; nothing was written.
    Incomplete,
    /// The entry was held to the contract.
    Put(Put),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let contract = arguments.facts.contract()?;
    let index = Index::open(&arguments.index)?;
    let draft = draft(&arguments.facts, index.bytes(), &contract)?;
    let end = if draft.is_complete() {
        let index = index.lock(arguments.facts.id.as_str(), draft.previous.as_ref())?;
        End::Put(index.put(&draft.entry, &contract, arguments.dry_run)?)
    } else {
        End::Incomplete
    };
    out::print(&report::render(arguments, &draft, &end)?)?;
    Ok(match end {
        End::Put(Put::Done(..)) => Outcome::Holds,
        End::Incomplete | End::Put(Put::Refused(..)) => Outcome::DoesNotHold,
    })
}
