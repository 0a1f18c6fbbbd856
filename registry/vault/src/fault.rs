//! What can go wrong with one source, and whether it helps to try again.
//!
//! Addresses in messages are shown without their query and user: a signed address is a secret for its hour.

use std::{fmt, io, path::PathBuf, time::Duration};

use base::Sha256;
use reqwest::StatusCode;
use url::Url;

use crate::token::TokenError;

/// An address as a person may see it: without user, password, query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    pub(crate) fn of(url: &Url) -> Self {
        Self(format!("{}://{}{}", url.scheme(), authority(url), url.path()))
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Why one source did not give the file.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file, its revision or its repository does not exist. Mend the entry.
    #[error("{url} does not exist{}{}", said(code.as_ref()), visit(page.as_ref()))]
    Missing {
        /// What was asked for.
        url: Shown,
        /// What the hub calls it, such as `EntryNotFound`.
        code: Option<String>,
        /// The page that shows what there is.
        page: Option<String>,
    },
    /// The server wants to know who asks. Set or renew the token.
    #[error("{url} asks for a token, or does not know the one it got{}; set tokenFile{}", said(code.as_ref()), visit(page.as_ref()))]
    Denied {
        /// What was asked for.
        url: Shown,
        /// What the hub calls it, such as `GatedRepo`.
        code: Option<String>,
        /// The page that tells more.
        page: Option<String>,
    },
    /// The token's owner has no access. Somebody has to ask for it on the page.
    #[error("{url} is gated, or closed to this token{}{}", said(code.as_ref()), visit(page.as_ref()))]
    Gated {
        /// What was asked for.
        url: Shown,
        /// What the hub calls it, such as `GatedRepo`.
        code: Option<String>,
        /// The page where access is asked for.
        page: Option<String>,
    },
    /// The source says, before the first byte, that it has another file. The entry or the source is wrong.
    #[error("{url} is another file than the entry promises: {}", other(*size_bytes, digest.as_ref()))]
    Announced {
        /// What was asked for.
        url: Shown,
        /// The other size, if it is that.
        size_bytes: Option<u64>,
        /// The other digest, if it is that.
        digest: Option<Sha256>,
    },
    /// A status that no retry changes.
    #[error("{url} answered {status}")]
    Answer {
        /// What was asked for.
        url: Shown,
        /// The status.
        status: StatusCode,
    },
    /// The server is overloaded or broken. Try again later.
    #[error("{url} answered {status} time after time{}", asked_text(*asked))]
    Busy {
        /// What was asked for.
        url: Shown,
        /// The last status.
        status: StatusCode,
        /// How long it asked to be left alone.
        asked: Option<Duration>,
    },
    /// This machine cannot speak to servers at all: what it trusts is missing or cannot be read.
    #[error(
        "no secure connection can be made; mend this machine's CA certificates (SSL_CERT_FILE, SSL_CERT_DIR)"
    )]
    Unprepared {
        /// The cause.
        source: reqwest::Error,
    },
    /// No connection, or it broke. What came is kept; try again later.
    #[error("read {url}")]
    Broken {
        /// What was asked for.
        url: Shown,
        /// The cause.
        source: reqwest::Error,
    },
    /// The body ended too soon. What came is kept; try again later.
    #[error("{url} ended at byte {offset}, before the end of what it announced")]
    Short {
        /// What was asked for.
        url: Shown,
        /// Where it ended.
        offset: u64,
    },
    /// The body goes on after its end: another file than promised.
    #[error("{url} goes on after byte {offset}, where the promised file ends")]
    Long {
        /// What was asked for.
        url: Shown,
        /// Where the promised file ends.
        offset: u64,
    },
    /// The server says nothing. Try again later.
    #[error("{url} was silent for {} s", limit.as_secs_f32())]
    Silent {
        /// What was asked for.
        url: Shown,
        /// For how long we listened.
        limit: Duration,
    },
    /// The server trickles. Try again later or elsewhere.
    #[error("{url} sent fewer than {bytes_per_second_min} bytes a second")]
    Slow {
        /// What was asked for.
        url: Shown,
        /// The least that is accepted.
        bytes_per_second_min: u64,
    },
    /// The server compresses although it was asked not to, or answers ranges with nonsense.
    #[error("{url} answers wrongly: {what}")]
    Confused {
        /// What was asked for.
        url: Shown,
        /// What is wrong about it.
        what: &'static str,
    },
    /// The server's file changed, or it ignores ranges, each time anew.
    #[error("{url} never gave one file in one piece: each try had to start over")]
    Unsteady {
        /// What was asked for.
        url: Shown,
    },
    /// The address behind a redirect refused us: its signature is over.
    #[error("{url}, where the hub sent us, answered {status}: its signed address has expired")]
    Expired {
        /// Where we were sent.
        url: Shown,
        /// What it answered.
        status: StatusCode,
    },
    /// There is no token to send. Mend the token file.
    #[error("no hub token")]
    Token(#[from] TokenError),
    /// A file or folder on this machine cannot be read.
    #[error("read {path}")]
    Local {
        /// Which one.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// No file in the seed folder has the promised digest.
    #[error("no file in {folder} has the promised digest; {candidates} had the promised size")]
    NoSeed {
        /// The folder.
        folder: PathBuf,
        /// How many files had the right size.
        candidates: usize,
    },
    /// The hub serves the file only by its chunk protocol, and that failed.
    #[error("{url} is served by Xet only, and that failed")]
    Xet {
        /// What was asked for.
        url: Shown,
        /// The cause.
        source: Box<hf_hub::HFError>,
    },
}

impl SourceError {
    /// Says whether nothing changes until the entry, the source or the token does.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::Denied { .. }
            | Self::Gated { .. }
            | Self::Announced { .. }
            | Self::Answer { .. }
            | Self::Long { .. }
            | Self::Confused { .. }
            | Self::Token(_)
            | Self::Local { .. }
            | Self::NoSeed { .. } => true,
            // It is this machine that has to be mended, and then the next try works.
            Self::Unprepared { .. }
            | Self::Busy { .. }
            | Self::Broken { .. }
            | Self::Short { .. }
            | Self::Silent { .. }
            | Self::Slow { .. }
            | Self::Unsteady { .. }
            | Self::Expired { .. }
            | Self::Xet { .. } => false,
        }
    }
}

