//! `hallmark event publish`: signed events go into the daemon's log.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Whom, ask::Asker};
use crate::{Outcome, out};

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
    let asker = Asker::new(&arguments.whom)?;
    let mut outcome = Outcome::Holds;
    for (value, number) in values.iter().zip(1..) {
        let answer = asker.ask(&Method::POST, "/v1/events", value.get().to_owned())?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match answer.code {
            StatusCode::OK => {}
            // The event itself is at fault: the others may be well.
            StatusCode::BAD_REQUEST => outcome = Outcome::DoesNotHold,
            _ => anyhow::bail!("event {number}: {}", answer.problem()),
        }
        let line = if arguments.json {
            json!({ "number": number, "code": answer.code.as_u16(), "answer": said }).to_string()
        } else if answer.code == StatusCode::OK {
            told(number, &said).context("read the daemon's answer")?
        } else {
            format!("event {number} was refused: {}", answer.problem())
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
