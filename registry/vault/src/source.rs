//! Where bytes may come from.
//!
//! A source is only a place to ask: whatever it answers is checked against the [`Want`](crate::Want).

use std::{fmt, path::PathBuf};

use base::{CommitId, Sha256};
use url::Url;

use crate::fault::Shown;

/// The origin that a configured endpoint stands in for, and whose pages a person visits.
const HUB_ORIGIN: &str = "https://huggingface.co";

/// One place that may have the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Another registry that serves `<url>/sha256/<hex>`.
    Mirror(Url),
    /// A file in a repository of the configured hub, asked for by the hub's resolve protocol.
    Hub(HubFile),
    /// Any other web address.
    Web(Url),
    /// A file on this machine; it is copied, never moved.
    File(PathBuf),
    /// A folder whose files are adopted when their digest is the promised one, whatever their names are.
    Seeds(PathBuf),
}

impl Source {
    /// Returns the address of a mirror's copy of `digest`, or `None` for other sources.
    pub(crate) fn mirror_url(&self, digest: &Sha256) -> Option<Url> {
        let Self::Mirror(base) = self else { return None };
        let mut url = base.clone();
        let path = format!("{}/sha256/{digest}", base.path().trim_end_matches('/'));
        url.set_path(&path);
        Some(url)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mirror(url) => write!(out, "mirror {}", Shown::of(url)),
            Self::Hub(file) => write!(out, "{}", file.url()),
            Self::Web(url) => write!(out, "{}", Shown::of(url)),
            Self::File(path) => write!(out, "file {}", path.display()),
            Self::Seeds(path) => write!(out, "seed folder {}", path.display()),
        }
    }
}

/// A file in a repository of a hub. Its parts are kept as they stand in the URL, percent-encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    endpoint: HubEndpoint,
    repository: String,
    revision: String,
    path: String,
}

impl HubFile {
    /// Returns the address of the file at the revision that was asked for.
    pub fn url(&self) -> Url {
        self.at(&self.revision)
    }

    /// Returns the address of the file at one commit, which cannot move.
    pub fn pinned(&self, commit: CommitId) -> Url {
        self.at(&commit.to_string())
    }

    /// Returns the page where a person asks for access or looks what is there.
    pub fn page(&self) -> String {
        format!("{HUB_ORIGIN}/{}", self.repository)
    }

    /// Returns the hub's address.
    pub fn endpoint(&self) -> &HubEndpoint {
        &self.endpoint
    }

    /// Returns the repository's name, such as `org/model`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the revision that was asked for, percent-encoded.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Returns the file's path in the repository, percent-encoded.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn at(&self, revision: &str) -> Url {
        self.endpoint.join(&format!("/{}/resolve/{revision}/{}", self.repository, self.path))
    }
}

/// The hub that stands in for `https://huggingface.co` in every download URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubEndpoint(Url);

/// Why a text is no hub endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL at all.
    #[error("{text:?} is no URL; a hub endpoint looks like {HUB_ORIGIN}")]
    Url {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// A URL that no hub can stand at.
    #[error("{text:?} is no hub endpoint: it must be http or https, without user, query or fragment")]
    Form {
        /// What was given.
        text: String,
    },
}

impl HubEndpoint {
    /// Reads an http or https URL, with or without a path.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text).map_err(|source| EndpointError::Url { text: text.into(), source })?;
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let bare = url.username().is_empty() && url.password().is_none();
        if web && bare && url.query().is_none() && url.fragment().is_none() {
            Ok(Self(url))
        } else {
            Err(EndpointError::Form { text: text.into() })
        }
    }

    /// Returns the endpoint's URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Says whether `url` is at the endpoint's own origin, the only one that ever sees the token.
    pub fn is_origin_of(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }

    /// Returns the source that a download URL of the catalog means.
    ///
    /// The endpoint stands in for `https://huggingface.co`. `revision` replaces a branch in the URL, so
    /// that what is asked for cannot move.
    pub fn source(&self, download: &Url, revision: Option<CommitId>) -> Source {
        if download.scheme() == "file"
            && let Ok(path) = download.to_file_path()
        {
            return Source::File(path);
        }
        let from_hub =
            download.origin() == self.0.origin() || download.as_str().starts_with("https://huggingface.co/");
        if !from_hub {
            return Source::Web(download.clone());
        }
        match self.hub_file(download, revision) {
            Some(file) => Source::Hub(file),
            None => Source::Web(self.join(download.path())),
        }
    }

    fn hub_file(&self, download: &Url, revision: Option<CommitId>) -> Option<HubFile> {
        let prefix =
            if download.origin() == self.0.origin() { self.0.path().trim_end_matches('/') } else { "" };
        let path = download.path().strip_prefix(prefix).unwrap_or(download.path());
        let (repository, rest) = path.trim_start_matches('/').split_once("/resolve/")?;
        let (branch, path) = rest.split_once('/')?;
        let whole = !repository.is_empty() && !branch.is_empty() && !path.is_empty();
        let revision = revision.map_or_else(|| branch.to_owned(), |it| it.to_string());
        let (endpoint, repository, path) = (self.clone(), repository.to_owned(), path.to_owned());
        whole.then_some(HubFile { endpoint, repository, revision, path })
    }

    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }
}

