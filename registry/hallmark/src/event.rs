//! `hallmark event`: signed events, made, sent, found, checked and proved.
//!
//! `sign` and `verify` need no daemon and no network; the others talk to one.

mod audit;
mod publish;
mod query;
mod revoke;
mod sign;
mod verify;

use std::{
    fs::File,
    io::{Read, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::value::RawValue;

use crate::{Outcome, remote::Remote};

/// The most that is read from a file or a pipe.
const INPUT_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Signs a draft: JSON with `kind`, `tags` and `content`, from a file or `-`; prints the event.
    Sign(sign::Arguments),
    /// Sends signed events to the daemon, and says where its log put each.
    Publish(publish::Arguments),
    /// Asks the daemon's log for events; prints a JSON array.
    Query(query::Arguments),
    /// Checks events or proof bundles, with no daemon at hand; exits 1 if any does not hold.
    Verify(verify::Arguments),
    /// Revokes a dataset, bytes, a model or an event: every gate above it closes. Says what rests on it.
    Revoke(revoke::Arguments),
    /// Asks the daemon for a proof that its log has an event; anybody can check it with the log's public key.
    Prove(query::ProveArguments),
    /// Walks a subspace back to its first event and checks that nothing was left out; exits 1 if that does not hold.
    Audit(audit::Arguments),
}

pub(crate) fn run(command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Sign(arguments) => sign::run(arguments),
        Command::Publish(arguments) => publish::run(arguments),
        Command::Query(arguments) => query::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
        Command::Revoke(arguments) => revoke::run(arguments),
        Command::Prove(arguments) => query::prove(arguments),
        Command::Audit(arguments) => audit::run(arguments),
    }
}

/// Reads a file, or standard input for `-`.
fn read(path: &Path) -> anyhow::Result<String> {
    let (name, from): (_, Box<dyn Read>) = if path == Path::new("-") {
        ("standard input".to_owned(), Box::new(stdin()))
    } else {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        (path.display().to_string(), Box::new(file))
    };
    let mut text = String::new();
    from.take(INPUT_BYTES_MAX + 1).read_to_string(&mut text).with_context(|| format!("read {name}"))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        bail!("{name} has more than {INPUT_BYTES_MAX} bytes: give it in parts");
    }
    Ok(text)
}

/// Takes a text apart into JSON values: one, a list of them, or several in a row.
fn values(text: &str) -> anyhow::Result<Vec<Box<RawValue>>> {
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>() {
        let value = value.context("read JSON")?;
        if value.get().starts_with('[') {
            values.extend(serde_json::from_str::<Vec<Box<RawValue>>>(value.get()).context("read a list")?);
        } else {
            values.push(value);
        }
    }
    Ok(values)
}

/// Where the daemon is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Whom {
    /// The daemon's address, such as `http://127.0.0.1:8420`; unless given, the socket in the state folder
    #[arg(long, value_name = "URL")]
    pub(crate) daemon: Option<url::Url>,
    /// The state folder of the daemon on this machine
    #[arg(long, value_name = "DIR", default_value = ".hallmark")]
    pub(crate) state: PathBuf,
}

impl Whom {
    /// Returns the daemon that is meant.
    pub(crate) fn remote(&self) -> anyhow::Result<Remote> {
        let Some(url) = &self.daemon else {
            return Remote::on(&self.state)?.with_context(|| {
                let state = self.state.display();
                format!("no daemon runs on {state}: start `hallmark serve`, or give --state or --daemon")
            });
        };
        Remote::at(url)
    }
}
