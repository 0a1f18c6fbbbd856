//! Puts files into a repository of the hub, in one commit.
//!
//! - The commit is made on the state of the branch that was looked at: if somebody else was faster, it is refused.
//! - What the hub has already is not sent again, and if it has everything there is no commit.
//! - Large files stream from the disk; the hub compares what came with the digest before it takes the commit.
//!
//! The hub's own library is not used for this: it can send a large file only by Xet, and where a hub has none it reads
//! the whole of it into memory and sends it within the commit.

mod ask;
mod error;
mod large;
mod wire;

use std::{path::PathBuf, sync::Arc};

use base::{Clock, CommitId, Sha256};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, header::CONTENT_TYPE};
use sha1::Digest as _;
use tokio::io::AsyncReadExt as _;
use url::Url;

pub use self::error::UploadError;
use self::{ask::Asker, large::Large, wire::Mode};
use crate::{
    backoff::{Hosts, RealPause},
    client::Web,
    fault::Shown,
    settings::Settings,
};

/// The most that is sent within the commit itself. The hub asks for less; one that asks for more is refused.
const INLINE_BYTES_MAX: u64 = 32 << 20;
/// A card is a text that people read.
const TEXT_BYTES_MAX: u64 = 4 << 20;
/// The beginning of a file, by which the hub tells text from other bytes.
const SAMPLE_BYTES: usize = 512;
/// What stands in one segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Sends files to the hub.
pub struct Uploader {
    web: Web,
    settings: Settings,
}

/// A repository and one of its branches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Such as `org/model`.
    pub repository: String,
    /// Such as `main`.
    pub name: String,
}

/// A file that is to stand in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    /// Its path there.
    pub path: String,
    /// Where its bytes are.
    pub bytes: Bytes,
}

/// The bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// At hand.
    Here(Vec<u8>),
    /// On this machine's disk, measured before.
    File {
        /// Where.
        place: PathBuf,
        /// Their digest.
        digest: Sha256,
        /// How many there are.
        size_bytes: u64,
    },
}

/// What the branch is at afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The commit.
    pub commit: CommitId,
    /// The files that are different in it from the one before; none if nothing had to be done.
    pub changed: Vec<String>,
}

/// A file, and what the hub says about it.
struct Planned<'a> {
    addition: &'a Addition,
    mode: Mode,
    /// Whether the branch has just these bytes there.
    is_there: bool,
}

impl Uploader {
    /// Makes an uploader that lives by real time and real chance.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let hosts = Hosts::new(clock, Arc::new(RealPause), settings.pause_first, settings.pause_max);
        Self { web: Web::new(&settings, hosts), settings }
    }

    /// Returns a text file of a branch, or `None` if it has none such.
    pub async fn text(&self, branch: &Branch, path: &str) -> Result<Option<String>, UploadError> {
        let url =
            self.url(&format!("/{}/resolve/{}/{}", branch.repository, segment(&branch.name), slashed(path)));
        let asker = self.asker();
        let Some(bytes) = asker.read(url.clone(), TEXT_BYTES_MAX).await? else { return Ok(None) };
        let confused = |_| UploadError::Confused { url: Shown::of(&url), what: "it is no text in UTF-8" };
        String::from_utf8(bytes).map(Some).map_err(confused)
    }

    /// Makes one commit in which all these files stand, or none if they stand there already.
    pub async fn commit(
        &self,
        branch: &Branch,
        additions: &[Addition],
        summary: &str,
    ) -> Result<Committed, UploadError> {
        let head = self.head(branch).await?;
        let plan = self.plan(branch, additions).await?;
        let changed = plan.iter().filter(|it| !it.is_there).collect::<Vec<_>>();
        if changed.is_empty() {
            return Ok(Committed { commit: head, changed: Vec::new() });
        }
        let mut large = Vec::new();
        for planned in changed.iter().filter(|it| it.mode == Mode::Lfs) {
            large.push(Large::of(planned.addition));
        }
        let asker = self.asker();
        large::send(&asker, &self.url(&format!("/{}.git/info/lfs/objects/batch", branch.repository)), &large)
            .await?;
        let mut body = wire::line("header", &wire::Header { summary, description: "", parent_commit: head });
        for planned in &changed {
            body.extend(commit_line(planned).await?);
        }
        let names = changed.iter().map(|it| it.addition.path.clone()).collect();
        match self.send_commit(&asker, branch, body).await {
            Ok(commit) => Ok(Committed { commit, changed: names }),
            // An answer that was lost on its way looks like this too: then everything is there by now.
            Err(error @ UploadError::Moved { .. }) => {
                let head = self.head(branch).await?;
                let all_there = self.plan(branch, additions).await?.iter().all(|it| it.is_there);
                if all_there { Ok(Committed { commit: head, changed: names }) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    async fn send_commit(
        &self,
        asker: &Asker<'_>,
        branch: &Branch,
        body: Vec<u8>,
    ) -> Result<CommitId, UploadError> {
        let url = self.url(&format!("/api/models/{}/commit/{}", branch.repository, segment(&branch.name)));
        let answer = asker.post(url, &[(CONTENT_TYPE, "application/x-ndjson")], body.into()).await?;
        Ok(answer.read::<wire::Commit>()?.commit_oid)
    }

    /// Returns the branch's newest commit.
    pub async fn head(&self, branch: &Branch) -> Result<CommitId, UploadError> {
        let url = self.url(&format!("/api/models/{}/revision/{}", branch.repository, segment(&branch.name)));
        let answer = self.asker().send(Method::GET, url, &[], Vec::new().into()).await?;
        Ok(answer.read::<wire::Info>()?.sha)
    }

    /// Asks the hub which files it wants in which way, and which it has.
    async fn plan<'a>(
        &self,
        branch: &Branch,
        additions: &'a [Addition],
    ) -> Result<Vec<Planned<'a>>, UploadError> {
        let url = self.url(&format!("/api/models/{}/preupload/{}", branch.repository, segment(&branch.name)));
        let mut plan = Vec::new();
        // As many at once as the hub's own client asks for.
        for some in additions.chunks(256) {
            let mut files = Vec::new();
            for addition in some {
                let sample = addition.bytes.first(SAMPLE_BYTES).await?;
                files.push(wire::Sample::of(&addition.path, addition.bytes.size_bytes(), &sample));
            }
            let body = wire::json(&wire::Samples { files });
            let json = (CONTENT_TYPE, "application/json");
            let answer = self.asker().post(url.clone(), &[json], body.into()).await?;
            let wanted = answer.read::<wire::Wanted>()?.files;
            for addition in some {
                let of_this = wanted.iter().find(|it| it.path == addition.path);
                let what = "it says nothing about a file that it was asked about";
                let said = of_this.ok_or_else(|| UploadError::Confused { url: Shown::of(&url), what })?;
                if said.should_ignore {
                    return Err(UploadError::Ignored { path: addition.path.clone() });
                }
                // The store behind large files takes none without bytes.
                let mode = if addition.bytes.size_bytes() == 0 { Mode::Regular } else { said.upload_mode };
                let is_there = match &said.oid {
                    Some(oid) => *oid == addition.bytes.name(mode).await?,
                    None => false,
                };
                plan.push(Planned { addition, mode, is_there });
            }
        }
        Ok(plan)
    }

    fn asker(&self) -> Asker<'_> {
        Asker { web: &self.web, idle: self.settings.idle_time_max }
    }

    fn url(&self, path: &str) -> Url {
        self.settings.endpoint.join(path)
    }
}

