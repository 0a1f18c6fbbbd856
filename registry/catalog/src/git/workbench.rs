//! A clone to work on: reads a branch and what is proposed for it, commits one changed file, pushes.
//!
//! - Work tree, index and HEAD of a given clone stay as they are: commits are made from objects.
//! - A push replaces what was seen when the branch was looked at, or nothing: whoever pushed in between keeps theirs.

use std::{cell::RefCell, path::Path, rc::Rc};

use base::CommitId;
use git2::{Direction, Oid, PushOptions, Repository};

use super::{
    GitError, GitLimits, GitLogin,
    clone::{self, Fault},
    commit::{Author, Change, CommitFault, WorkError, is_ours},
    login::Guard,
    push::{PushError, Told, refused},
    wire::Wire,
};
use crate::{location::GitLocation, watch::INDEX_BYTES_MAX};

/// Where the newest commit of the base branch is kept.
const BASE: &str = "refs/hallmark/base";
/// Where the newest commit of the proposal's branch is kept.
const PROPOSAL: &str = "refs/hallmark/proposal";

/// A clone to work on.
pub struct Workbench {
    repository: Repository,
    is_given: bool,
    place: GitLocation,
    login: GitLogin,
    limits: GitLimits,
}

/// How a repository stands: the branch that changes are proposed for, and what is proposed already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The branch that changes are proposed for.
    pub base_branch: String,
    /// Its newest commit.
    pub base: CommitId,
    /// The newest commit of the proposal's branch, if there is such a branch.
    pub proposed: Option<Proposed>,
}

/// What stands on a proposal's branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Its newest commit.
    pub commit: CommitId,
    /// Whether that is as we made it.
    pub is_ours: bool,
    /// Who made it, and what it is about, for whoever has to be told.
    pub about: String,
}

impl Workbench {
    /// Makes an empty clone in a folder that is there and empty.
    pub fn fresh(
        folder: &Path,
        place: GitLocation,
        login: GitLogin,
        limits: GitLimits,
    ) -> Result<Self, GitError> {
        let failed = |source| GitError::Clone { folder: folder.to_owned(), source };
        let repository = Repository::init_bare(folder).map_err(failed)?;
        Ok(Self { repository, is_given: false, place, login, limits })
    }

    /// Opens the clone that somebody works in.
    pub fn given(
        folder: &Path,
        place: GitLocation,
        login: GitLogin,
        limits: GitLimits,
    ) -> Result<Self, GitError> {
        let failed = |source| GitError::Clone { folder: folder.to_owned(), source };
        let repository = Repository::discover(folder).map_err(failed)?;
        Ok(Self { repository, is_given: true, place, login, limits })
    }

    /// Returns the repository's URL.
    pub fn url(&self) -> String {
        self.place.url().to_string()
    }

    /// Returns the index's path in the repository.
    pub fn path(&self) -> &str {
        self.place.path()
    }

    /// Returns the author that the clone's git config names, or the user's.
    pub fn configured_author(&self) -> Option<Author> {
        let signature = self.repository.signature().ok()?;
        let (name, email) = (signature.name().ok()?, signature.email().ok()?);
        Author::parse(&format!("{name} <{email}>"))
    }

    /// Asks the repository for the newest commits of the base branch and of a proposal's branch, and brings both here.
    pub fn look(&self, branch: &str) -> Result<Standing, GitError> {
        self.try_look(branch).map_err(|fault| self.explain(fault))
    }

    fn try_look(&self, branch: &str) -> Result<Standing, Fault> {
        let (guard, wire) = self.connect()?;
        let url = wire.as_ref().map_or_else(|| self.place.url().to_string(), Wire::url);
        let mut remote = self.repository.remote_anonymous(&url)?;
        let explain = |error| clone::explain(&self.place, &guard, wire.as_ref(), error);
        let connected = remote.connect_auth(Direction::Fetch, Some(guard.callbacks()), None);
        let mut connection = connected.map_err(explain)?;
        let base_branch = clone::choose_branch(&self.place, &connection)?;
        let base = clone::find_branch(&self.place, &base_branch, &connection)?;
        let name = format!("refs/heads/{branch}");
        let proposed = connection.list()?.iter().find(|it| it.name() == name).map(git2::RemoteHead::oid);
        let mut refspecs = vec![format!("+refs/heads/{base_branch}:{BASE}")];
        refspecs.extend(proposed.map(|_| format!("+{name}:{PROPOSAL}")));
        let alone = wire.is_some() && !self.is_given;
        let brought = clone::bring(&mut connection, &refspecs, alone, &guard, &self.limits);
        brought.map_err(|error| error.map_or_else(|| clone::flood(&self.place, &self.limits), explain))?;
        drop(connection);
        // What came may be newer than what was listed; what is here is what counts.
        let base = self.repository.refname_to_id(BASE).unwrap_or(base);
        let proposed = match proposed {
            Some(_) => Some(self.proposed(self.repository.refname_to_id(PROPOSAL)?)?),
            None => None,
        };
        Ok(Standing { base_branch, base: clone::commit_id(base)?, proposed })
    }

    fn proposed(&self, id: Oid) -> Result<Proposed, git2::Error> {
        let commit = self.repository.find_commit(id)?;
        let is_ours = is_ours(&commit);
        let summary = commit.summary().ok().flatten().unwrap_or_default();
        let author = commit.author();
        let about = format!("\"{summary}\" by {}", author.name().unwrap_or("somebody"));
        let shown = |it: char| if it.is_control() { '\u{fffd}' } else { it };
        let about = about.chars().take(200).map(shown).collect();
        Ok(Proposed { commit: clone::commit_id(id)?, is_ours, about })
    }

