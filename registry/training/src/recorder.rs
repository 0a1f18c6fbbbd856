//! Takes what a log says, value by value, and keeps the last of each.

use std::collections::BTreeMap;

use base::UnixSeconds;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Format, LogError, Run,
    names::{Meaning, meaning},
    run::LeftOut,
};

/// More metrics than any run has.
const METRICS_MAX: usize = 1_000;
/// Longer names are none.
const NAME_BYTES_MAX: usize = 200;
/// Longer facts are none that an entry could say.
const FACT_BYTES_MAX: usize = 4 << 10;
/// Times before 2001 and after 2286 are no times of a run but other numbers.
const TIMES: std::ops::Range<f64> = 1.0e9..1.0e10;

/// A value of a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found<'t> {
    Number(f64),
    Text(&'t str),
}

pub(crate) struct Recorder {
    run: Run,
    left_out: BTreeMap<String, &'static str>,
    too_many: u64,
    /// What names mean that came before: the same few come in every line.
    known: BTreeMap<String, Meaning>,
    /// Whether a name has to look like a metric's: in a text, any number has some name.
    pub(crate) picky: bool,
}

impl Recorder {
    pub(crate) fn new(format: Format) -> Self {
        let run = Run {
            format,
            metrics: BTreeMap::new(),
            left_out: Vec::new(),
            run_id: None,
            written_at: None,
            duration_seconds: None,
            seed: None,
            command: None,
            environment: None,
            hardware: None,
            repository: None,
            commit: None,
            remarks: Vec::new(),
        };
        let picky = matches!(format, Format::Json | Format::Yaml | Format::Text | Format::WandbConfig);
        Self { run, left_out: BTreeMap::new(), too_many: 0, known: BTreeMap::new(), picky }
    }

    pub(crate) fn format(&self) -> Format {
        self.run.format
    }

    /// Says that the log turned out to be of another format than it looked like.
    pub(crate) fn is_rather(&mut self, format: Format) {
        self.run.format = format;
    }

    pub(crate) fn run(&mut self) -> &mut Run {
        &mut self.run
    }

    /// Takes a value under its name.
    pub(crate) fn take(&mut self, name: &str, found: Found<'_>) {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return;
        }
        match (self.meaning(name), found) {
            (Meaning::Metric, Found::Number(value)) => self.metric(name, value),
            (Meaning::Unclear, Found::Number(value)) if !self.picky => self.metric(name, value),
            (Meaning::Metric, Found::Text(text)) => {
                // Python writes numbers as texts here and there, and what is no number mostly so.
                if let Some(value) = number(text) {
                    self.metric(name, value);
                }
            }
            (Meaning::Unclear, Found::Text(text)) if !self.picky => {
                if let Some(value) = number(text) {
                    self.metric(name, value);
                }
            }
            (Meaning::Time, Found::Number(value)) => self.time(value),
            (Meaning::Time, Found::Text(text)) => self.date(text),
            (Meaning::Duration, Found::Number(value)) => self.duration(value),
            (Meaning::Duration, Found::Text(text)) => {
                if let Some(value) = number(text) {
                    self.duration(value);
                }
            }
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, checked here")]
            (Meaning::Seed, Found::Number(value)) if value.fract() == 0.0 && value.abs() <= 9.0e15 => {
                self.run.seed = Some(value as i64);
            }
            (Meaning::RunId, Found::Text(text)) => self.run.run_id = fact(text),
            (Meaning::RunId, Found::Number(value)) if value.fract() == 0.0 => {
                self.run.run_id = Some(value.to_string());
            }
            _ => {}
        }
    }

    fn meaning(&mut self, name: &str) -> Meaning {
        if let Some(meaning) = self.known.get(name) {
            return *meaning;
        }
        let meaning = meaning(name);
        if self.known.len() < METRICS_MAX {
            self.known.insert(name.to_owned(), meaning);
        }
        meaning
    }

    /// Takes a metric, whatever its name sounds like.
    fn metric(&mut self, name: &str, value: f64) {
        let known = self.run.metrics.contains_key(name) || self.left_out.contains_key(name);
        if !known && self.run.metrics.len() + self.left_out.len() >= METRICS_MAX {
            self.too_many += 1;
            return;
        }
        // The last value counts, so one that is no number takes the place of one that was.
        if value.is_finite() {
            self.left_out.remove(name);
            self.run.metrics.insert(name.to_owned(), value);
        } else {
            self.run.metrics.remove(name);
            let shown = if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            self.left_out.insert(name.to_owned(), shown);
        }
    }

    /// Takes a moment, in seconds since 1970; of several the last one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range of times")]
    pub(crate) fn time(&mut self, seconds: f64) {
        if TIMES.contains(&seconds) {
            let at = UnixSeconds(seconds as u64);
            self.run.written_at = self.run.written_at.max(Some(at));
        }
    }

    /// Takes a moment that is written with its offset; without one, nobody knows which moment it is.
    pub(crate) fn date(&mut self, text: &str) {
        if let Ok(date) = OffsetDateTime::parse(text, &Rfc3339)
            && let Ok(seconds) = u64::try_from(date.unix_timestamp())
        {
            self.run.written_at = self.run.written_at.max(Some(UnixSeconds(seconds)));
        }
    }

    pub(crate) fn duration(&mut self, seconds: f64) {
        if seconds.is_finite() && seconds >= 0.0 {
            self.run.duration_seconds = Some(seconds);
        }
    }

    pub(crate) fn remark(&mut self, remark: impl Into<String>) {
        self.run.remarks.push(remark.into());
    }

    /// Says that a log of records ends within one.
    pub(crate) fn cut(&mut self, records: u64) -> Result<(), LogError> {
        if records == 0 {
            return Err(LogError::Cut { format: self.format() });
        }
        self.remark(format!("it ends in the middle of a record: what the {records} before it say was taken"));
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Run, LogError> {
        if self.too_many > 0 {
            let more = self.too_many;
            self.remark(format!(
                "it has more than {METRICS_MAX} metrics: {more} values of others were not taken"
            ));
        }
        self.run.left_out = self.left_out.into_iter().map(|(name, value)| LeftOut { name, value }).collect();
        let Run { metrics, left_out, run_id, written_at, duration_seconds, seed, command, commit, .. } =
            &self.run;
        let says = !metrics.is_empty() || !left_out.is_empty();
        let facts = run_id.is_some() || seed.is_some() || command.is_some() || commit.is_some();
        if says
            || facts
            || duration_seconds.is_some()
            || (written_at.is_some() && self.run.format != Format::Text)
        {
            return Ok(self.run);
        }
        Err(LogError::Nothing { format: self.run.format })
    }
}

/// Reads a number as Python and JSON write it, a percentage too.
pub(crate) fn number(text: &str) -> Option<f64> {
    let (digits, scale) = text.strip_suffix('%').map_or((text, 1.0), |it| (it, 100.0));
    let plain = |it: u8| it.is_ascii_digit() || matches!(it, b'.' | b'-' | b'+' | b'e' | b'E');
    let word = matches!(
        digits.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str(),
        "nan" | "inf" | "infinity"
    );
    if !(word || (digits.bytes().all(plain) && digits.bytes().any(|it| it.is_ascii_digit()))) {
        return None;
    }
    digits.parse::<f64>().ok().map(|it| it / scale)
}

/// Takes a text as a fact: in one line, and not too long.
pub(crate) fn fact(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= FACT_BYTES_MAX && !text.contains(char::is_control))
        .then(|| text.to_owned())
}
