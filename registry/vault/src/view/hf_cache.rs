//! A Hugging Face cache that `HF_HUB_OFFLINE=1` clients accept as their own.
//!
//! ```text
//! CACHEDIR.TAG
//! .locks/models--org--name/<etag>.lock           the clients' own locks; the group may write here
//! models--org--name/blobs/<sha256>               symlink into the shelf
//!                  /snapshots/<commit>/<path>    symlink, relative: ../../blobs/<sha256>
//!                  /.no_exist/<commit>/<path>    empty: the file is known not to exist
//!                  /refs/<revision>              the commit's 40 digits and nothing else
//!                  /trees/<commit>.json          what the snapshot consists of, for clients from 1.18 on
//!                  /.aside/                      what is being built; no client looks here
//! ```
//!
//! - Order of writing: blobs, snapshot, `.no_exist`, listing, and the ref last, so that a revision that resolves is whole.
//!   Every step is a rename; a new snapshot appears as one folder.
//! - A blob is named after its sha256, small files too. The Hub names those after their git blob id, but which
//!   files it treats so cannot be known from the catalog, offline clients never look at the name, and one that
//!   goes online asks a hallmark that announces the same sha256 as `ETag`.
//! - A blob that a client downloaded by itself is replaced by the proven object: clients do not verify.
//! - Several processes work on one cache: the repo's lock orders ours, the clients' own lock of a blob is held
//!   while that blob changes.
//! - Blobs are linked relatively when the cache lies inside the store's folder, else by the store's full path.

mod repo;
mod tree;
mod unpublish;

pub use repo::{RepoName, RepoNameError, Snapshot, git_id, lfs_pointer, synthetic_commit};
pub use unpublish::CachedSnapshot;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use base::Sha256;

use super::{EntryPath, ViewError, ViewFile, build, hold, refuse_collisions};
use crate::{
    DiskError, Shelf,
    durable::{self, at},
    shelf::FOLDER_MODE,
};

const LOCK_PATIENCE: Duration = Duration::from_secs(30);
/// Clients of the group make locks of their own here, and old ones fail when they cannot.
const LOCKS_MODE: u32 = 0o2770;
const LOCK_MODE: u32 = 0o664;
const PUBLIC_FILE_MODE: u32 = 0o644;
const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is a Hugging Face cache that hallmark keeps. Its files are links into the model store.\n\
    # For information about cache directory tags see https://bford.info/cachedir/\n";

/// A cache folder, filled from one shelf.
#[derive(Clone, Debug)]
pub struct HfCache {
    root: PathBuf,
    shelf: Shelf,
}

impl HfCache {
    /// Opens a cache folder, and makes what is missing of it.
    pub fn open(root: impl AsRef<Path>, shelf: &Shelf) -> Result<Self, DiskError> {
        let root = root.as_ref();
        durable::folder(root, FOLDER_MODE)?;
        let root = root.canonicalize().map_err(at("find", root))?;
        durable::folder(&root.join(".locks"), LOCKS_MODE)?;
        let tag = root.join("CACHEDIR.TAG");
        if !tag.exists() {
            durable::write(&root, &tag, TAG, PUBLIC_FILE_MODE)?;
        }
        Ok(Self { root, shelf: shelf.clone() })
    }

    /// Returns the cache's folder, which clients know as `HF_HUB_CACHE`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Shows a snapshot to clients. Says whether anything had to change.
    ///
    /// Other snapshots of the repo stay until [`HfCache::remove`]; files that a client added to this one stay too.
    pub fn publish(&self, snapshot: &Snapshot) -> Result<bool, ViewError> {
        refuse_collisions(snapshot.files.iter().map(ViewFile::path).chain(&snapshot.absent))?;
        if self.shows(snapshot)? {
            return Ok(false);
        }
        let _leases = hold(&self.shelf, &snapshot.files)?;
        let _lock = self.lock(&snapshot.repo)?;
        self.clear_aside(&snapshot.repo)?;
        let repo = self.folder(&snapshot.repo);
        for name in ["blobs", "snapshots", "refs", ".aside"] {
            durable::folder(&repo.join(name), FOLDER_MODE)?;
        }
        for file in &snapshot.files {
            self.link_blob(&snapshot.repo, file)?;
        }
        durable::sync_folder(&repo.join("blobs"))?;
        self.link_files(snapshot)?;
        self.mark_absent(snapshot)?;
        self.list_files(snapshot)?;
        self.point_refs(snapshot)?;
        Ok(true)
    }

