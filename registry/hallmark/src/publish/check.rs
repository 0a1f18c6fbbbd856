//! Fetches what was published and proves it, as any host would.

use std::sync::Arc;

use anyhow::Context as _;
use base::{CommitId, SystemClock};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;
use vault::{DiskRoom, Downloader, Partials, Progress, Settings, Want, upload::Branch};

use super::files::Listed;

/// The hub whose addresses an index holds; a configured endpoint stands in for it.
const HUB: &str = "https://huggingface.co";
/// What stands in one segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Returns where a file of a commit is, as an index says it.
pub(super) fn address(repository: &str, commit: CommitId, path: &str) -> String {
    let path = path.split('/').map(|it| utf8_percent_encode(it, SEGMENT).to_string());
    format!("{HUB}/{repository}/resolve/{commit}/{}", path.collect::<Vec<_>>().join("/"))
}

/// Fetches every file into a folder that goes afterwards. What differs from the entry is an error.
pub(super) async fn fetch_back(
    settings: &Settings,
    branch: &Branch,
    commit: CommitId,
    listed: &[Listed],
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("make a folder to fetch into")?;
    let downloader = Downloader::new(settings.clone(), Arc::new(SystemClock), Arc::new(DiskRoom));
    let partials = Partials::new(folder.path());
    let silent: Arc<dyn Progress> = Arc::new(());
    for file in listed {
        let url =
            Url::parse(&address(&branch.repository, commit, &file.path)).context("name a file's address")?;
        let want = Want {
            digest: file.digest,
            size_bytes: file.size_bytes,
            name: file.path.clone(),
            sources: vec![settings.endpoint.source(&url, Some(commit))],
        };
        let verified = downloader.obtain(&want, &partials, &silent).await.with_context(|| {
            format!(
                "fetch {} back from {} at {commit}, where it was just published",
                file.path, branch.repository
            )
        })?;
        // One file at a time needs room, and no more.
        std::fs::remove_file(verified.path()).context("remove what was fetched back")?;
    }
    Ok(())
}