fn said(code: Option<&String>) -> String {
    code.map(|it| format!(" ({it})")).unwrap_or_default()
}

fn visit(page: Option<&String>) -> String {
    page.map(|it| format!("; visit {it}")).unwrap_or_default()
}

fn other(size_bytes: Option<u64>, digest: Option<&Sha256>) -> String {
    match (size_bytes, digest) {
        (_, Some(digest)) => format!("it announces sha256 {digest}"),
        (Some(size), None) => format!("it announces {size} bytes"),
        (None, None) => "it is shorter".into(),
    }
}

fn asked_text(asked: Option<Duration>) -> String {
    asked.map(|it| format!(" and asks for a pause of {} s", it.as_secs())).unwrap_or_default()
}

/// What a step of a download runs into, by what happens next.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It may work next time, after the pause that the server asks for.
    Again { error: SourceError, asked: Option<Duration> },
    /// This source will not give the file.
    Final(SourceError),
    /// What is here does not go with what the server has now: start over.
    Changed { unranged: bool, url: Shown },
    /// The disk stopped us; the scribe knows why.
    Disk,
}

impl Fault {
    pub(crate) fn again(error: SourceError) -> Self {
        Self::Again { error, asked: None }
    }
}

impl From<crate::scribe::Stopped> for Fault {
    fn from(_: crate::scribe::Stopped) -> Self {
        Self::Disk
    }
}
