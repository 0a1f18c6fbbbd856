//! Tells what a log is from how it begins.

use crate::{Format, LogError, tensorboard, wandb};

/// How much of a log is looked at before it is read.
pub const SNIFF_BYTES: u64 = 256 << 10;

pub(crate) fn sniff(start: &[u8]) -> Result<Format, LogError> {
    if start.is_empty() {
        return Err(LogError::Empty);
    }
    if wandb::begins(start) {
        return Ok(Format::WandbLog);
    }
    if tensorboard::begins(start) {
        return Ok(Format::TensorBoard);
    }
    let text = text(start)?;
    let begin = text.trim_start();
    if begin.is_empty() {
        return if (start.len() as u64) < SNIFF_BYTES { Err(LogError::Empty) } else { Ok(Format::Text) };
    }
    if begin.starts_with('{') {
        return Ok(object(begin));
    }
    let line = begin.lines().next().unwrap_or_default();
    if is_header(line) {
        return Ok(Format::Csv);
    }
    // Its first key says so in some versions, and the form of every value in all of them.
    if begin.starts_with("wandb_version:") || begin.starts_with("_wandb:") || begin.contains("\n_wandb:\n") {
        return Ok(Format::WandbConfig);
    }
    Ok(if is_yaml(begin) { Format::Yaml } else { Format::Text })
}

/// Returns the text of the first bytes, the last of which may be part of a character.
fn text(start: &[u8]) -> Result<&str, LogError> {
    match std::str::from_utf8(start) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() && start.len() as u64 == SNIFF_BYTES => {
            Ok(std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(error) => Err(LogError::NotText { offset: error.valid_up_to() as u64 }),
    }
}

fn object(begin: &str) -> Format {
    if begin.starts_with("{'") {
        return Format::TrainerPrint;
    }
    let (line, rest) = begin.split_once('\n').unwrap_or((begin, ""));
    let whole = line.trim_end().ends_with('}');
    if whole && !rest.trim_start().is_empty() { Format::JsonLines } else { Format::Json }
}

/// Says whether a line is the head of a table of steps.
fn is_header(line: &str) -> bool {
    let columns = line.trim_end().split(',').map(|it| it.trim().trim_matches('"')).collect::<Vec<_>>();
    let named = |it: &&str| !it.is_empty() && it.parse::<f64>().is_err() && !it.contains([':', '=', '{']);
    columns.len() >= 2
        && columns.iter().all(named)
        && columns.iter().any(|it| matches!(*it, "step" | "epoch" | "iteration" | "global_step" | "Step"))
}

/// Says whether the first lines that say something are all `key:` or `key: value`, without a number before them.
fn is_yaml(begin: &str) -> bool {
    let lines = begin.lines().filter(|it| !it.trim().is_empty() && !it.trim_start().starts_with('#'));
    let key = |line: &str| {
        let line = line.trim_start().trim_start_matches("- ");
        let word = |it: &str| {
            !it.is_empty()
                && it.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.' | b'/'))
        };
        line == "---"
            || line
                .split_once(':')
                .is_some_and(|(key, rest)| word(key) && (rest.is_empty() || rest.starts_with(' ')))
    };
    // What repeats a key is a log of lines, not a map.
    let mut seen = std::collections::BTreeSet::new();
    let top = begin.lines().filter(|it| it.starts_with(|it: char| it.is_ascii_alphanumeric()));
    let unique = top.take(200).all(|it| seen.insert(it.split(':').next().unwrap_or_default()));
    unique && lines.take(200).all(key)
}
