//! Why files do not stand in the repository.

use std::{io, path::PathBuf};

use reqwest::StatusCode;
use url::Url;

use crate::fault::{Fault, Shown, SourceError};

/// Why there is no commit. What was sent of large files stays with the hub, and is not sent again.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The hub cannot be reached, or has a bad day. Try again later.
    #[error("speak with the hub; try again later, what it has is not sent again")]
    Hub(#[source] Box<SourceError>),
    /// There is no such repository, or the token may not see it. Make it on the hub, or correct its name.
    #[error(
        "{url}: the hub knows no such repository or branch{said}; make it on the hub, or correct its name"
    )]
    Missing {
        /// What was asked for.
        url: Shown,
        /// What the hub said.
        said: Said,
    },
    /// The hub does not know the token, or there is none. Set one that may write.
    #[error("{url}: the hub wants a token that may write{said}; set [hub] token_file")]
    Denied {
        /// What was asked for.
        url: Shown,
        /// What the hub said.
        said: Said,
    },
    /// The token may read and not write. Use another.
    #[error("{url}: the token's owner may not write there{said}; use a token with write access")]
    Forbidden {
        /// What was asked for.
        url: Shown,
        /// What the hub said.
        said: Said,
    },
    /// Somebody else committed meanwhile. Try again on the new state.
    #[error("{url}: the branch moved while this was at work{said}; try again")]
    Moved {
        /// What was asked for.
        url: Shown,
        /// What the hub said.
        said: Said,
    },
    /// The hub said no for another reason. Look at what it says.
    #[error("{url} answered {status}{said}")]
    Refused {
        /// What was asked for.
        url: Shown,
        /// The status.
        status: StatusCode,
        /// What the hub said.
        said: Said,
    },
    /// The hub does not take one of the large files. Look at what it says.
    #[error("the hub does not take {path}{said}")]
    Object {
        /// Which one.
        path: String,
        /// What the hub said.
        said: Said,
    },
    /// The answer makes no sense. Look whether the endpoint is a hub.
    #[error("{url} answers wrongly: {what}")]
    Confused {
        /// What was asked for.
        url: Shown,
        /// What is wrong about it.
        what: &'static str,
    },
    /// The repository's `.gitignore` leaves the file out. Correct one of the two.
    #[error("the repository's .gitignore leaves out {path}: correct it, or name the file otherwise")]
    Ignored {
        /// Which one.
        path: String,
    },
    /// The hub wants a large file within the commit. Let it keep such files as large ones (`.gitattributes`).
    #[error(
        "the hub wants {path} within the commit, but it has {size_bytes} bytes, more than {bytes_max}: name it in the \
         repository's .gitattributes as a large file"
    )]
    TooLarge {
        /// Which one.
        path: String,
        /// Its size.
        size_bytes: u64,
        /// The most that is sent so.
        bytes_max: u64,
    },
    /// The file is not the one that was measured. Wait until nobody writes to it.
    #[error("{path} changed since it was hashed: wait until whatever writes it is done, then try again")]
    Changed {
        /// Which one.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("read {path}")]
    File {
        /// Which one.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// What the hub said, in its own words, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said(Option<String>);

/// A sentence is read, not a page.
const SAID_CHARACTERS_MAX: usize = 300;

impl Said {
    /// Takes a sentence; a page is none.
    pub(super) fn of(text: &str) -> Self {
        let text = text.trim();
        let page = text.is_empty() || text.starts_with('<');
        let plain = text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(SAID_CHARACTERS_MAX);
        Self((!page).then(|| plain.collect()))
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|it| write!(out, ", saying {it:?}"))
    }
}

impl UploadError {
    /// Says why the hub could not be asked.
    pub(super) fn of(fault: Fault, url: &Url) -> Self {
        Self::Hub(Box::new(match fault {
            Fault::Again { error, .. } | Fault::Final(error) => error,
            // Only downloads meet these.
            Fault::Changed { .. } | Fault::Disk => SourceError::Unsteady { url: Shown::of(url) },
        }))
    }
}
