//! `hallmark event verify`: whether events and proofs hold, from the bytes alone.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use ledger::{Leniency, Limits, ProofBundle, Signed, log::verify_batch};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Outcome, host::with_causes, out};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The file, or `-`: an event, a JSON array of events, events in a row, or a proof bundle
    #[arg(default_value = "-")]
    file: PathBuf,
    /// The public key of the log that a bundle is from, or a file that holds it; `hallmark key show` prints it
    #[arg(long, value_name = "KEY")]
    log_key: Option<String>,
    /// Take signatures over the text of an id, and EIP-2098's, too
    #[arg(long)]
    lenient: bool,
    /// A JSON array in place of lines
    #[arg(long)]
    json: bool,
}

/// What came of one event.
#[derive(Debug, Default, Serialize)]
struct Checked {
    /// Which one it was, from 1 on.
    number: usize,
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<ledger::Scheme>,
    /// Where the log has it, by a proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    proved: Option<Proved>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Debug, Serialize)]
struct Proved {
    log: String,
    seq: u64,
    size: u64,
}

/// What can be told of a value before it is checked.
#[derive(Debug, Default, Deserialize)]
struct Glance<'j> {
    #[serde(borrow)]
    checkpoint: Option<&'j RawValue>,
    #[serde(borrow)]
    id: Option<&'j RawValue>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let values = super::values(&super::read(&arguments.file)?)?;
    anyhow::ensure!(!values.is_empty(), "there is nothing to verify in {}", arguments.file.display());
    let leniency = Leniency { accept_id_text: arguments.lenient, accept_eip2098: arguments.lenient };
    let log_key = arguments.log_key.as_deref().map(log_key).transpose()?;
    let bundles = values.iter().map(|it| glance(it).checkpoint.is_some()).collect::<Vec<_>>();
    if bundles.contains(&true) && log_key.is_none() {
        anyhow::bail!("a proof bundle is checked against its log's public key: give --log-key");
    }
    let events = values.iter().zip(&bundles).filter(|(_, is_bundle)| !**is_bundle);
    let events = events.map(|(it, _)| it.get()).collect::<Vec<_>>();
    let mut events = verify_batch(&events, &Limits::default(), leniency).into_iter();
    let mut checked = Vec::with_capacity(values.len());
    for ((value, is_bundle), number) in values.iter().zip(bundles).zip(1..) {
        let found = match (&log_key, is_bundle) {
            (Some(key), true) => proved(value.get(), key, leniency),
            _ => match events.next() {
                Some(Ok(prepared)) => Ok(Checked::of(prepared.event())),
                Some(Err(error)) => Err(with_causes(&error)),
                None => Err("it was not checked".to_owned()),
            },
        };
        checked.push(match found {
            Ok(found) => Checked { number, ..found },
            Err(why) => {
                let id = glance(value).id.map(|it| it.get().trim_matches('"').chars().take(64).collect());
                Checked { number, id, why: Some(why), ..Checked::default() }
            }
        });
    }
    tell(arguments, &checked)?;
    Ok(if checked.iter().all(|it| it.holds) { Outcome::Holds } else { Outcome::DoesNotHold })
}

fn glance(value: &RawValue) -> Glance<'_> {
    // What is no object is no event either; the check itself says so.
    serde_json::from_str(value.get()).unwrap_or_default()
}

/// Returns a log's public key, given as such or as a file.
pub(super) fn log_key(given: &str) -> anyhow::Result<String> {
    // A key has two plus signs, which the path of a key's file hardly has.
    if given.splitn(3, '+').count() == 3 {
        return Ok(given.to_owned());
    }
    let text = fs::read_to_string(given).with_context(|| format!("read the log's public key in {given}"))?;
    Ok(text.trim().to_owned())
}

fn proved(json: &str, key: &str, leniency: Leniency) -> Result<Checked, String> {
    let bundle = ProofBundle::parse(json).map_err(|it| with_causes(&it))?;
    let found = bundle.verify(key, leniency).map_err(|it| with_causes(&it))?;
    let (log, size) = (found.checkpoint.origin, found.checkpoint.size);
    Ok(Checked { proved: Some(Proved { log, seq: found.leaf.at.seq, size }), ..Checked::of(&found.event) })
}

impl Checked {
    fn of(event: &Signed) -> Self {
        Self {
            holds: true,
            id: Some(event.id().to_string()),
            kind: Some(event.kind().0),
            author: Some(event.author().to_string()),
            scheme: Some(event.scheme()),
            ..Self::default()
        }
    }

    fn line(&self) -> String {
        let id = self.id.as_deref().unwrap_or("without an id");
        if let Some(why) = &self.why {
            return format!("event {} ({id}) does not hold: {why}\n", self.number);
        }
        let kind = self.kind.unwrap_or_default();
        let author = self.author.as_deref().unwrap_or_default();
        let proof = self.proved.as_ref().map_or_else(String::new, |it| {
            format!(", number {} of the {} events in the log {}", it.seq, it.size, it.log)
        });
        format!("event {} ({id}) holds: kind {kind}, by {author}{proof}\n", self.number)
    }
}

fn tell(arguments: &Arguments, checked: &[Checked]) -> anyhow::Result<()> {
    if arguments.json {
        return out::print(
            &(serde_json::to_string_pretty(checked).context("write the result as JSON")? + "\n"),
        );
    }
    let wrong = checked.iter().filter(|it| !it.holds).count();
    let mut text = checked.iter().map(Checked::line).collect::<String>();
    if wrong > 0 && checked.len() > 1 {
        let all = out::counted(checked.len() as u64, "event");
        text.extend([wrong.to_string(), " of ".to_owned(), all, " do not hold\n".to_owned()]);
    }
    out::print(&text)
}
