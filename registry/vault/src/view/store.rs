//! The model store: `<store>/<id>/<file>`, for services that take a folder of files.
//!
//! The files are relative symlinks into the shelf, not hard links, for three reasons: when an object is found
//! damaged, one rename takes it out of every view at once, while a hard link would go on showing the bad bytes;
//! a repaired object is back in every view the same way; and gc really frees what it removes. Relative, so that
//! they hold wherever the store's folder is mounted, as long as it is mounted as a whole.
//!
//! A view is built aside and exchanged with the old one in one step, so a reader that opens `<store>/<id>/…`
//! finds all of the old or all of the new.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use base::{ModelId, Sha256};
use rustix::fs::{CWD, RenameFlags};

use super::{EntryPath, ViewError, ViewFile, build, hold, refuse_collisions};
use crate::{
    DiskError, Shelf,
    durable::{self, at},
    shelf::RESERVED,
};

const LOCK_PATIENCE: Duration = Duration::from_secs(30);
/// More folders below each other than this are not made by us.
const DEPTH_MAX: usize = 512;

/// The views of models in the store's folder.
#[derive(Clone, Debug)]
pub struct ModelStore {
    shelf: Shelf,
}

/// One model's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelView {
    /// Which model.
    pub id: ModelId,
    /// Its files in the order of their paths.
    pub files: Vec<ViewedFile>,
}

/// One file of a view, as its link says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ViewedFile {
    /// Its path in the view.
    pub path: EntryPath,
    /// The digest of the bytes that it shows.
    pub digest: Sha256,
    /// Whether those bytes were proven.
    pub verified: bool,
}

impl ModelStore {
    /// Returns the views beside this shelf.
    pub fn of(shelf: &Shelf) -> Self {
        Self { shelf: shelf.clone() }
    }

    /// Returns where a model's view is, or would be.
    pub fn path(&self, id: &ModelId) -> PathBuf {
        self.shelf.root().join(id.as_str())
    }

    /// Makes a model's view, or changes it to exactly these files. Says whether anything had to change.
    pub fn deploy(&self, id: &ModelId, files: &[ViewFile]) -> Result<bool, ViewError> {
        if RESERVED.contains(&id.as_str()) {
            return Err(ViewError::Reserved { id: id.clone() });
        }
        refuse_collisions(files.iter().map(ViewFile::path))?;
        if self.shows(id, files)? {
            return Ok(false);
        }
        let _leases = hold(&self.shelf, files)?;
        let _lock = self.lock()?;
        self.view(id)?;
        let aside = durable::temporary(self.shelf.root());
        let swapped =
            build(&aside, files, target).map_err(ViewError::from).and_then(|()| swap(&aside, &self.path(id)));
        self.clear_aside()?;
        swapped?;
        Ok(true)
    }

    /// Removes a model's view. Says whether there was one. The objects stay.
    pub fn remove(&self, id: &ModelId) -> Result<bool, ViewError> {
        let _lock = self.lock()?;
        if self.view(id)?.is_none() {
            return Ok(false);
        }
        // Away in one step: nobody finds half a model.
        durable::rename(&self.path(id), &durable::temporary(self.shelf.root()))?;
        self.clear_aside()?;
        Ok(true)
    }

