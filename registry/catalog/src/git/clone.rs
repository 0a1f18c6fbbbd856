//! The clone of a followed branch: fetched into, read from, thrown away when it breaks.
//!
//! - It begins shallow, with the newest commit alone, and each later fetch brings what came since: so the way from
//!   the commit in force to a newer one is always whole, and "does it descend" is answered from the clone. (A fetch
//!   of depth 1 each time would cut that way. The local transport knows no depth: there the first fetch is whole.)
//! - A clone made anew while another commit is in force is fetched whole, since only then the answer is known.
//! - Whatever is wrong with it, a clone holds nothing that is not in the repository: it is removed and made again.

use std::{collections::BTreeSet, fs, path::Path};

use base::{CommitId, UnixSeconds};
use git2::{
    AutotagOption, Commit, Direction, ErrorClass, ErrorCode, FetchOptions, ObjectType, Oid, RemoteConnection,
    Repository,
};

use super::{GitError, GitLimits, login::Guard, wire::Wire};
use crate::location::GitLocation;

/// Where the newest commit that was fetched is kept.
const TIP: &str = "refs/hallmark/tip";

/// How many commits are walked to find out whether one descends from another.
const COMMITS_MAX: usize = 1_000_000;

pub(super) struct Clone {
    repository: Repository,
}

/// The newest commit of the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) branch: String,
    pub(super) commit: CommitId,
    pub(super) committed_at: UnixSeconds,
}

/// What a look at a clone came to.
pub(super) enum Fault {
    /// The clone itself is broken: make it anew.
    Clone(git2::Error),
    /// Anything else.
    Other(GitError),
}

impl From<GitError> for Fault {
    fn from(error: GitError) -> Self {
        Self::Other(error)
    }
}

impl From<git2::Error> for Fault {
    fn from(error: git2::Error) -> Self {
        Self::Clone(error)
    }
}

impl Clone {
    /// Opens the clone, or makes an empty one.
    pub(super) fn open(folder: &Path) -> Result<Self, git2::Error> {
        let repository =
            if folder.exists() { Repository::open_bare(folder)? } else { Repository::init_bare(folder)? };
        Ok(Self { repository })
    }

    /// Removes a clone that is broken.
    pub(super) fn remove(folder: &Path) -> std::io::Result<()> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Asks the repository for the newest commit of the branch, and brings it here if it is not.
    pub(super) fn fetch(
        &self,
        place: &GitLocation,
        guard: &Guard,
        wire: Option<&Wire>,
        limits: &GitLimits,
        in_force: Option<CommitId>,
    ) -> Result<Tip, Fault> {
        let url = wire.map_or_else(|| place.url().to_string(), Wire::url);
        let mut remote = self.repository.remote_anonymous(&url)?;
        let explain = |error| explain(place, guard, wire, error);
        let connected = remote.connect_auth(Direction::Fetch, Some(guard.callbacks()), None);
        let mut connection = connected.map_err(explain)?;
        let branch = choose_branch(place, &connection)?;
        let newest = find_branch(place, &branch, &connection)?;
        if self.repository.find_commit(newest).is_err() {
            let fresh = self.repository.refname_to_id(TIP).is_err();
            let alone = fresh && in_force.is_none_or(|it| oid(it) == newest) && wire.is_some();
            let refspec = format!("+refs/heads/{branch}:{TIP}");
            let brought = bring(&mut connection, &[refspec], alone, guard, limits);
            brought.map_err(|error| error.map_or_else(|| flood(place, limits), explain))?;
            drop(connection);
            return self.tip(branch, self.repository.refname_to_id(TIP)?);
        }
        drop(connection);
        self.tip(branch, newest)
    }

    fn tip(&self, branch: String, newest: Oid) -> Result<Tip, Fault> {
        let commit = self.repository.find_commit(newest)?;
        // Keeps the ref in step, so that the next fetch tells the server what is here.
        self.repository.reference(TIP, newest, true, "newest commit")?;
        let seconds = u64::try_from(commit.time().seconds()).unwrap_or(0);
        Ok(Tip { branch, commit: commit_id(newest)?, committed_at: UnixSeconds(seconds) })
    }

    /// Says whether a commit is another or comes after it.
    pub(super) fn descends(&self, new: CommitId, old: CommitId) -> bool {
        let (old, mut ahead) = (oid(old), vec![oid(new)]);
        let mut seen = BTreeSet::new();
        while let Some(id) = ahead.pop() {
            if id == old {
                return true;
            }
            if seen.len() >= COMMITS_MAX || !seen.insert(id) {
                continue;
            }
            // A commit that is not here is where a shallow clone ends.
            ahead.extend(self.repository.find_commit(id).iter().flat_map(Commit::parent_ids));
        }
        false
    }

    /// Reads a file of a commit.
    pub(super) fn read(&self, tip: &Tip, path: &str, bytes_max: u64) -> Result<Vec<u8>, Fault> {
        read(&self.repository, &tip.branch, tip.commit, path, bytes_max)
    }
}

