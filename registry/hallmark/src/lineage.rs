//! `hallmark lineage`: cards over plain files, without a daemon.
//!
//! What a card means is decided in the crate of the same name; here files are read and answers are shown.

mod batch;
mod card;
mod crawl;
mod eval;
mod events;

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.command {
        Command::Check(arguments) => card::check(arguments),
        Command::Lint(arguments) => card::lint(arguments),
        Command::Explain { item } => card::explain(item),
        Command::Eval(arguments) => eval::run(arguments),
        Command::Crawl(arguments) => crawl::run(arguments),
    }
}
