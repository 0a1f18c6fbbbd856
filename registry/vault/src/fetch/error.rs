//! Why a fetch did not bring the file.

use std::{fmt, io, ops::Range, path::PathBuf, time::Duration};

use base::Sha256;

use crate::fault::SourceError;

/// Why a fetch did not bring the file. What came so far stays, and the next fetch goes on there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No source gave it. [`is_final`](FetchError::is_final) says whether trying again can help.
    #[error("no source gave {name} (sha256 {digest}){}", Listed(failures))]
    AllFailed {
        /// The want's name.
        name: String,
        /// The promised digest.
        digest: Sha256,
        /// What each source said, in the order they were asked.
        failures: Vec<SourceFailure>,
    },
    /// The disk is full. Make room and fetch again.
    #[error(
        "no room for {name}: {folder} needs {needed_bytes} bytes and has {free_bytes}; what came so far is kept, \
         make room and it goes on"
    )]
    NoRoom {
        /// The want's name.
        name: String,
        /// Where the room is missing.
        folder: PathBuf,
        /// How much is needed.
        needed_bytes: u64,
        /// How much there is.
        free_bytes: u64,
    },
    /// Another process writes the same file and takes too long. Try again later.
    #[error("{name} is being fetched by {}", process.map_or_else(|| "another process".into(), |it| format!("process {it}")))]
    Busy {
        /// The want's name.
        name: String,
        /// Which process, if it said so.
        process: Option<u32>,
    },
    /// Another process wrote the same file while we waited. Look on the shelf before fetching again.
    #[error("another process fetched {name} meanwhile")]
    TakenOver {
        /// The want's name.
        name: String,
    },
    /// The disk cannot be written or read.
    #[error("write {path}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It took longer than one file may. Fetch again; it goes on there.
    #[error("{name} took longer than {} s", limit.as_secs())]
    Late {
        /// The want's name.
        name: String,
        /// How long it may take.
        limit: Duration,
    },
    /// The span is empty, outside the file, or longer than a chunk. A mistake of the caller.
    #[error("bytes {}..{} of {name}, which has {size_bytes}, cannot be asked for", span.start, span.end)]
    BadSpan {
        /// The want's name.
        name: String,
        /// What was asked for.
        span: Range<u64>,
        /// How long the file is.
        size_bytes: u64,
    },
    /// The downloader is going away.
    #[error("the downloader was closed")]
    Closed,
}

/// What one source said.
#[derive(Debug)]
pub struct SourceFailure {
    /// Which source.
    pub source: String,
    /// What it said.
    pub error: SourceError,
}

impl FetchError {
    /// Says whether nothing changes until the entry, a source or the token does.
    pub fn is_final(&self) -> bool {
        match self {
            Self::AllFailed { failures, .. } => failures.iter().all(|it| it.error.is_final()),
            Self::BadSpan { .. } => true,
            Self::NoRoom { .. }
            | Self::Busy { .. }
            | Self::TakenOver { .. }
            | Self::Disk { .. }
            | Self::Late { .. }
            | Self::Closed => false,
        }
    }
}

/// The failures, one a line, each with its causes: there is no single `source` that could hold them.
struct Listed<'a>(&'a [SourceFailure]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str(": it has no source");
        }
        for failure in self.0 {
            let said = failure.error.to_string();
            // Most errors name the address themselves, and once is enough.
            if said.contains(&failure.source) {
                write!(out, "\n  {said}")?;
            } else {
                write!(out, "\n  {}: {said}", failure.source)?;
            }
            let mut cause = std::error::Error::source(&failure.error);
            while let Some(error) = cause {
                write!(out, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}
