//! `hallmark lineage`: cards over plain files without a daemon, and what the daemon's log says of models.
//!
//! What a card means is decided in the crate of the same name; here files are read and answers are shown.

mod batch;
mod card;
mod crawl;
mod daemon;
mod eval;
mod events;
mod export;
mod gate;
mod impact;
mod value;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(crate) use self::{
    daemon::Daemon,
    impact::{ask as ask_impact, told as told_impact},
};
use crate::Outcome;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks a card as a ledger does, and reports every flaw with its code and place.
    Check(card::Check),
    /// Looks for typographic quotes; with --fix, mends a draft.
    Lint(card::Lint),
    /// Reads a card back in plain words.
    Explain {
        /// The card
        item: PathBuf,
    },
    /// Evaluates a card: over a ledger in a file, or one case after the other.
    Eval(eval::Arguments),
    /// Lists what a card visits.
    Crawl(crawl::Arguments),
    /// Says whether what a model rests on is good enough for this host; exits 1 if it is not.
    Gate(gate::Arguments),
    /// Does an UPDATE again, bit for bit; exits 1 if it does not hold.
    Verify(verify::Arguments),
    /// Shows a card of the log: its value, and who else found the same; exits 1 if it has none yet.
    Value(value::Arguments),
    /// Lists every model and host below a dataset, bytes, a model or an event.
    Impact(impact::Arguments),
    /// Tells other tools where a model comes from, or whether it passes the gate.
    Export(export::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.command {
        Command::Check(arguments) => card::check(arguments),
        Command::Lint(arguments) => card::lint(arguments),
        Command::Explain { item } => card::explain(item),
        Command::Eval(arguments) => eval::run(arguments),
        Command::Crawl(arguments) => crawl::run(arguments),
        Command::Gate(arguments) => gate::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
        Command::Value(arguments) => value::run(arguments),
        Command::Impact(arguments) => impact::run(arguments),
        Command::Export(arguments) => export::run(arguments),
    }
}
