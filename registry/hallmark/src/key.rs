//! `hallmark key`: whom the daemon signs as, and what others check its log with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use ledger::{Author, CheckpointKey, SecretKey};
use serde::Serialize;

use crate::{Outcome, out};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a new key in a file that only its owner can read, and prints its address.
    New(Arguments),
    /// Prints the address of a key, and the public key of the log beside it.
    Show(Arguments),
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The key's file; the daemon's, unless given
    file: Option<PathBuf>,
    /// The folder where the daemon keeps its own
    #[arg(long, value_name = "DIR", default_value = ".hallmark")]
    state: PathBuf,
    /// JSON in place of text
    #[arg(long)]
    json: bool,
}

/// What there is to know of a key without the key.
#[derive(Debug, Serialize)]
struct Shown {
    file: PathBuf,
    /// As it is written for people and wallets, in the case of its checksum.
    address: String,
    /// As events have it.
    pubkey: String,
    /// What others check the log's checkpoints and proofs with.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_key: Option<String>,
}

pub(crate) fn run(command: &Command) -> anyhow::Result<Outcome> {
    let (arguments, key) = match command {
        Command::New(arguments) => (arguments, new(&arguments.path())?),
        Command::Show(arguments) => (arguments, SecretKey::read(&arguments.path())?),
    };
    let log = arguments.state.join("checkpoint.key");
    let is_daemons = arguments.file.is_none() && log.exists();
    let shown = Shown {
        file: arguments.path(),
        address: format!("0x{}", Author::checksum(key.address())),
        pubkey: Author::lower(key.address()).to_string(),
        log_key: is_daemons.then(|| log_key(&log)).transpose()?,
    };
    if arguments.json {
        out::print(&(serde_json::to_string_pretty(&shown).context("write the key as JSON")? + "\n"))?;
    } else {
        let log = shown.log_key.map_or_else(String::new, |it| format!("log key  {it}\n"));
        out::print(&format!(
            "address  {}\npubkey   {}\n{log}file     {}\n",
            shown.address,
            shown.pubkey,
            shown.file.display()
        ))?;
    }
    Ok(Outcome::Holds)
}

impl Arguments {
    fn path(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| self.state.join("daemon.key"))
    }
}

fn new(path: &Path) -> anyhow::Result<SecretKey> {
    if path.exists() {
        bail!("{} is there already: a key is never written over", path.display());
    }
    if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    }
    Ok(SecretKey::read_or_create(path)?)
}

fn log_key(path: &Path) -> anyhow::Result<String> {
    // It is there, so it is read, and its own name holds.
    Ok(CheckpointKey::read_or_create(path, "hallmark")?.public().to_owned())
}
