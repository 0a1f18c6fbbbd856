//! A commit of ours: one changed file, signed off, and signed if there is a key.
//!
//! It says which tree it has (`Hallmark-Tree`), so that one which somebody changed since, or put something on top of, is
//! known as not ours any more.

use std::path::Path;

use base::{CommitId, UnixSeconds};
use git2::{Commit, ObjectType, Repository, Signature, Time, build::TreeUpdateBuilder};

use super::{
    GitError, clone,
    sign::{SignError, SigningKey},
};

/// The trailer that names the tree of a commit of ours.
const TREE: &str = "Hallmark-Tree";

/// Whose work a commit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

/// One changed file, to be committed.
pub struct Change<'c> {
    /// The commit it is a change of.
    pub base: CommitId,
    /// The file's new text.
    pub bytes: &'c [u8],
    /// What the commit is about, without trailers.
    pub message: &'c str,
    /// Whose work it is.
    pub author: &'c Author,
    /// When.
    pub at: UnixSeconds,
    /// What it is signed with.
    pub key: Option<&'c SigningKey>,
}

/// Why there is no commit.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The clone cannot be written.
    #[error(transparent)]
    Clone(GitError),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// The same, before the clone has a name.
pub(super) enum CommitFault {
    Clone(git2::Error),
    Sign(SignError),
}

impl From<git2::Error> for CommitFault {
    fn from(error: git2::Error) -> Self {
        Self::Clone(error)
    }
}

/// Says whether a commit is as we made it.
pub(super) fn is_ours(commit: &Commit<'_>) -> bool {
    let message = commit.message().unwrap_or_default();
    let tree = message.lines().filter_map(|line| line.strip_prefix(TREE)?.strip_prefix(": ")).next_back();
    tree == Some(commit.tree_id().to_string().as_str())
}

impl Author {
    /// Reads `Name <address>`; `None` if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, email) = text.trim().strip_suffix('>')?.split_once('<')?;
        let (name, email) = (name.trim().to_owned(), email.trim().to_owned());
        let plain = |it: &str| !it.is_empty() && !it.contains(['<', '>']) && !it.contains(char::is_control);
        (plain(&name) && plain(&email)).then_some(Self { name, email })
    }
}

impl std::fmt::Display for Author {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} <{}>", self.name, self.email)
    }
}

impl Change<'_> {
    /// Makes the commit, on top of one that is in the clone.
    pub(super) fn commit(&self, repository: &Repository, path: &str) -> Result<CommitId, CommitFault> {
        let buffer = self.write(repository, path)?;
        let id = match self.key {
            None => repository.odb()?.write(ObjectType::Commit, buffer.as_bytes())?,
            Some(key) => {
                let signature = key.sign(buffer.as_bytes()).map_err(CommitFault::Sign)?;
                repository.commit_signed(&buffer, &signature, None)?
            }
        };
        Ok(clone::commit_id(id)?)
    }

    /// Writes the commit as git keeps it, without a signature.
    fn write(&self, repository: &Repository, path: &str) -> Result<String, git2::Error> {
        let base = repository.find_commit(clone::oid(self.base))?;
        let tree = base.tree()?;
        let mode = tree.get_path(Path::new(path)).map_or(0o100_644, |it| it.filemode());
        let mode = if mode == 0o100_755 { git2::FileMode::BlobExecutable } else { git2::FileMode::Blob };
        let blob = repository.blob(self.bytes)?;
        let tree = TreeUpdateBuilder::new().upsert(path, blob, mode).create_updated(repository, &tree)?;
        let message =
            format!("{}\n\nSigned-off-by: {}\n{TREE}: {tree}\n", self.message.trim_end(), self.author);
        let seconds = i64::try_from(self.at.0).unwrap_or(i64::MAX);
        let signature = Signature::new(&self.author.name, &self.author.email, &Time::new(seconds, 0))?;
        let tree = repository.find_tree(tree)?;
        let buffer = repository.commit_create_buffer(&signature, &signature, &message, &tree, &[&base])?;
        let text = buffer.as_str().map_err(|_| git2::Error::from_str("the commit is no text"))?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_a_name_and_an_address() {
        let author = Author::parse(" Training CI <ci@example.org> ").unwrap();
        assert_eq!(author.to_string(), "Training CI <ci@example.org>");
        for wrong in ["", "ci@example.org", "<ci@example.org>", "CI <>", "C\nI <a@b>", "a <b> <c>"] {
            assert_eq!(Author::parse(wrong), None, "{wrong}");
        }
    }
}
