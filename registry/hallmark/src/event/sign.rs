//! `hallmark event sign`: a draft becomes an event.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use base::{Clock as _, SystemClock, UnixSeconds};
use clap::{Args, ValueEnum};
use ledger::{
    Draft, Kind, SecretKey,
    event::{Scheme, Tags},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Outcome, out};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The draft's file, or `-`
    #[arg(default_value = "-")]
    draft: PathBuf,
    /// The key's file; the daemon's, unless given
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The folder where the daemon keeps its own key
    #[arg(long, value_name = "DIR", default_value = ".hallmark")]
    state: PathBuf,
    /// How to sign
    #[arg(long = "as", value_name = "SCHEME", default_value = "spec")]
    scheme: Way,
}

/// The ways to sign.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// The id is the SHA-256 of the event; a wallet's signature over it (EIP-191).
    Spec,
    /// The same with plain ECDSA over the id.
    SpecRaw,
    /// The id is the EIP-191 Keccak of the event, as the clients' libraries have it.
    Sdk,
}

/// What somebody wants to say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: Kind,
    #[serde(default)]
    tags: Tags,
    /// A text, or an object whose JSON is the text.
    #[serde(default)]
    content: Option<Box<RawValue>>,
    /// Now, unless given.
    created_at: Option<UnixSeconds>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let written: Written = serde_json::from_str(&super::read(&arguments.draft)?)
        .context("read the draft: an object with kind, tags, content, and created_at if it is not now")?;
    let path = arguments.key.clone().unwrap_or_else(|| arguments.state.join("daemon.key"));
    let key = SecretKey::read(&path)?;
    let draft = Draft {
        created_at: written.created_at.unwrap_or_else(|| SystemClock.now()),
        kind: written.kind,
        tags: written.tags,
        content: content(written.content.as_deref())?,
    };
    let scheme = match arguments.scheme {
        Way::Spec => Scheme::SpecEip191,
        Way::SpecRaw => Scheme::SpecRaw,
        Way::Sdk => Scheme::Sdk,
    };
    out::print(&(key.sign(draft, scheme).to_json() + "\n"))?;
    Ok(Outcome::Holds)
}

fn content(written: Option<&RawValue>) -> anyhow::Result<String> {
    let Some(written) = written else { return Ok(String::new()) };
    let json = written.get();
    if json.starts_with('"') {
        return serde_json::from_str(json).context("read the draft's content");
    }
    ensure!(json.starts_with('{'), "the draft's content is a text, or an object whose JSON is the text");
    Ok(json.to_owned())
}
