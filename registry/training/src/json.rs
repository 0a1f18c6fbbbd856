//! One JSON document: `trainer_state.json`, a W&B summary or metadata, or results of any tool.
//!
//! The document streams by. Python writes NaN and Infinity into its JSON; a filter turns them into texts on the way,
//! and stops at a text that is longer than any that means something.

mod filter;
mod walk;

use std::io::Read;

use serde::de::DeserializeSeed as _;
use serde_json::Value;

use self::{filter::Filter, walk::Walk};
use crate::{
    Format, LogError,
    recorder::{Found, Recorder},
    wandb,
};

/// What stands outside of the Trainer's list of logs, by its path.
pub(crate) type Scalars = Vec<(String, Scalar)>;

/// A value that has no parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Number(f64),
    Text(String),
}

pub(crate) fn read(log: impl Read, recorder: &mut Recorder) -> Result<(), LogError> {
    let mut reader = std::io::BufReader::with_capacity(64 << 10, Filter::new(log));
    let mut json = serde_json::Deserializer::from_reader(&mut reader);
    let mut scalars = Vec::new();
    let mut has_history = false;
    let walk = Walk::root(recorder, &mut scalars, &mut has_history);
    let read = walk.deserialize(&mut json).and_then(|()| json.end());
    if let Err(error) = read {
        let format = if has_history { Format::TrainerState } else { Format::Json };
        return Err(match error.classify() {
            serde_json::error::Category::Eof => LogError::Cut { format },
            serde_json::error::Category::Io => LogError::Io(error.into()),
            _ => LogError::Broken { format, detail: error.to_string() },
        });
    }
    if has_history {
        recorder.is_rather(Format::TrainerState);
        return Ok(());
    }
    settle(&scalars, recorder);
    Ok(())
}

/// Takes what stood outside of a list of logs, once it is known what the document is.
fn settle(scalars: &Scalars, recorder: &mut Recorder) {
    let has = |name: &str| scalars.iter().any(|it| it.0 == name);
    if has("startedAt") && (has("python") || has("program") || has("executable")) {
        recorder.is_rather(Format::WandbMetadata);
        wandb::metadata(scalars, recorder);
        return;
    }
    if has("_wandb.runtime") || has("_step") || (has("_timestamp") && has("_runtime")) {
        recorder.is_rather(Format::WandbSummary);
        recorder.picky = false;
    }
    for (name, value) in scalars {
        // Pictures, tables and histograms are objects that say what they are.
        let prefix = name.rsplit_once('.').map_or("", |it| it.0);
        if !prefix.is_empty() && has(&format!("{prefix}._type")) {
            continue;
        }
        match value {
            Scalar::Number(number) => recorder.take(name, Found::Number(*number)),
            Scalar::Text(text) => recorder.take(name, Found::Text(text)),
        }
    }
}

/// Reads a short JSON text that may hold NaN and Infinity, which come out as texts.
pub(crate) fn lenient(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    serde_json::from_reader(Filter::new(text.as_bytes())).ok()
}