/// Reads a file of a commit that is here.
pub(super) fn read(
    repository: &Repository,
    branch: &str,
    commit: CommitId,
    path: &str,
    bytes_max: u64,
) -> Result<Vec<u8>, Fault> {
    let tree = repository.find_commit(oid(commit))?.tree()?;
    let path_text = path.to_owned();
    let entry = match tree.get_path(Path::new(path)) {
        Ok(entry) => entry,
        Err(error) if error.code() == ErrorCode::NotFound && error.class() == ErrorClass::Tree => {
            return Err(GitError::NoFile { path: path_text, branch: branch.to_owned(), commit }.into());
        }
        Err(error) => return Err(error.into()),
    };
    let kind = match (entry.kind(), entry.filemode()) {
        (Some(ObjectType::Blob), 0o120_000) => Some("a symbolic link"),
        (Some(ObjectType::Blob), _) => None,
        (Some(ObjectType::Tree), _) => Some("a folder"),
        _ => Some("a submodule"),
    };
    if let Some(kind) = kind {
        return Err(GitError::NotAFile { path: path_text, commit, kind }.into());
    }
    // Asked before the blob is loaded: to load it takes as much memory as it is long.
    let size_bytes = repository.odb()?.read_header(entry.id())?.0 as u64;
    if size_bytes > bytes_max {
        return Err(GitError::TooLarge { path: path_text, commit, size_bytes, bytes_max }.into());
    }
    Ok(repository.find_blob(entry.id())?.content().to_owned())
}

/// Fetches branches; an error of `None` means that too much came.
pub(super) fn bring(
    connection: &mut RemoteConnection<'_, '_, '_>,
    refspecs: &[String],
    alone: bool,
    guard: &Guard,
    limits: &GitLimits,
) -> Result<(), Option<git2::Error>> {
    let flood = std::cell::Cell::new(false);
    let mut callbacks = guard.callbacks();
    callbacks.transfer_progress(|progress| {
        flood.set(progress.received_bytes() as u64 > limits.transfer_bytes_max);
        !flood.get()
    });
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks);
    options.download_tags(AutotagOption::None).update_fetchhead(false).depth(i32::from(alone));
    let fetched = connection.remote().fetch(refspecs, Some(&mut options), None);
    fetched.map_err(|error| Some(error).filter(|_| !flood.get()))
}

/// Tells a fault of the network from one of the clone.
pub(super) fn explain(place: &GitLocation, guard: &Guard, wire: Option<&Wire>, error: git2::Error) -> Fault {
    if let Some(known) = guard.complaint().or_else(|| wire.and_then(Wire::verdict)) {
        return Fault::Other(known);
    }
    let url = place.url().to_string();
    match (error.class(), error.code()) {
        (_, ErrorCode::Auth) => {
            let remedy = "the server refuses the credentials: put valid ones in their file";
            GitError::Denied { url, remedy: remedy.to_owned() }.into()
        }
        (
            ErrorClass::Net | ErrorClass::Http | ErrorClass::Ssl | ErrorClass::Ssh | ErrorClass::Callback,
            _,
        ) => GitError::Unreachable { url, source: error }.into(),
        // Without a network in between, the error may be about either end: ask the other one alone.
        _ if wire.is_none() => match open_local(place) {
            Err(source) => GitError::Unreachable { url, source }.into(),
            Ok(_) => Fault::Clone(error),
        },
        _ => Fault::Clone(error),
    }
}

fn open_local(place: &GitLocation) -> Result<Repository, git2::Error> {
    let path = place.url().to_file_path();
    Repository::open(path.map_err(|()| git2::Error::from_str("the URL names no folder"))?)
}

pub(super) fn flood(place: &GitLocation, limits: &GitLimits) -> Fault {
    GitError::Flood { url: place.url().to_string(), bytes_max: limits.transfer_bytes_max }.into()
}

pub(super) fn choose_branch(
    place: &GitLocation,
    connection: &RemoteConnection<'_, '_, '_>,
) -> Result<String, Fault> {
    if let Some(branch) = place.branch() {
        return Ok(branch.to_owned());
    }
    let named = connection.default_branch().ok();
    let named = named.as_ref().and_then(|it| it.as_str().ok()).and_then(|it| it.strip_prefix("refs/heads/"));
    named.map(str::to_owned).ok_or_else(|| {
        let remedy = "the repository names no default branch; is it empty? name one after #".to_owned();
        GitError::NoBranch { branch: "HEAD".to_owned(), url: place.url().to_string(), remedy }.into()
    })
}

pub(super) fn find_branch(
    place: &GitLocation,
    branch: &str,
    connection: &RemoteConnection<'_, '_, '_>,
) -> Result<Oid, Fault> {
    let heads = connection.list()?;
    let name = format!("refs/heads/{branch}");
    if let Some(head) = heads.iter().find(|it| it.name() == name) {
        return Ok(head.oid());
    }
    let others: Vec<_> =
        heads.iter().filter_map(|it| it.name().strip_prefix("refs/heads/")).take(10).collect();
    let remedy = if others.is_empty() {
        "it has no branches".to_owned()
    } else {
        format!("it has {}; correct the branch after #, or bring it back", others.join(", "))
    };
    Err(GitError::NoBranch { branch: branch.to_owned(), url: place.url().to_string(), remedy }.into())
}

pub(super) fn oid(commit: CommitId) -> Oid {
    // Both are 40 hex digits; an id that git could not read names no commit.
    Oid::from_str(&commit.to_string()).unwrap_or(Oid::ZERO_SHA1)
}

pub(super) fn commit_id(oid: Oid) -> Result<CommitId, git2::Error> {
    CommitId::parse(&oid.to_string())
        .map_err(|_| git2::Error::from_str("only repositories with SHA-1 ids are known"))
}
