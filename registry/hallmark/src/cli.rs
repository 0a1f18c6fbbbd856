//! What can be asked on the command line.

use clap::{Parser, Subcommand};

use crate::{Outcome, out, sync, validate};

/// The model registry that a NixOS fleet can trust.
///
/// An index.json says which models there are and what their bytes have to be. `hallmark validate` checks it
/// before anyone relies on it; `hallmark schema` prints the contract.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks an index against its schema and rules, and reports every flaw with its place.
    Validate(validate::Arguments),
    /// Fetches what is wanted, proves every byte, and deploys it.
    Sync(sync::Arguments),
    /// Prints the JSON Schema of an index.
    Schema,
}

/// Runs what was asked for.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Outcome> {
    match cli.command {
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Sync(arguments) => sync::run(&arguments),
        Command::Schema => out::print(catalog::SCHEMA).map(|()| Outcome::Holds),
    }
}
