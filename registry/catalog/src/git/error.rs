//! Why a branch gave no index.

use std::{io, path::PathBuf};

use base::CommitId;

/// Why a branch gave no index. The last good one stays in force, and the branch is asked again by itself.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The repository cannot be reached, or the connection broke. It is tried again; if it lasts, look at the network.
    #[error("reach {url}: check the address and the network; a daemon tries again by itself")]
    Unreachable {
        /// The repository.
        url: String,
        /// What git said.
        source: git2::Error,
    },
    /// The server cannot be connected to. As above.
    #[error("connect to {url}: check the address and the network; a daemon tries again by itself")]
    Connect {
        /// The repository.
        url: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server took longer than it may. It is tried again; raise the limit if the repository is large.
    #[error("wait for {url}: {limit}; a daemon tries again by itself")]
    Slow {
        /// The repository.
        url: String,
        /// Which limit was hit.
        limit: String,
    },
    /// The server wants credentials and there are none, or refuses those there are. Correct the file.
    #[error("log in to {url}: {remedy}")]
    Denied {
        /// The repository.
        url: String,
        /// What is wrong and what to do.
        remedy: String,
    },
    /// A file with a credential cannot be read. Correct the setting or the file's mode.
    #[error("read {path}, which holds the credentials for {url}: let this user read it")]
    Secret {
        /// The file.
        path: PathBuf,
        /// The repository.
        url: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server is not proven to be the one that is meant. Find out why before anything else.
    #[error("trust {url}: {remedy}")]
    Untrusted {
        /// The repository.
        url: String,
        /// What was seen and what to do.
        remedy: String,
    },
    /// The branch is gone or never was. Correct the location, or bring the branch back.
    #[error("find branch {branch} in {url}: {remedy}")]
    NoBranch {
        /// The branch.
        branch: String,
        /// The repository.
        url: String,
        /// What there is instead.
        remedy: String,
    },
    /// The newest commit has no such file. Correct the location, or bring the file back.
    #[error(
        "find {path} on branch {branch}: commit {commit} has no such file; bring it back, or correct the path after #"
    )]
    NoFile {
        /// The index's path.
        path: String,
        /// The branch.
        branch: String,
        /// Its newest commit.
        commit: CommitId,
    },
    /// What stands there is a folder, a link or a submodule.
    #[error("read {path} in commit {commit}: it is {kind}, not a file; name the file itself")]
    NotAFile {
        /// The index's path.
        path: String,
        /// The commit.
        commit: CommitId,
        /// What it is.
        kind: &'static str,
    },
    /// The file is longer than any index.
    #[error("read {path} in commit {commit}: it has {size_bytes} bytes and an index may have {bytes_max}")]
    TooLarge {
        /// The index's path.
        path: String,
        /// The commit.
        commit: CommitId,
        /// Its size.
        size_bytes: u64,
        /// The longest that is read.
        bytes_max: u64,
    },
    /// The repository sends more than it may.
    #[error("fetch {url}: it sent more than {bytes_max} bytes; keep the index in a repository of its own")]
    Flood {
        /// The repository.
        url: String,
        /// The limit.
        bytes_max: u64,
    },
    /// The newest commit does not follow from the one in force. Find out who rewrote the branch, then accept it or not.
    #[error(
        "follow branch {branch} of {url}: its history was rewritten, {new} does not descend from {old}; find out why, \
         then set `accept_rewritten_history = true` to take it"
    )]
    Rewritten {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// The commit in force.
        old: CommitId,
        /// The commit that is refused.
        new: CommitId,
    },
    /// The local clone cannot be used, although it was made anew. Look at the disk.
    #[error(
        "use the clone in {folder}: it was made anew and still fails; look at the disk and its free space"
    )]
    Clone {
        /// The clone.
        folder: PathBuf,
        /// What git said.
        source: git2::Error,
    },
    /// The state folder cannot be written. Look at its owner and the free space.
    #[error("write to {folder}: look at its owner and at the free space")]
    State {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon is stopping.
    #[error("fetch {url}: stopped")]
    Stopped {
        /// The repository.
        url: String,
    },
}
