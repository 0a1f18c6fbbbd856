//! `hallmark lineage verify`: an UPDATE is done again over the daemon's log.

use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use ledger::EventId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{card, daemon::Daemon};
use crate::{Outcome, event::Whom, out};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The id of an UPDATE's event in the log, or a file: the event, or the UPDATE alone
    update: String,
    /// For programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Whom,
}

/// What the daemon answers.
#[derive(Debug, Deserialize, Serialize)]
struct Verdict {
    holds: bool,
    why: Option<String>,
    item: String,
    is_value: Option<bool>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let name = &arguments.update;
    let question = match EventId::parse(name) {
        Ok(id) => json!({ "event": id.to_string() }),
        Err(_) => json!({ "update": update(Path::new(name))? }),
    };
    let answer = Daemon::of(&arguments.whom)?.post::<Verdict>("/v1/lineage/verify", question.to_string())?;
    let verdict = match answer {
        Ok(verdict) => verdict,
        Err(refused) => {
            out::print(&format!("{name} cannot be done again: {refused}\n"))?;
            return Ok(Outcome::DoesNotHold);
        }
    };
    let text = if arguments.json {
        serde_json::to_string_pretty(&verdict)? + "\n"
    } else {
        let what = match verdict.is_value {
            Some(true) => " It is a value of its card.",
            Some(false) => " It is an attestation: its author may not change the card's value.",
            None => "",
        };
        match &verdict.why {
            None => format!("{name} holds, bit for bit.{what}\n"),
            Some(why) => format!("{name} does not hold: {why}\n"),
        }
    };
    out::print(&text)?;
    Ok(if verdict.holds { Outcome::Holds } else { Outcome::DoesNotHold })
}

/// Reads an UPDATE, or takes it out of its event.
fn update(path: &Path) -> anyhow::Result<Value> {
    let text = card::read(path)?;
    let value: Value = serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
    match value.get("content") {
        Some(Value::String(content)) => {
            serde_json::from_str(content).with_context(|| format!("read the content in {}", path.display()))
        }
        Some(content) => Ok(content.clone()),
        None => Ok(value),
    }
}