    /// Returns a model's view, or `None` if it has none.
    pub fn view(&self, id: &ModelId) -> Result<Option<ModelView>, ViewError> {
        let path = self.path(id);
        match fs::symlink_metadata(&path) {
            Ok(it) if it.is_dir() => {}
            Ok(_) => return Err(ViewError::Occupied { strange: path.display().to_string(), path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at("look at the view", &path)(error).into()),
        }
        let mut files = Vec::new();
        read(&path, "", &mut files)?;
        files.sort_unstable();
        Ok(Some(ModelView { id: id.clone(), files }))
    }

    /// Returns all views in the order of their ids. What is no view of ours is passed over.
    pub fn views(&self) -> Result<Vec<ModelView>, ViewError> {
        let mut views = Vec::new();
        for name in durable::names(self.shelf.root())? {
            let id = name.to_str().and_then(|it| ModelId::parse(it).ok());
            let Some(id) = id.filter(|it| !RESERVED.contains(&it.as_str())) else { continue };
            match self.view(&id) {
                Ok(view) => views.extend(view),
                Err(ViewError::Occupied { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(views)
    }

    /// Returns the digests of all that some view shows, verified or not. They are live for gc.
    pub fn digests(&self) -> Result<BTreeSet<Sha256>, ViewError> {
        Ok(self.views()?.into_iter().flat_map(|it| it.files).map(|it| it.digest).collect())
    }

    /// Says whether the view shows exactly these files: one `readlink` for each, nothing is opened but the folder.
    fn shows(&self, id: &ModelId, files: &[ViewFile]) -> Result<bool, ViewError> {
        let Some(view) = self.view(id)? else { return Ok(false) };
        let mut wanted = Vec::with_capacity(files.len());
        for file in files {
            if !file.stands(&self.shelf)? {
                return Ok(false);
            }
            let (path, digest, verified) = (file.path().clone(), file.digest(), file.is_verified());
            wanted.push(ViewedFile { path, digest, verified });
        }
        wanted.sort_unstable();
        Ok(view.files == wanted)
    }

    fn lock(&self) -> Result<fs::File, DiskError> {
        durable::lock(&self.shelf.views_lock(), 0o640, LOCK_PATIENCE)
    }

    /// Removes what was built and not used, by this process or by one that died. The lock is held.
    fn clear_aside(&self) -> Result<(), DiskError> {
        for name in durable::names(self.shelf.root())?.iter().filter(|it| durable::is_temporary(it)) {
            let path = self.shelf.root().join(name);
            fs::remove_dir_all(&path).map_err(at("remove the old view", &path))?;
        }
        Ok(())
    }
}

/// Returns the link from where the view will stand, not from where it is built.
fn target(file: &ViewFile) -> PathBuf {
    let hex = file.digest().to_string();
    let folder = if file.is_verified() { "objects/sha256" } else { "unverified" };
    format!("{}{folder}/{}/{hex}", "../".repeat(file.path().depth() + 1), &hex[..2]).into()
}

/// Puts the built view in place. An old one ends up aside.
fn swap(aside: &Path, path: &Path) -> Result<(), ViewError> {
    let failed = |it: rustix::io::Errno| at("put the view in place at", path)(it.into());
    match rustix::fs::renameat_with(CWD, aside, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(rustix::io::Errno::NOENT) => {
            fs::rename(aside, path).map_err(at("put the view in place at", path))?;
        }
        // A file system that cannot exchange (NFS, old overlays): for a moment there is no view, never half of one.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            let old = durable::temporary(path.parent().unwrap_or(path));
            fs::rename(path, &old).map_err(at("move the old view away from", path))?;
            fs::rename(aside, path).map_err(at("put the view in place at", path))?;
        }
        Err(error) => return Err(failed(error).into()),
    }
    durable::sync_folder(path.parent().unwrap_or(path))?;
    Ok(())
}

/// Reads the links below a folder; anything else means that the folder is not ours.
fn read(folder: &Path, prefix: &str, files: &mut Vec<ViewedFile>) -> Result<(), ViewError> {
    let occupied =
        |strange: &str| ViewError::Occupied { path: folder.to_owned(), strange: strange.to_owned() };
    if prefix.matches('/').count() > DEPTH_MAX {
        return Err(occupied(prefix));
    }
    for name in durable::names(folder)? {
        let path = folder.join(&name);
        let within = format!("{prefix}{}", name.to_string_lossy());
        let kind = fs::symlink_metadata(&path).map_err(at("look at", &path))?.file_type();
        if kind.is_dir() {
            read(&path, &format!("{within}/"), files)?;
        } else {
            let link = kind
                .is_symlink()
                .then(|| fs::read_link(&path))
                .transpose()
                .map_err(at("read the link", &path))?;
            let file = link.and_then(|it| viewed(&within, &it)).ok_or_else(|| occupied(&within))?;
            files.push(file);
        }
    }
    Ok(())
}

fn viewed(within: &str, link: &Path) -> Option<ViewedFile> {
    let path = EntryPath::parse(within).ok()?;
    let into = link.to_str()?.strip_prefix(&"../".repeat(path.depth() + 1))?;
    let (verified, rest) = match into.strip_prefix("objects/sha256/") {
        Some(rest) => (true, rest),
        None => (false, into.strip_prefix("unverified/")?),
    };
    let (prefix, hex) = rest.split_once('/')?;
    let digest = Sha256::parse(hex).ok().filter(|_| hex.starts_with(prefix) && prefix.len() == 2)?;
    Some(ViewedFile { path, digest, verified })
}
