//! Views: what clients see of the shelf. A view is links; the bytes exist once.
//!
//! - A view names a file only while its object stands, and appears whole or not at all.
//! - To remove a view removes links, never bytes.
//! - A path in a view is an [`EntryPath`]: it cannot leave the view's folder.

mod hf_cache;
mod store;

pub use base::{EntryPath, PathError};
pub use hf_cache::{
    CachedSnapshot, HfCache, RepoName, RepoNameError, Snapshot, git_id, lfs_pointer, synthetic_commit,
};
pub use store::{ModelStore, ModelView, ViewedFile};

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use base::{ModelId, Sha256};

use crate::{
    DiskError, Lease, Loose, Object, Shelf,
    durable::{self, at},
    shelf::FOLDER_MODE,
};

/// One file of a view: its path, and the bytes it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewFile {
    path: EntryPath,
    bytes: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Bytes {
    Proven(Object),
    Unproven(Loose),
}

/// Why a view was not made.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The catalog's entry contradicts itself. Report the entry; another try gives the same.
    #[error("the files {first} and {second} of a view collide")]
    Collision {
        /// One path.
        first: EntryPath,
        /// A path equal to it, or below it as if it were a folder.
        second: EntryPath,
    },
    /// An object left the shelf. Fetch it again, then make the view.
    #[error("{path} needs the object {digest}, which is not on the shelf; fetch it again")]
    Gone {
        /// Which file of the view.
        path: EntryPath,
        /// Which object.
        digest: Sha256,
    },
    /// The store needs this name for itself. The catalog has to choose another id.
    #[error("the model id {id} is the name of a folder that the store itself needs; choose another id")]
    Reserved {
        /// Which id.
        id: ModelId,
    },
    /// Something else stands where the view belongs, and it is not ours to replace. Ask the operator to move it.
    #[error("{} is not a view that hallmark made ({strange} is no link into the store); move it away", path.display())]
    Occupied {
        /// Where the view belongs.
        path: PathBuf,
        /// What was found in it.
        strange: String,
    },
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl ViewFile {
    /// Shows a verified object.
    pub fn verified(path: EntryPath, object: Object) -> Self {
        Self { path, bytes: Bytes::Proven(object) }
    }

    /// Shows unverified bytes, which the operator asked for on this host.
    pub fn unverified(path: EntryPath, loose: Loose) -> Self {
        Self { path, bytes: Bytes::Unproven(loose) }
    }

    /// Returns the file's path in the view.
    pub fn path(&self) -> &EntryPath {
        &self.path
    }

    /// Returns the digest of the bytes, which is the one found where nobody proved it.
    pub fn digest(&self) -> Sha256 {
        match &self.bytes {
            Bytes::Proven(it) => it.digest(),
            Bytes::Unproven(it) => it.digest(),
        }
    }

    /// Returns how many bytes there are.
    pub fn size_bytes(&self) -> u64 {
        match &self.bytes {
            Bytes::Proven(it) => it.size_bytes(),
            Bytes::Unproven(it) => it.size_bytes(),
        }
    }

    /// Says whether the bytes are what the catalog promised.
    pub fn is_verified(&self) -> bool {
        matches!(self.bytes, Bytes::Proven(_))
    }

    fn target(&self) -> &Path {
        match &self.bytes {
            Bytes::Proven(it) => it.path(),
            Bytes::Unproven(it) => it.path(),
        }
    }

    fn stands(&self, on: &Shelf) -> Result<bool, DiskError> {
        Ok(match &self.bytes {
            Bytes::Proven(it) => on.object(&it.digest())?.as_ref() == Some(it),
            Bytes::Unproven(it) => on.loose(&it.digest())?.as_ref() == Some(it),
        })
    }
}

/// Fills a new folder with links that nobody sees yet, and makes them durable.
fn build(folder: &Path, files: &[ViewFile], target: impl Fn(&ViewFile) -> PathBuf) -> Result<(), DiskError> {
    durable::folder(folder, FOLDER_MODE)?;
    let mut folders = BTreeSet::from([folder.to_owned()]);
    for file in files {
        let link = folder.join(file.path().as_str());
        let parent = link.parent().unwrap_or(folder).to_owned();
        durable::folder(&parent, FOLDER_MODE)?;
        std::os::unix::fs::symlink(target(file), &link).map_err(at("make the link", &link))?;
        folders.insert(parent);
    }
    folders.iter().try_for_each(|it| durable::sync_folder(it))
}

/// Keeps all files from gc and says which of them is gone already.
fn hold(shelf: &Shelf, files: &[ViewFile]) -> Result<Vec<Lease>, ViewError> {
    let mut leases = Vec::with_capacity(files.len());
    for file in files {
        leases.push(shelf.lease(&file.digest())?);
        if !file.stands(shelf)? {
            return Err(ViewError::Gone { path: file.path.clone(), digest: file.digest() });
        }
    }
    Ok(leases)
}

/// Refuses two files at one path, and a file where another one needs a folder.
fn refuse_collisions<'a>(files: impl Iterator<Item = &'a EntryPath>) -> Result<(), ViewError> {
    let mut seen: BTreeMap<&str, &EntryPath> = BTreeMap::new();
    let all = files.collect::<Vec<_>>();
    for path in &all {
        if let Some(first) = seen.insert(path.as_str(), path) {
            return Err(ViewError::Collision { first: first.clone(), second: (*path).clone() });
        }
    }
    for path in all {
        if let Some(first) = path.ancestors().find_map(|it| seen.get(it)) {
            return Err(ViewError::Collision { first: (*first).clone(), second: path.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_collide_are_refused_and_those_that_differ_in_case_are_not() {
        let check = |paths: &[&str], good: bool| {
            let paths = paths.iter().map(|it| EntryPath::parse(it).unwrap()).collect::<Vec<_>>();
            assert_eq!(refuse_collisions(paths.iter()).is_ok(), good, "{paths:?}");
        };
        check(&[], true);
        check(&["a", "b", "c/a", "c/b"], true);
        check(&["a", "A"], true);
        check(&["a", "ab/c"], true);
        check(&["a", "a"], false);
        check(&["a", "a/b"], false);
        check(&["a/b/c", "a"], false);
    }
}
