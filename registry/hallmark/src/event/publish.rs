//! `hallmark event publish`: signed events go into the daemon's log.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::Whom;
use crate::{
    Outcome, out,
    remote::{parse, refusal},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The file, or `-`: an event, a JSON array of events, or events in a row
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    whom: Whom,
    /// One JSON value a line in place of words
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let values = super::values(&super::read(&arguments.file)?)?;
    anyhow::ensure!(!values.is_empty(), "there is nothing to publish in {}", arguments.file.display());
    let daemon = arguments.whom.remote()?;
    let mut outcome = Outcome::Holds;
    for (value, number) in values.iter().zip(1..) {
        let (status, said) = daemon.converse(daemon.publish(value))?;
        match status {
            200 => {}
            // The event itself is at fault: the others may be well.
            400 => outcome = Outcome::DoesNotHold,
            _ => return Err(refusal(&said)).with_context(|| format!("publish event {number}")),
        }
        let line = if arguments.json {
            json!({ "number": number, "code": status, "answer": parse::<Value>(&said)? }).to_string()
        } else if status == 200 {
            told(number, &parse(&said)?).context("read the daemon's answer")?
        } else {
            format!("event {number} was refused: {}", refusal(&said))
        };
        out::print(&(line + "\n"))?;
    }
    Ok(outcome)
}

fn told(number: u64, said: &Value) -> Option<String> {
    let id = said.get("id")?.as_str()?;
    let place = said.get("position")?;
    let place = format!("seq={} clock={}", place.get("seq")?, place.get("clock")?.as_str()?);
    Some(if said.get("duplicate")?.as_bool()? {
        format!("event {number} was there already: stored as {id}, {place}")
    } else {
        format!("event {number} is in the log: {id}, {place}")
    })
}