    fn shows(&self, snapshot: &Snapshot) -> Result<bool, ViewError> {
        let repo = self.folder(&snapshot.repo);
        let commit = snapshot.commit.to_string();
        for file in &snapshot.files {
            let path = file.path().as_str();
            if !file.stands(&self.shelf)?
                || link(&repo.join("snapshots").join(&commit).join(path))? != Some(blob_link(file))
                || link(&self.blob(&snapshot.repo, &file.digest()))?
                    != Some(self.shelf_link(&snapshot.repo, file))
                || repo.join(".no_exist").join(&commit).join(path).exists()
            {
                return Ok(false);
            }
        }
        let marked = |it: &EntryPath| repo.join(".no_exist").join(&commit).join(it.as_str()).is_file();
        if !snapshot.absent.iter().all(marked) {
            return Ok(false);
        }
        for revision in &snapshot.revisions {
            if !holds(&repo.join("refs").join(revision.as_str()), commit.as_bytes())? {
                return Ok(false);
            }
        }
        Ok(holds(&repo.join("trees").join(format!("{commit}.json")), &tree::listing(snapshot))?)
    }

    fn link_blob(&self, repo: &RepoName, file: &ViewFile) -> Result<(), DiskError> {
        let blob = self.blob(repo, &file.digest());
        let target = self.shelf_link(repo, file);
        if link(&blob)?.as_ref() == Some(&target) {
            return Ok(());
        }
        let lock = self.locks(repo).join(format!("{}.lock", file.digest()));
        let _lock = durable::lock(&lock, LOCK_MODE, LOCK_PATIENCE)?;
        durable::symlink(&self.aside(repo), &target, &blob)
    }

    fn link_files(&self, snapshot: &Snapshot) -> Result<(), DiskError> {
        let place = self.folder(&snapshot.repo).join("snapshots").join(snapshot.commit.to_string());
        if place.exists() {
            return self.fill(&place, snapshot);
        }
        let aside = durable::temporary(&self.aside(&snapshot.repo));
        build(&aside, &snapshot.files, blob_link)?;
        match durable::rename(&aside, &place) {
            // A client made the folder meanwhile.
            Err(DiskError::Io { source, .. }) if source.kind() == io::ErrorKind::DirectoryNotEmpty => {
                self.fill(&place, snapshot)
            }
            renamed => renamed,
        }
    }

    /// Adds to a snapshot that is there already, file by file.
    fn fill(&self, place: &Path, snapshot: &Snapshot) -> Result<(), DiskError> {
        let aside = self.aside(&snapshot.repo);
        for file in &snapshot.files {
            let path = place.join(file.path().as_str());
            if link(&path)? != Some(blob_link(file)) {
                let folder = path.parent().unwrap_or(place);
                durable::folder(folder, FOLDER_MODE)?;
                durable::symlink(&aside, &blob_link(file), &path)?;
                durable::sync_folder(folder)?;
            }
        }
        Ok(())
    }

    fn mark_absent(&self, snapshot: &Snapshot) -> Result<(), DiskError> {
        let marks = self.folder(&snapshot.repo).join(".no_exist").join(snapshot.commit.to_string());
        for file in &snapshot.files {
            durable::remove(&marks.join(file.path().as_str()))?;
        }
        for path in snapshot.absent.iter().map(|it| marks.join(it.as_str())).filter(|it| !it.is_file()) {
            durable::folder(path.parent().unwrap_or(&marks), FOLDER_MODE)?;
            // Empty and of no consequence if a power cut takes it: the next time it is made again.
            fs::File::create(&path).map_err(at("make the mark", &path))?;
        }
        Ok(())
    }

