//! What is wrong with a config file, where, and what was probably meant.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a config file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read. Mend the path or its rights.
    #[error("read the config {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is no TOML, or has a key or a type that is unknown here. Mend the place that is named.
    #[error("{path}:{line}:{column}: {message}{hint}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// Where in the line.
        column: usize,
        /// What is wrong.
        message: String,
        /// What was probably meant.
        hint: String,
    },
    /// A value has the right type and makes no sense.
    #[error("{path}: {what}")]
    Value {
        /// The file.
        path: PathBuf,
        /// Which value, and what is wrong with it.
        what: String,
    },
}

impl ConfigError {
    /// Explains what the parser says. The line itself is not repeated: it may hold a secret put there by mistake.
    pub(super) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |it| it.start).min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let message = error.message().to_owned();
        let hint = suggestion(&message).map_or_else(String::new, |it| format!("; did you mean `{it}`?"));
        Self::Toml { path: path.to_owned(), line, column, message, hint }
    }
}

/// Picks the nearest of the names that the parser expected: it lists them between backquotes, the unknown one first.
fn suggestion(message: &str) -> Option<&str> {
    let mut names = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let distances = names.map(|it| (strsim::damerau_levenshtein(it, unknown), it));
    distances.min().filter(|(distance, _)| *distance <= 1 + unknown.len() / 3).map(|it| it.1)
}
