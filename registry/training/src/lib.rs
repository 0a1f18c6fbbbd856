//! Reads what a training run left behind: its metrics, its id, its time.
//!
//! - What a log is shows in its content, not in its name.
//! - A log is read once, as it streams by; memory does not grow with it. Every line, text, record and list of names has
//!   a bound, and one that is hit is reported.
//! - The last value of a metric counts. One that is no number (NaN, Infinity) is kept out, and reported.
//! - Nothing is made up: what a log does not say stays unknown.

mod csv_table;
mod json;
mod names;
mod recorder;
mod run;
mod sniff;
mod tensorboard;
mod text;
mod wandb;
mod yaml;

use std::io::{self, Read};

use self::recorder::Recorder;
pub use self::{
    run::{Format, LeftOut, Run, Usual},
    sniff::SNIFF_BYTES,
};

/// Why a log says nothing.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It has no bytes, or white space only. Name another one, or wait until the run has written to it.
    #[error("it is empty")]
    Empty,
    /// The bytes are neither text nor one of the binary formats. Name another file.
    #[error("it is not UTF-8 at byte {offset}, and none of the binary logs that hallmark reads")]
    NotText {
        /// Where.
        offset: u64,
    },
    /// It ends in the middle, before anything could be taken from it. Fetch it anew.
    #[error("it is {format}, and ends in the middle: it was cut, or is still being written")]
    Cut {
        /// What it is.
        format: Format,
    },
    /// It breaks its format's rules. Fetch it anew.
    #[error("it is {format}, and broken: {detail}")]
    Broken {
        /// What it is.
        format: Format,
        /// What is wrong, and where.
        detail: String,
    },
    /// It can be read, and holds nothing that an entry could say. Name another one.
    #[error("it was read as {format}, and holds no metric, no run id and no other fact about a training run")]
    Nothing {
        /// What it was read as.
        format: Format,
    },
    /// It cannot be read. Look at the disk.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
}

/// Reads a log to its end.
pub fn read(mut log: impl Read) -> Result<Run, LogError> {
    let mut start = Vec::new();
    (&mut log).take(SNIFF_BYTES).read_to_end(&mut start)?;
    let format = sniff::sniff(&start)?;
    let mut recorder = Recorder::new(format);
    let log = io::Cursor::new(start).chain(log);
    match format {
        Format::TensorBoard => tensorboard::read(log, &mut recorder)?,
        Format::WandbLog => wandb::read_log(log, &mut recorder)?,
        Format::Csv => csv_table::read(log, &mut recorder)?,
        Format::Yaml | Format::WandbConfig => yaml::read(log, &mut recorder)?,
        Format::Json | Format::TrainerState | Format::WandbSummary | Format::WandbMetadata => {
            json::read(log, &mut recorder)?;
        }
        Format::JsonLines | Format::TrainerPrint | Format::Text => text::read(log, &mut recorder)?,
    }
    recorder.finish()
}

#[cfg(test)]
mod tests;