    fn list_files(&self, snapshot: &Snapshot) -> Result<(), DiskError> {
        let trees = self.folder(&snapshot.repo).join("trees");
        durable::folder(&trees, FOLDER_MODE)?;
        let path = trees.join(format!("{}.json", snapshot.commit));
        durable::write(&self.aside(&snapshot.repo), &path, &tree::listing(snapshot), PUBLIC_FILE_MODE)
    }

    fn point_refs(&self, snapshot: &Snapshot) -> Result<(), DiskError> {
        let refs = self.folder(&snapshot.repo).join("refs");
        let commit = snapshot.commit.to_string();
        for revision in &snapshot.revisions {
            let path = refs.join(revision.as_str());
            durable::folder(path.parent().unwrap_or(&refs), FOLDER_MODE)?;
            // No newline at the end: clients take the whole file for the commit's name.
            durable::write(&self.aside(&snapshot.repo), &path, commit.as_bytes(), PUBLIC_FILE_MODE)?;
        }
        Ok(())
    }

    fn folder(&self, repo: &RepoName) -> PathBuf {
        self.root.join(repo.folder())
    }

    fn aside(&self, repo: &RepoName) -> PathBuf {
        self.folder(repo).join(".aside")
    }

    fn blob(&self, repo: &RepoName, digest: &Sha256) -> PathBuf {
        self.folder(repo).join("blobs").join(digest.to_string())
    }

    fn locks(&self, repo: &RepoName) -> PathBuf {
        self.root.join(".locks").join(repo.folder())
    }

    /// Orders this process's changes of a repo with those of other hallmarks.
    fn lock(&self, repo: &RepoName) -> Result<fs::File, DiskError> {
        let locks = self.locks(repo);
        durable::folder(&locks, LOCKS_MODE)?;
        durable::lock(&locks.join("hallmark.lock"), LOCK_MODE, LOCK_PATIENCE)
    }

    /// Removes what a process that died was building. The repo's lock is held.
    fn clear_aside(&self, repo: &RepoName) -> Result<(), DiskError> {
        for name in durable::names(&self.aside(repo))? {
            let path = self.aside(repo).join(name);
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(at("remove what was left unfinished at", &path))?;
        }
        Ok(())
    }

    fn shelf_link(&self, repo: &RepoName, file: &ViewFile) -> PathBuf {
        let root = self.shelf.root();
        let blobs = self.folder(repo).join("blobs");
        match (blobs.strip_prefix(root), file.target().strip_prefix(root)) {
            (Ok(below), Ok(target)) => Path::new(&"../".repeat(below.components().count())).join(target),
            _ => file.target().to_owned(),
        }
    }
}

/// Returns the link from a snapshot's file to its blob.
fn blob_link(file: &ViewFile) -> PathBuf {
    format!("{}blobs/{}", "../".repeat(file.path().depth() + 2), file.digest()).into()
}

/// Says whether a file is there and holds these bytes.
fn holds(path: &Path, bytes: &[u8]) -> Result<bool, DiskError> {
    match fs::symlink_metadata(path) {
        Ok(it) if it.is_file() && it.len() == bytes.len() as u64 => {}
        Ok(_) => return Ok(false),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(error) => return Err(at("look at", path)(error)),
    }
    Ok(fs::read(path).map_err(at("read", path))? == bytes)
}

/// Returns where a link points, or `None` if there is nothing or something else.
fn link(path: &Path) -> Result<Option<PathBuf>, DiskError> {
    match fs::read_link(path) {
        Ok(target) => Ok(Some(target)),
        // EINVAL: there is something, but it is no link.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            Ok(None)
        }
        Err(error) => Err(at("read the link", path)(error)),
    }
}
