//! Logs that are made of lines.
//!
//! A line may be a JSON object, may hold a dict as Python prints it, or pairs of keys and values; lines of all kinds may
//! stand in one log, with anything else between them.

mod dict;
mod lines;
mod pairs;

use std::{borrow::Cow, io::Read};

use serde_json::Value;

use self::lines::{Line, Lines};
use crate::{
    Format, LogError, json,
    recorder::{Found, Recorder},
};

pub(crate) use self::lines::LINE_BYTES_MAX;

/// Reads lines until there are no more.
pub(crate) fn read(log: impl Read, recorder: &mut Recorder) -> Result<(), LogError> {
    let mut lines = Lines::new(log);
    let (mut too_long, mut objects, mut dicts, mut others) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut cut = false;
    while let Some(line) = lines.next()? {
        let text = match line {
            Line::Whole(text) => text,
            Line::TooLong => {
                too_long += 1;
                continue;
            }
        };
        let text = without_colour(text);
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        if text.starts_with('{') && object(text, recorder) {
            objects += 1;
        } else if dict::read(text, recorder) {
            dicts += 1;
        } else {
            recorder.picky = true;
            pairs::read(text, recorder);
            others += 1;
            cut = text.starts_with('{');
        }
    }
    recorder.is_rather(match (objects, dicts) {
        (0, 0) => Format::Text,
        (_, 0) if others <= objects => Format::JsonLines,
        (0, _) => Format::TrainerPrint,
        _ => Format::Text,
    });
    if too_long > 0 {
        let most = LINE_BYTES_MAX;
        recorder
            .remark(format!("{too_long} of its lines are longer than {most} bytes, and were passed over"));
    }
    if cut && objects > 0 {
        recorder.remark("its last line ends in the middle");
    }
    Ok(())
}

/// Takes a line that is a JSON object. Says whether it was one.
fn object(text: &str, recorder: &mut Recorder) -> bool {
    let Some(Value::Object(object)) = json::lenient(text) else { return false };
    recorder.picky = false;
    for (name, value) in &object {
        match value {
            Value::Number(number) => {
                recorder.take(name, Found::Number(number.as_f64().unwrap_or(f64::NAN)));
            }
            Value::String(text) => recorder.take(name, Found::Text(text)),
            Value::Object(inner) => {
                for (below, value) in inner {
                    if let Some(number) = value.as_f64() {
                        recorder.take(&format!("{name}.{below}"), Found::Number(number));
                    }
                }
            }
            _ => {}
        }
    }
    true
}

/// Leaves out what colours a text on a terminal.
fn without_colour(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return text.into();
    }
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    let plain = |part: &str| {
        part.trim_start_matches(|it: char| it.is_ascii_digit() || it == ';')
            .chars()
            .skip(1)
            .collect::<String>()
    };
    parts.fold(first, |text, part| text + &plain(part)).into()
}
