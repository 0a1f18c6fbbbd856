//! Questions to the daemon about what models rest on.

use anyhow::{Context as _, bail};
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;

use crate::event::{Whom, ask::Asker};

/// The daemon that is asked.
pub(crate) struct Daemon(Asker);

/// What the daemon says to something that cannot be answered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

impl Daemon {
    pub(crate) fn of(whom: &Whom) -> anyhow::Result<Self> {
        Asker::new(whom).map(Self)
    }

    /// Asks for a page that has to be there.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        serde_json::from_slice(&self.0.get(path)?).context("read the daemon's answer")
    }

    /// Asks something. What the question itself is to blame for is no trouble of ours.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: String,
    ) -> anyhow::Result<Result<T, Refused>> {
        let answer = self.0.ask(&Method::POST, path, body)?;
        match answer.code {
            StatusCode::OK => {
                Ok(Ok(serde_json::from_slice(&answer.body).context("read the daemon's answer")?))
            }
            StatusCode::BAD_REQUEST => Ok(Err(Refused(answer.problem()))),
            _ => bail!("{}", answer.problem()),
        }
    }
}

/// Writes a part of an address.
pub(crate) fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
