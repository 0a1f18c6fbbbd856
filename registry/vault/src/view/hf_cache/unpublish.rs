//! What the cache shows now, and taking snapshots out of it.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use base::{CommitId, Sha256};

use super::{HfCache, RepoName, link};
use crate::{
    DiskError,
    durable::{self, at},
};

/// Folders below each other in a snapshot; a path has no more parts than this.
const DEPTH_MAX: usize = 512;

/// A snapshot that clients find in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedSnapshot {
    /// Which repo.
    pub repo: RepoName,
    /// Which commit.
    pub commit: CommitId,
    /// The names that lead to it, in order.
    pub revisions: Vec<String>,
    /// The digests of the objects that it shows.
    pub digests: BTreeSet<Sha256>,
}

impl HfCache {
    /// Returns all snapshots, in the order of repos and commits.
    pub fn snapshots(&self) -> Result<Vec<CachedSnapshot>, DiskError> {
        let mut snapshots = Vec::new();
        for name in durable::names(&self.root)? {
            let Some(repo) = name.to_str().and_then(RepoName::of_folder) else { continue };
            let revisions = self.revisions(&repo)?;
            for commit in self.commits(&repo)? {
                let named = revisions.iter().filter(|it| it.1 == commit.to_string());
                snapshots.push(CachedSnapshot {
                    repo: repo.clone(),
                    commit,
                    revisions: named.map(|it| it.0.clone()).collect(),
                    digests: self
                        .shown(&repo, &commit)?
                        .iter()
                        .filter_map(|it| Sha256::parse(it).ok())
                        .collect(),
                });
            }
        }
        Ok(snapshots)
    }

    /// Returns the digests of all objects that some snapshot shows. They are live for gc.
    pub fn digests(&self) -> Result<BTreeSet<Sha256>, DiskError> {
        Ok(self.snapshots()?.into_iter().flat_map(|it| it.digests).collect())
    }

    /// Takes a snapshot out of the cache. Says whether it was there.
    ///
    /// The names that lead to it go first, its blobs last, and only those that are links of ours and that no
    /// other snapshot shows. The objects stay on the shelf.
    pub fn remove(&self, repo: &RepoName, commit: &CommitId) -> Result<bool, DiskError> {
        let folder = self.folder(repo);
        let place = folder.join("snapshots").join(commit.to_string());
        if !place.exists() {
            return Ok(false);
        }
        let _lock = self.lock(repo)?;
        for (revision, _) in self.revisions(repo)?.iter().filter(|it| it.1 == commit.to_string()) {
            durable::remove(&folder.join("refs").join(revision))?;
        }
        // A listing of files that are gone would make clients complain.
        durable::remove(&folder.join("trees").join(format!("{commit}.json")))?;
        let shown = self.shown(repo, commit)?;
        durable::folder(&self.aside(repo), crate::shelf::FOLDER_MODE)?;
        let away = durable::temporary(&self.aside(repo));
        durable::rename(&place, &away)?;
        remove_tree(&away)?;
        remove_tree(&folder.join(".no_exist").join(commit.to_string()))?;
        self.drop_blobs(repo, &shown)?;
        self.drop_empty(repo)?;
        Ok(true)
    }

    fn drop_blobs(&self, repo: &RepoName, candidates: &BTreeSet<String>) -> Result<(), DiskError> {
        let mut needed = BTreeSet::new();
        for commit in self.commits(repo)? {
            needed.extend(self.shown(repo, &commit)?);
        }
        for name in candidates.difference(&needed) {
            let blob = self.folder(repo).join("blobs").join(name);
            // A plain file is a client's own download, which is the client's to remove.
            if link(&blob)?.is_some() {
                durable::remove(&blob)?;
            }
        }
        Ok(())
    }

    /// Removes the folders of a repo that nothing is left of.
    fn drop_empty(&self, repo: &RepoName) -> Result<(), DiskError> {
        let folder = self.folder(repo);
        for name in ["blobs", "snapshots", "refs", ".no_exist", "trees", ".aside", ""] {
            let path = folder.join(name);
            match fs::remove_dir(&path) {
                Ok(()) => {}
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
                }
                Err(error) => return Err(at("remove the empty folder", &path)(error)),
            }
        }
        Ok(())
    }

    fn commits(&self, repo: &RepoName) -> Result<Vec<CommitId>, DiskError> {
        let names = durable::names(&self.folder(repo).join("snapshots"))?;
        Ok(names.iter().filter_map(|it| CommitId::parse(it.to_str()?).ok()).collect())
    }

    /// Returns the names of the blobs that a snapshot's links lead to.
    fn shown(&self, repo: &RepoName, commit: &CommitId) -> Result<BTreeSet<String>, DiskError> {
        let place = self.folder(repo).join("snapshots").join(commit.to_string());
        let mut shown = BTreeSet::new();
        for path in files(&place)? {
            let blob = link(&path)?.and_then(|it| Some(it.file_name()?.to_str()?.to_owned()));
            shown.extend(blob);
        }
        Ok(shown)
    }

    /// Returns each ref's name with what it says.
    fn revisions(&self, repo: &RepoName) -> Result<Vec<(String, String)>, DiskError> {
        let refs = self.folder(repo).join("refs");
        let mut revisions = Vec::new();
        for path in files(&refs)? {
            // A ref that vanished since it was listed leads nowhere.
            let Ok(commit) = fs::read_to_string(&path) else { continue };
            let name = path.strip_prefix(&refs).unwrap_or(&path).to_string_lossy().into_owned();
            revisions.push((name, commit.trim_end().to_owned()));
        }
        Ok(revisions)
    }
}

/// Returns all that is no folder below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut files = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        for name in durable::names(&folder)? {
            let path = folder.join(name);
            let kind = fs::symlink_metadata(&path).map_err(at("look at", &path))?.file_type();
            match kind.is_dir() {
                true if depth < DEPTH_MAX => open.push((path, depth + 1)),
                true => {}
                false => files.push(path),
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn remove_tree(path: &Path) -> Result<(), DiskError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", path)(error)),
        _ => Ok(()),
    }
}
