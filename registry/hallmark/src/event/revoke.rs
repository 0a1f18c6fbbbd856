//! `hallmark event revoke`: something must not be relied on any more, and who relies on it hears of that.

use std::path::PathBuf;

use anyhow::ensure;
use base::{Clock as _, SystemClock};
use clap::Args;
use ledger::{
    EventId, SecretKey, Sid, Tag,
    event::Scheme,
    kinds::{Operation, Valid},
};
use serde::Deserialize;
use serde_json::Value;

use super::Whom;
use crate::{
    Outcome,
    ancestry::Target,
    lineage::{Daemon, ask_impact, told_impact},
    out,
};

/// How many events one revocation names.
const PARENTS_MAX: usize = 1000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A dataset's name (perhaps with `@commit`), a sha256, a model's id, or an event's id
    of: String,
    /// Why, in words
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// The key's file; the daemon's, unless given
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    whom: Whom,
}

/// What the daemon says of its log.
#[derive(Deserialize)]
struct About {
    sid: Sid,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let daemon = Daemon::of(&arguments.whom)?;
    let impact = ask_impact(&daemon, &arguments.of, false)?;
    let starts = &impact.starts;
    ensure!(!starts.is_empty(), "the daemon's log knows no {}: there is nothing to revoke", arguments.of);
    ensure!(
        starts.len() <= PARENTS_MAX,
        "{} stands for {} events, and {PARENTS_MAX} can be revoked at once: name a commit or an event",
        arguments.of,
        starts.len()
    );
    let path = arguments.key.clone().unwrap_or_else(|| arguments.whom.state.join("daemon.key"));
    let key = SecretKey::read(&path)?;
    let about: About = daemon.get("/v1/log")?;
    let event = key.sign(draft(arguments, &impact.target, starts, about.sid)?, Scheme::SpecEip191);
    let published = daemon.post::<Value>("/v1/events", event.to_json())?;
    if let Err(refused) = published {
        out::print(&format!("the revocation was refused: {refused}\n"))?;
        return Ok(Outcome::DoesNotHold);
    }
    out::print(&format!("revoked by {}: {}\n", key.address(), event.id()))?;
    out::print(&told_impact(&impact))?;
    Ok(Outcome::Holds)
}

fn draft(
    arguments: &Arguments,
    target: &Target,
    starts: &[String],
    sid: Sid,
) -> anyhow::Result<ledger::Draft> {
    let parents = starts.iter().map(|it| EventId::parse(it)).collect::<Result<Vec<_>, _>>()?;
    let digest = match target {
        Target::Artifact(digest) => Some(digest.clone()),
        _ => None,
    };
    let view = Valid {
        valid_result: Some("revoked".to_owned()),
        digest,
        cause: arguments.why.clone(),
        ..Valid::default()
    };
    let now = SystemClock.now();
    let operation =
        Operation { created_at: now, sid: Some(sid), auth: None, parents, content: String::new() };
    let mut draft = view.draft(operation);
    if let Target::Dataset(name) = target {
        draft.tags.push(Tag::pair("dataset_id", name));
    }
    Ok(draft)
}
