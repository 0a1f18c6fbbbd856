//! Why a forge did not do what it was asked for.

use std::{io, path::PathBuf, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::forge::Unreadable;

/// How much of a forge's own words is repeated.
const SAID_CHARS_MAX: usize = 300;

/// Why a forge did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up on this machine.
    #[error("prepare to speak with the forge")]
    SetUp(#[source] reqwest::Error),
    /// There is no token to show. Correct the file.
    #[error("read the forge's token in {path}: a file with the token alone, which this user can read", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system said; nothing if the file's text is no token.
        source: Option<io::Error>,
    },
    /// The connection was not made, or broke. Try again.
    #[error("ask {forge}: it cannot be reached, or did not answer in time")]
    Broken {
        /// The forge.
        forge: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// The forge does not know the token. Make a new one.
    #[error("ask {forge}: it does not know the token in {path}, or it has expired; put a new one there", path = path.display())]
    Unknown {
        /// The forge.
        forge: String,
        /// The file.
        path: PathBuf,
    },
    /// The token may not do this. Give it the right.
    #[error(
        "ask {forge}: the token may not do that; it needs the right to read and write pull requests{}",
        quoted(said)
    )]
    Forbidden {
        /// The forge.
        forge: String,
        /// What it said.
        said: String,
    },
    /// There is no such repository, or the token may not see it.
    #[error("ask {forge}: there is no such repository, or the token may not see it")]
    Missing {
        /// The forge.
        forge: String,
    },
    /// The forge wants to be left alone for a while.
    #[error("ask {forge}: too many questions were put to it{}; run it again later", waited(*wait))]
    Limited {
        /// The forge.
        forge: String,
        /// For how long, if it says.
        wait: Option<Duration>,
    },
    /// The forge refuses what was asked: it is there already, or does not fit.
    #[error("ask {forge}: it refuses{}", quoted(said))]
    Refused {
        /// The forge.
        forge: String,
        /// What it said.
        said: String,
    },
    /// The repository is somewhere else now. Correct the address.
    #[error("ask {forge}: it has moved to {target}; correct the address")]
    Moved {
        /// The forge.
        forge: String,
        /// Where to.
        target: String,
    },
    /// The forge has a fault of its own. Try again.
    #[error("ask {forge}: it answers with status {code}{}; run it again later", quoted(said))]
    Failed {
        /// The forge.
        forge: String,
        /// The status.
        code: u16,
        /// What it said.
        said: String,
        /// For how long it wants to be left alone, if it says.
        wait: Option<Duration>,
    },
    /// The answer is longer than any answer can be.
    #[error("ask {forge}: it sent more than {bytes_max} bytes; is that the address of its API?")]
    TooLarge {
        /// The forge.
        forge: String,
        /// The bound.
        bytes_max: usize,
    },
    /// The answer is something else. The address may be another forge's.
    #[error("ask {forge}: is it the kind of forge that was said?")]
    Unreadable {
        /// The forge.
        forge: String,
        /// What does not fit.
        source: Unreadable,
    },
}

impl ClientError {
    /// Says whether it may be otherwise in a moment.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Limited { .. } => true,
            Self::Failed { code, .. } => *code >= 500,
            _ => false,
        }
    }

    /// Says whether the forge did not hear the question, so that nothing can have come of it.
    pub(super) fn was_not_heard(&self) -> bool {
        match self {
            Self::Broken { source, .. } => source.is_connect(),
            Self::Limited { .. } => true,
            Self::Failed { code, .. } => *code == 503,
            _ => false,
        }
    }

    /// Returns how long the forge asks to be left alone.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Limited { wait, .. } | Self::Failed { wait, .. } => *wait,
            _ => None,
        }
    }
}

/// Takes the words out of a forge's refusal: all of them have `message`, some a list of `errors` besides.
pub(super) fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        message: Value,
        #[serde(default)]
        error: Value,
        #[serde(default)]
        errors: Value,
    }
    let Ok(said) = serde_json::from_slice::<Said>(body) else { return String::new() };
    let mut words = Vec::new();
    for value in [&said.message, &said.error, &said.errors] {
        collect(value, &mut words);
    }
    let text = words.join("; ");
    text.chars().filter(|it| !it.is_control()).take(SAID_CHARS_MAX).collect()
}

fn collect<'v>(value: &'v Value, words: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => words.push(text),
        Value::Array(values) => values.iter().take(5).for_each(|it| collect(it, words)),
        Value::Object(members) => members.get("message").into_iter().for_each(|it| collect(it, words)),
        _ => {}
    }
}

fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" (\"{said}\")") }
}

fn waited(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |it| format!(", and it wants {} s of rest", it.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_refusal_are_found_in_every_forges_way_to_say_them() {
        let github = br#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for org:b."}],"documentation_url":"https://docs"}"#;
        assert_eq!(said(github), "Validation Failed; A pull request already exists for org:b.");
        assert_eq!(
            said(br#"{"message":["Another open merge request already exists: !1"]}"#),
            "Another open merge request already exists: !1"
        );
        assert_eq!(said(b"<html>"), "");
        assert_eq!(
            said(format!("{{\"message\":\"\\u001b{}\"}}", "x".repeat(999)).as_bytes()).len(),
            SAID_CHARS_MAX
        );
    }
}
