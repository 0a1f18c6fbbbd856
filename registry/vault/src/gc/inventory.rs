//! What there is to decide about.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use base::{Sha256, UnixSeconds};
use serde::{Deserialize, Serialize};

use crate::{
    DiskError, Quarantined, Shelf,
    durable::{self, at},
};

/// One file on the shelf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its digest; the one that was found where nobody proved it.
    pub digest: Sha256,
    /// How many bytes dropping it frees.
    pub size_bytes: u64,
    /// When it was placed or last leased, whichever is later.
    pub last_used: UnixSeconds,
    /// Whether it is an object, and not unverified bytes.
    pub verified: bool,
    /// Whether somebody reads it now.
    pub leased: bool,
}

/// A partial download, refused bytes that nobody put in quarantine, or a temporary file that a dead process left.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leftover {
    /// Which file or folder.
    pub path: PathBuf,
    /// How many bytes dropping it frees.
    pub size_bytes: u64,
    /// When it was last written.
    pub last_written: UnixSeconds,
}

/// All that gc may decide about, as it stood at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// What stands on the shelf, objects and unverified files, in the order of their digests.
    pub standing: Vec<Standing>,
    /// What lies among the partials.
    pub partials: Vec<Leftover>,
    /// What is in quarantine.
    pub quarantine: Vec<Quarantined>,
}

impl Inventory {
    /// Looks at the whole store. Opens no object.
    pub fn take(shelf: &Shelf) -> Result<Self, DiskError> {
        let mut inventory = Self::default();
        for object in shelf.objects()? {
            let object = object?;
            let (digest, size_bytes) = (object.digest(), object.size_bytes());
            inventory.standing.extend(standing(shelf, digest, size_bytes, object.path(), true)?);
        }
        for loose in shelf.loose_ones()? {
            let loose = loose?;
            let (digest, size_bytes) = (loose.digest(), loose.size_bytes());
            inventory.standing.extend(standing(shelf, digest, size_bytes, loose.path(), false)?);
        }
        inventory.standing.sort_by_key(|it| (it.digest, it.verified));
        for name in durable::names(&shelf.partials())? {
            inventory.partials.extend(leftover(&shelf.partials().join(name))?);
        }
        for promised in shelf.quarantined_promises()? {
            inventory.quarantine.extend(shelf.quarantined(&promised)?);
            inventory.quarantine.extend(without_record(shelf, &promised)?);
        }
        inventory.quarantine.sort_by_key(|it| (it.promised, it.found));
        Ok(inventory)
    }
}

fn standing(
    shelf: &Shelf,
    digest: Sha256,
    size_bytes: u64,
    path: &Path,
    verified: bool,
) -> Result<Option<Standing>, DiskError> {
    let Some(placed) = last_written(path)? else { return Ok(None) };
    let last_used = shelf.last_lease(&digest)?.map_or(placed.1, |it| it.max(placed.1));
    let leased = shelf.is_leased(&digest)?;
    Ok(Some(Standing { digest, size_bytes, last_used, verified, leased }))
}

/// Finds bytes that a crash locked away without their record.
fn without_record(shelf: &Shelf, promised: &Sha256) -> Result<Vec<Quarantined>, DiskError> {
    let folder = shelf.quarantine_folder().join(promised.to_string());
    let recorded = shelf.quarantined(promised)?.into_iter().map(|it| it.found).collect::<Vec<_>>();
    let mut strays = Vec::new();
    for name in durable::names(&folder)? {
        let Some(found) = name.to_str().and_then(|it| Sha256::parse(it).ok()) else { continue };
        if recorded.contains(&found) {
            continue;
        }
        let Some((found_size_bytes, last)) = last_written(&folder.join(&name))? else { continue };
        strays.push(Quarantined {
            promised: *promised,
            promised_size_bytes: 0,
            found,
            found_size_bytes,
            source: "unknown".to_owned(),
            first: last,
            last,
            count: 1,
        });
    }
    Ok(strays)
}

/// Adds up a leftover; a folder of parts is as new as the newest of them.
fn leftover(path: &Path) -> Result<Option<Leftover>, DiskError> {
    let Some((mut size_bytes, mut last_written_at)) = last_written(path)? else { return Ok(None) };
    if path.is_dir() {
        for name in durable::names(path)? {
            if let Some((more, at)) = last_written(&path.join(name))? {
                size_bytes += more;
                last_written_at = last_written_at.max(at);
            }
        }
    }
    Ok(Some(Leftover { path: path.to_owned(), size_bytes, last_written: last_written_at }))
}

pub(super) fn last_written(path: &Path) -> Result<Option<(u64, UnixSeconds)>, DiskError> {
    match fs::symlink_metadata(path) {
        Ok(it) => {
            let size_bytes = if it.is_dir() { 0 } else { it.len() };
            Ok(Some((size_bytes, UnixSeconds(it.mtime().try_into().unwrap_or(0)))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("look at", path)(error)),
    }
}