impl Bytes {
    fn size_bytes(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::File { size_bytes, .. } => *size_bytes,
        }
    }

    /// Reads the beginning.
    async fn first(&self, count: usize) -> Result<Vec<u8>, UploadError> {
        match self {
            Self::Here(bytes) => Ok(bytes[..bytes.len().min(count)].to_vec()),
            Self::File { place, .. } => {
                let failed = |source| UploadError::File { path: place.clone(), source };
                let file = tokio::fs::File::open(place).await.map_err(failed)?;
                let mut bytes = Vec::new();
                file.take(count as u64).read_to_end(&mut bytes).await.map_err(failed)?;
                Ok(bytes)
            }
        }
    }

    /// Reads all of a file that is small enough to travel within a commit.
    async fn whole(&self, path: &str) -> Result<Vec<u8>, UploadError> {
        let size_bytes = self.size_bytes();
        if size_bytes > INLINE_BYTES_MAX {
            return Err(UploadError::TooLarge {
                path: path.to_owned(),
                size_bytes,
                bytes_max: INLINE_BYTES_MAX,
            });
        }
        let bytes = self.first(usize::try_from(size_bytes).unwrap_or(usize::MAX).saturating_add(1)).await?;
        match self {
            Self::File { place, digest, .. } if Sha256::of(&bytes) != *digest => {
                Err(UploadError::Changed { path: place.clone() })
            }
            _ => Ok(bytes),
        }
    }

    /// Returns what the hub calls these bytes: a git blob by its SHA-1, a large file by its SHA-256.
    async fn name(&self, mode: Mode) -> Result<String, UploadError> {
        if mode == Mode::Lfs {
            return Ok(self.digest().to_string());
        }
        let bytes = self.whole("").await?;
        let mut hasher = sha1::Sha1::new();
        hasher.update(format!("blob {}\0", bytes.len()));
        hasher.update(&bytes);
        Ok(CommitId::from_bytes(hasher.finalize().into()).to_string())
    }

    fn digest(&self) -> Sha256 {
        match self {
            Self::Here(bytes) => Sha256::of(bytes),
            Self::File { digest, .. } => *digest,
        }
    }
}

async fn commit_line(planned: &Planned<'_>) -> Result<Vec<u8>, UploadError> {
    let Addition { path, bytes } = planned.addition;
    Ok(match planned.mode {
        Mode::Lfs => wire::line("lfsFile", &wire::LargeFile::of(path, bytes.digest(), bytes.size_bytes())),
        Mode::Regular => wire::line("file", &wire::SmallFile::of(path, &bytes.whole(path).await?)),
    })
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

fn slashed(path: &str) -> String {
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}
