//! What can be asked on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    Outcome, add, config::Config, demo, event, gc, http, key, lineage, out, propose, publish, review, scrub,
    serve, status, sync, validate, wait,
};

/// The model registry that a NixOS fleet can trust.
///
/// An index.json says which models there are and what their bytes have to be. `validate` checks it before anyone
/// relies on it; `sync` fetches what this host wants, proves every byte by sha256 and makes it visible, for programs
/// in the model store and for Hugging Face clients in a cache that they take for their own; `status` says what is
/// where; `wait` comes back once it is there; `verify` hashes it again; `gc` removes what nothing wants. `serve` does
/// all that by itself and serves what it proved; `demo` shows it.
///
/// Exit codes: 0 for success, 1 when what was checked does not hold, 2 when hallmark could not do its work.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon: fetches what this host wants, proves it, and serves it to everybody who may ask.
    Serve(serve::Arguments),
    /// Shows the whole job on this machine, without a network and without set-up.
    Demo(demo::Arguments),
    /// Checks an index against its schema and rules, and reports every flaw with its place.
    Validate(validate::Arguments),
    /// Makes an entry for a trained model out of its files, and writes it into the index.
    Add(Box<add::Arguments>),
    /// Uploads a model of the index to the Hub in one commit, and checks what arrived there.
    Publish(publish::Arguments),
    /// Proposes a trained model for an index that others keep: branch, commit, push, pull request. Safe to repeat.
    Propose(Box<propose::Arguments>),
    /// Checks what a branch changes in an index, and writes what its reviewer should know.
    Review(review::Arguments),
    /// Fetches what is wanted, proves every byte, and deploys it.
    Sync(sync::Arguments),
    /// Says what is where on this host, and why.
    Status(status::Arguments),
    /// Waits until models are deployed on this host.
    Wait(wait::Arguments),
    /// Hashes what is here again; with --repair, fetches just what rotted.
    Verify(scrub::Arguments),
    /// Removes what nothing wants any more.
    Gc(gc::Arguments),
    /// Identities: makes a key, shows whose it is.
    #[command(subcommand)]
    Key(key::Command),
    /// Signed events: made, sent, found, checked and proved.
    #[command(subcommand)]
    Event(event::Command),
    /// Checks a config file, as a system's build does.
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Checks, explains and evaluates cards: what a model rests on, and whether that is good enough.
    Lineage(lineage::Arguments),
    /// Prints a JSON Schema.
    Schema {
        /// Which one
        #[arg(value_enum, default_value_t = SchemaName::Index)]
        name: SchemaName,
    },
    /// Prints the contract of the daemon's HTTP, as OpenAPI.
    Openapi,
}

impl Cli {
    /// Says how much of what happens goes to the log.
    pub(crate) fn log_level(&self) -> LevelFilter {
        match self.command {
            // Its log is what an operator looks at.
            Command::Serve(_) => LevelFilter::INFO,
            // It tells what happens in its own words.
            Command::Demo(_) => LevelFilter::ERROR,
            _ => LevelFilter::WARN,
        }
    }
}

/// What there is a JSON Schema of.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaName {
    /// An index.json
    Index,
    /// A lineage card, with a sentence for every short key
    Item,
    /// What an evaluation writes back
    Update,
}

/// Runs what was asked for.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Outcome> {
    match cli.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Add(arguments) => add::run(&arguments),
        Command::Publish(arguments) => publish::run(&arguments),
        Command::Propose(arguments) => propose::run(&arguments),
        Command::Review(arguments) => review::run(&arguments),
        Command::Sync(arguments) => sync::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Wait(arguments) => wait::run(&arguments),
        Command::Verify(arguments) => scrub::run(&arguments),
        Command::Gc(arguments) => gc::run(&arguments),
        Command::Key(command) => key::run(&command),
        Command::Event(command) => event::run(&command),
        Command::CheckConfig { file } => Config::read(&file).map(|_| Outcome::Holds).map_err(Into::into),
        Command::Openapi => out::print(&http::contract()?).map(|()| Outcome::Holds),
        Command::Lineage(arguments) => lineage::run(&arguments),
        Command::Schema { name } => {
            let schema = match name {
                SchemaName::Index => catalog::SCHEMA,
                SchemaName::Item => ::lineage::ITEM_SCHEMA,
                SchemaName::Update => ::lineage::UPDATE_SCHEMA,
            };
            out::print(schema).map(|()| Outcome::Holds)
        }
    }
}