    /// Reads the index of a commit that was looked at.
    pub fn read(&self, branch: &str, commit: CommitId) -> Result<Vec<u8>, GitError> {
        let read = clone::read(&self.repository, branch, commit, self.place.path(), INDEX_BYTES_MAX);
        read.map_err(|fault| self.explain(fault))
    }

    /// Writes all files of a commit into a folder.
    pub fn export(&self, commit: CommitId, folder: &Path) -> Result<(), GitError> {
        let export = || {
            let tree = self.repository.find_commit(clone::oid(commit))?.into_object();
            let mut options = git2::build::CheckoutBuilder::new();
            options.target_dir(folder).force().update_index(false);
            self.repository.checkout_tree(&tree, Some(&mut options))
        };
        export().map_err(|error| self.explain(error.into()))
    }

    /// Commits the index as it shall be, on top of a commit that was looked at.
    pub fn commit(&self, change: &Change<'_>) -> Result<CommitId, WorkError> {
        change.commit(&self.repository, self.place.path()).map_err(|fault| match fault {
            CommitFault::Clone(error) => WorkError::Clone(self.explain(Fault::Clone(error))),
            CommitFault::Sign(error) => WorkError::Sign(error),
        })
    }

    /// Puts a commit on a branch of the repository, in place of the one that was seen there. Nothing is pushed if
    /// that branch, or the one in `still`, is not where it was seen any more.
    pub fn push(
        &self,
        branch: &str,
        commit: CommitId,
        seen: Option<CommitId>,
        still: Option<(&str, CommitId)>,
    ) -> Result<(), PushError> {
        let name = format!("refs/heads/{branch}");
        let (guard, wire) = self.connect()?;
        let told = Rc::new(RefCell::new(Told::default()));
        let url = wire.as_ref().map_or_else(|| self.place.url().to_string(), Wire::url);
        let push = || {
            let mut remote = self.repository.remote_anonymous(&url)?;
            let mut connection = remote.connect_auth(Direction::Push, Some(guard.callbacks()), None)?;
            let heads = connection.list()?;
            let now = |name: &str| heads.iter().find(|it| it.name() == name).map(git2::RemoteHead::oid);
            let other = still.map(|(other, at)| (format!("refs/heads/{other}"), clone::oid(at)));
            if now(&name) != seen.map(clone::oid) || other.is_some_and(|(it, at)| now(&it) != Some(at)) {
                return Ok(false);
            }
            let mut callbacks = guard.callbacks();
            let (lines, status) = (Rc::clone(&told), Rc::clone(&told));
            callbacks.sideband_progress(move |bytes| {
                lines.borrow_mut().hear(bytes);
                true
            });
            callbacks.push_update_reference(move |_, why| {
                status.borrow_mut().refused = why.map(str::to_owned);
                Ok(())
            });
            let mut options = PushOptions::new();
            options.remote_callbacks(callbacks);
            connection.remote().push(&[format!("+{commit}:{name}")], Some(&mut options))?;
            Ok::<_, git2::Error>(true)
        };
        let pushed = push();
        let told = told.take();
        match pushed {
            Ok(false) => return Err(PushError::Moved { branch: branch.to_owned() }),
            Ok(true) if told.refused.is_none() => {}
            // A server that found another commit there says so in words of its own.
            Ok(true) if self.stands(&name).is_ok_and(|now| now != seen.map(clone::oid)) => {
                return Err(PushError::Moved { branch: branch.to_owned() });
            }
            Ok(true) => return Err(refused(self.place.url(), branch, &told, None)),
            Err(error) => {
                if let Some(known) = guard.complaint().or_else(|| wire.as_ref().and_then(Wire::verdict)) {
                    return Err(known.into());
                }
                return Err(refused(self.place.url(), branch, &told, Some(error)));
            }
        }
        self.keep(branch, commit);
        Ok(())
    }

    /// Asks the repository where a branch stands.
    fn stands(&self, name: &str) -> Result<Option<Oid>, GitError> {
        let (guard, wire) = self.connect()?;
        let url = wire.as_ref().map_or_else(|| self.place.url().to_string(), Wire::url);
        let ask = || {
            let mut remote = self.repository.remote_anonymous(&url)?;
            let connection = remote.connect_auth(Direction::Fetch, Some(guard.callbacks()), None)?;
            let heads = connection.list()?;
            Ok::<_, git2::Error>(heads.iter().find(|it| it.name() == name).map(git2::RemoteHead::oid))
        };
        ask().map_err(|error| self.explain(clone::explain(&self.place, &guard, wire.as_ref(), error)))
    }

    /// Shows the branch in a clone that somebody works in, unless they stand on it.
    fn keep(&self, branch: &str, commit: CommitId) {
        let name = format!("refs/heads/{branch}");
        let stands_there =
            self.repository.head().is_ok_and(|it| it.name().is_ok_and(|it| it == name.as_str()));
        if self.is_given && !stands_there {
            let kept = self.repository.reference(&name, clone::oid(commit), true, "hallmark propose");
            if let Err(error) = kept {
                tracing::warn!(%error, "{branch} was pushed, and could not be shown in the clone itself");
            }
        }
    }

    fn connect(&self) -> Result<(Guard, Option<Wire>), GitError> {
        let url = self.place.url();
        let guard = Guard::new(url, &self.login)?;
        let wire = Wire::open(url, &self.limits, || false)
            .map_err(|source| GitError::Connect { url: url.to_string(), source })?;
        Ok((guard, wire))
    }

    fn explain(&self, fault: Fault) -> GitError {
        match fault {
            Fault::Other(error) => error,
            Fault::Clone(source) => GitError::Clone { folder: self.repository.path().to_owned(), source },
        }
    }
}
