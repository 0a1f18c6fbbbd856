//! What a snapshot in the cache consists of, and its names.

use std::{fmt, str::FromStr};

use base::{CommitId, Sha256};
use serde::{Deserialize, Serialize};
use sha1::Digest as _;

use crate::view::{EntryPath, ViewFile};

const REPO_NAME_MAX: usize = 96;

/// A repo on a hub, such as `sentence-transformers/all-MiniLM-L6-v2`. Checked once, in [`RepoName::parse`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoName(Box<str>);

/// Why a text is no repo's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no repo name: one or two parts of letters, digits, '.', '_' and '-', \
     at most {REPO_NAME_MAX} characters, no '--' or '..', no '.' or '-' at an end"
)]
pub struct RepoNameError(String);

/// One revision of a repo, as clients are to see it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which repo.
    pub repo: RepoName,
    /// The commit: the hub's own where it is known, else a [`synthetic_commit`].
    pub commit: CommitId,
    /// The names that lead to this commit, such as `main`.
    pub revisions: Vec<EntryPath>,
    /// The files.
    pub files: Vec<ViewFile>,
    /// Files that clients ask for and that are known not to exist.
    pub absent: Vec<EntryPath>,
}

impl RepoName {
    /// Reads `name` or `org/name`, by the hub's own rules.
    pub fn parse(text: &str) -> Result<Self, RepoNameError> {
        let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
        let good = |part: &str| {
            !part.is_empty()
                && part.chars().all(plain)
                && !part.starts_with(['.', '-'])
                && !part.ends_with(['.', '-'])
        };
        // `--` stands for the slash in the cache's folder names, so it cannot be in a name as well.
        let sound = text.len() <= REPO_NAME_MAX && !text.contains("--") && !text.contains("..");
        if sound && text.split('/').count() <= 2 && text.split('/').all(good) {
            return Ok(Self(text.into()));
        }
        Err(RepoNameError(text.chars().take(2 * REPO_NAME_MAX).collect()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn folder(&self) -> String {
        format!("models--{}", self.0.replace('/', "--"))
    }

    pub(super) fn of_folder(folder: &str) -> Option<Self> {
        Self::parse(&folder.strip_prefix("models--")?.replace("--", "/")).ok()
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for RepoName {
    type Err = RepoNameError;

    fn from_str(text: &str) -> Result<Self, RepoNameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for RepoName {
    type Error = RepoNameError;

    fn try_from(text: String) -> Result<Self, RepoNameError> {
        Self::parse(&text)
    }
}

impl From<RepoName> for String {
    fn from(name: RepoName) -> Self {
        name.0.into()
    }
}

/// Returns a commit for files whose real one nobody recorded.
///
/// Clients hold a commit for immutable and look no further once they have it, so this one changes whenever a
/// path or a digest does, and does not depend on the order of the files.
pub fn synthetic_commit<'a>(files: impl IntoIterator<Item = (&'a EntryPath, &'a Sha256)>) -> CommitId {
    let mut files = files.into_iter().collect::<Vec<_>>();
    files.sort_unstable();
    let mut hasher = sha1::Sha1::new();
    hasher.update(b"hallmark snapshot 1\0");
    for (path, digest) in files {
        hasher.update(path.as_str());
        hasher.update(b"\0");
        hasher.update(digest.as_bytes());
    }
    CommitId::from_bytes(hasher.finalize().into())
}

/// Returns the text that stands in git for a large file: the pointer of Git LFS.
pub fn lfs_pointer(digest: &Sha256, size_bytes: u64) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size_bytes}\n")
}

/// Returns the id that git gives an object of a kind, such as `blob` or `tree`.
pub fn git_id(kind: &str, body: &[u8]) -> CommitId {
    let mut hasher = sha1::Sha1::new();
    hasher.update(format!("{kind} {}\0", body.len()));
    hasher.update(body);
    CommitId::from_bytes(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_a_hub_would_take_is_a_repo_name() {
        for good in ["gpt2", "sentence-transformers/all-MiniLM-L6-v2", "a/b.c_d", "_a/_b"] {
            let name = RepoName::parse(good).unwrap();
            assert_eq!(RepoName::of_folder(&name.folder()), Some(name));
        }
        for bad in ["", "/", "a/", "/a", "a/b/c", "..", "a/..", "a--b/c", "a/.b", "a/b-", "a b", "a/b\n", "ü"]
        {
            assert!(RepoName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(RepoName::parse(&"a".repeat(97)).is_err());
    }

    #[test]
    fn ids_are_those_that_git_gives() {
        assert_eq!(git_id("blob", b"").to_string(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(git_id("tree", b"").to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        assert_eq!(lfs_pointer(&Sha256::of(b""), 90_868_376).len(), 133);
    }

    proptest! {
        #[test]
        fn a_synthetic_commit_forgets_the_order_and_nothing_else(
            files in prop::collection::btree_map("[a-z]{1,3}", any::<[u8; 32]>(), 1..6), at: prop::sample::Index,
        ) {
            let files = files.into_iter().map(|(path, it)| (EntryPath::parse(&path).unwrap(), Sha256::from_bytes(it)));
            let mut files = files.collect::<Vec<_>>();
            let commit = |files: &[(EntryPath, Sha256)]| synthetic_commit(files.iter().map(|it| (&it.0, &it.1)));
            let first = commit(&files);
            files.reverse();
            prop_assert_eq!(commit(&files), first);
            let at = at.index(files.len());
            files[at].1 = Sha256::of(files[at].1.as_bytes());
            prop_assert_ne!(commit(&files), first);
        }
    }
}