impl Default for HubEndpoint {
    fn default() -> Self {
        Self(Url::parse(HUB_ORIGIN).expect("a constant URL"))
    }
}

impl fmt::Display for HubEndpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str, download: &str, shown: &str) {
        let endpoint = HubEndpoint::parse(endpoint).unwrap();
        let source = endpoint.source(&Url::parse(download).unwrap(), None);
        assert_eq!(format!("{} {source}", kind(&source)), shown);
    }

    fn kind(source: &Source) -> &'static str {
        match source {
            Source::Mirror(_) => "mirror",
            Source::Hub(_) => "hub",
            Source::Web(_) => "web",
            Source::File(_) => "local",
            Source::Seeds(_) => "seeds",
        }
    }

    #[test]
    fn the_endpoint_stands_in_for_the_hub_and_for_nothing_else() {
        let hub = "https://huggingface.co/org/name/resolve/main/a%20b/model.bin";
        check("https://huggingface.co", hub, &format!("hub {hub}"));
        check("http://127.0.0.1:9", hub, "hub http://127.0.0.1:9/org/name/resolve/main/a%20b/model.bin");
        check("http://h/hf/", hub, "hub http://h/hf/org/name/resolve/main/a%20b/model.bin");
        check("http://h/hf", "http://h/hf/o/n/resolve/v1/f", "hub http://h/hf/o/n/resolve/v1/f");
        check("http://h", "https://huggingface.co/org/name/raw/main/f", "web http://h/org/name/raw/main/f");
        check(
            "http://h",
            "https://huggingface.co.example/o/n/resolve/main/f",
            "web https://huggingface.co.example/o/n/resolve/main/f",
        );
        check(
            "http://h",
            "https://user:secret@example.org/f.bin?signature=1",
            "web https://example.org/f.bin",
        );
        check("http://h", "file:///srv/f.bin", "local file /srv/f.bin");
        check("http://h", "https://huggingface.co/gpt2/resolve/main/f", "hub http://h/gpt2/resolve/main/f");
    }

    #[test]
    fn a_revision_takes_the_place_of_a_branch_and_the_page_is_the_hubs() {
        let commit = CommitId::parse(&"ab".repeat(20)).unwrap();
        let download = Url::parse("https://huggingface.co/org/name/resolve/main/f").unwrap();
        let Source::Hub(file) = HubEndpoint::parse("http://h").unwrap().source(&download, Some(commit))
        else {
            panic!("a hub file");
        };
        assert_eq!(file.url().as_str(), format!("http://h/org/name/resolve/{commit}/f"));
        assert_eq!(file.page(), "https://huggingface.co/org/name");
    }

    #[test]
    fn a_mirror_is_asked_by_digest() {
        let digest = Sha256::of(b"abc");
        let mirror = Source::Mirror(Url::parse("http://peer:8420/base/").unwrap());
        let url = mirror.mirror_url(&digest).unwrap();
        assert_eq!(url.as_str(), format!("http://peer:8420/base/sha256/{digest}"));
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in ["", "huggingface.co", "ftp://h", "https://u:p@h", "https://h?x", "file:///x"] {
            assert!(HubEndpoint::parse(text).is_err(), "{text}");
        }
    }
}
