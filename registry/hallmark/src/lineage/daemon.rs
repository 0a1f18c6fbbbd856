//! Questions to the daemon about what models rest on.

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    event::Whom,
    remote::{Remote, parse, refusal},
};

/// The daemon that is asked.
pub(crate) struct Daemon(Remote);

/// What the daemon says to something that cannot be answered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

impl Daemon {
    pub(crate) fn of(whom: &Whom) -> anyhow::Result<Self> {
        whom.remote().map(Self)
    }

    /// Asks for a page that has to be there.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.0.converse(self.0.get(path))
    }

    /// Asks something. What the question itself is to blame for is no trouble of ours.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        question: String,
    ) -> anyhow::Result<Result<T, Refused>> {
        let question = RawValue::from_string(question).context("write the question as JSON")?;
        let (status, said) = self.0.converse(self.0.post(path, &question))?;
        match status {
            200 => parse(&said).map(Ok),
            400 => Ok(Err(Refused(refusal(&said).to_string()))),
            _ => Err(refusal(&said)),
        }
    }
}

/// Writes a part of an address.
pub(crate) fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
