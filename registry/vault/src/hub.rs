//! What only the hub's own client library can do: list repositories, and files that are served by Xet only.
//!
//! Its `download_file` is not used: it checks neither the status of an answer nor the digest of the bytes.

use base::{CommitId, Sha256};
use futures_util::StreamExt as _;
use hf_hub::{HFClient, HFError, repository::RepoTreeEntry};
use percent_encoding::percent_decode_str;

use crate::{
    fault::{Fault, Shown, SourceError},
    limit::Limit,
    scribe::Scribe,
    settings::Settings,
    source::{HubEndpoint, HubFile},
    token::{TokenError, TokenFile},
};

/// A tree longer than this is none that a catalog entry means.
const TREE_ENTRIES_MAX: usize = 100_000;
/// The library takes a missing token from the environment. One that cannot be put into a header keeps it from that.
const NO_TOKEN: &str = "\n";

/// Asks the hub about repositories.
pub struct Hub {
    endpoint: HubEndpoint,
    token: Option<TokenFile>,
}

/// A file in a repository, as the hub lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubEntry {
    /// Its path in the repository.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its digest, if the hub keeps it as a large file.
    pub digest: Option<Sha256>,
}

/// Why the hub did not tell.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// There is no token to send. Mend the token file.
    #[error("no hub token")]
    Token(#[from] TokenError),
    /// The hub refused or could not be reached.
    #[error("list {repository} at {endpoint}")]
    Hub {
        /// Which repository.
        repository: String,
        /// Which hub.
        endpoint: String,
        /// The cause.
        source: Box<HFError>,
    },
    /// The repository has more files than any entry means.
    #[error("{repository} has more than {TREE_ENTRIES_MAX} files")]
    TooLong {
        /// Which repository.
        repository: String,
    },
}

impl Hub {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { endpoint: settings.endpoint.clone(), token: settings.token.clone() }
    }

    /// Lists all files of a model repository such as `org/name` at a revision.
    pub async fn tree(&self, repository: &str, revision: &str) -> Result<Vec<HubEntry>, HubError> {
        let refused = |source| HubError::Hub {
            repository: repository.to_owned(),
            endpoint: self.endpoint.to_string(),
            source: Box::new(source),
        };
        let (owner, name) = hf_hub::split_id(repository);
        let model = self.client().await?.map_err(refused)?.model(owner, name);
        let listing = model.list_tree().revision(revision).recursive(true).send().map_err(refused)?;
        let mut listing = std::pin::pin!(listing);
        let mut entries = Vec::new();
        while let Some(entry) = listing.next().await {
            if entries.len() >= TREE_ENTRIES_MAX {
                return Err(HubError::TooLong { repository: repository.to_owned() });
            }
            if let RepoTreeEntry::File { path, size, lfs, .. } = entry.map_err(refused)? {
                let digest = lfs.and_then(|it| it.sha256).and_then(|it| Sha256::parse(&it).ok());
                entries.push(HubEntry { path, size_bytes: size, digest });
            }
        }
        Ok(entries)
    }

    /// Moves a file that the hub serves only by Xet to the scribe.
    pub(crate) async fn pour(
        &self,
        file: &HubFile,
        commit: Option<CommitId>,
        scribe: &Scribe,
        limit: &Limit,
    ) -> Result<(), Fault> {
        let url = || Shown::of(&file.url());
        let xet = |source| Fault::again(SourceError::Xet { url: url(), source: Box::new(source) });
        let client = self.client().await.map_err(|it| Fault::Final(it.into()))?.map_err(xet)?;
        let (owner, name) = hf_hub::split_id(file.repository());
        let (model, path) = (client.model(owner, name), plain(file.path()));
        let revision = commit.map_or_else(|| plain(file.revision()), |it| it.to_string());
        let mut next = 0;
        while let Some(gap) = scribe.gap(next, u64::MAX) {
            let asked =
                model.download_file_stream().filename(&path).revision(&revision).range(gap.clone()).send();
            let (_, mut stream) = asked.await.map_err(xet)?;
            let mut at = gap.start;
            while let Some(bytes) = stream.next().await {
                let bytes = bytes.map_err(xet)?;
                let length = bytes.len() as u64;
                if at + length > gap.end {
                    return Err(Fault::Final(SourceError::Long { url: url(), offset: gap.end }));
                }
                limit.pass(length).await;
                scribe.put(at, bytes).await?;
                at += length;
            }
            if at < gap.end {
                return Err(Fault::again(SourceError::Short { url: url(), offset: at }));
            }
            next = gap.end;
        }
        Ok(())
    }

    async fn client(&self) -> Result<Result<HFClient, HFError>, TokenError> {
        let token = match &self.token {
            Some(file) => file.read().await?.secret().to_owned(),
            None => NO_TOKEN.to_owned(),
        };
        Ok(HFClient::builder().endpoint(self.endpoint.to_string()).token(token).cache_enabled(false).build())
    }
}

fn plain(encoded: &str) -> String {
    percent_decode_str(encoded).decode_utf8_lossy().into_owned()
}
