//! Doing what was decided.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use serde::Serialize;

use super::{Drop, Plan, inventory::last_written};
use crate::{
    DiskError, Shelf,
    durable::{self, at},
};

/// What a sweep did.
#[derive(Debug, Default, Serialize)]
pub struct Swept {
    /// How many files left the shelf.
    pub objects: u64,
    /// How many partials went.
    pub partials: u64,
    /// How many quarantined files went.
    pub quarantine: u64,
    /// How many bytes that freed.
    pub freed_bytes: u64,
    /// How many files stayed since somebody used them after the plan was made.
    pub in_use: u64,
    /// What could not be deleted. The rest was.
    #[serde(serialize_with = "as_texts")]
    pub failed: Vec<SweepError>,
}

/// Why one file was not deleted. The sweep went on with the others.
#[derive(Debug, thiserror::Error)]
#[error("gc leaves {name} where it is")]
pub struct SweepError {
    name: String,
    source: DiskError,
}

/// Deletes what the plan names, except what came into use since.
pub fn sweep(shelf: &Shelf, plan: &Plan) -> Swept {
    let mut swept = Swept::default();
    for it in &plan.drops {
        let done = drop_standing(shelf, it);
        if swept.note(done, &it.standing.digest, it.standing.size_bytes) {
            swept.objects += 1;
        }
    }
    for it in &plan.partials {
        let done = drop_leftover(&it.path, |written| written <= it.last_written);
        if swept.note(done, &it.path.display(), it.size_bytes) {
            swept.partials += 1;
        }
    }
    for it in &plan.quarantine {
        let done = shelf.release(it);
        if swept.note(done, &format_args!("quarantine/{}/{}", it.promised, it.found), it.found_size_bytes) {
            swept.quarantine += 1;
        }
    }
    swept
}

impl Swept {
    /// Books one result; returns whether bytes were freed.
    fn note(&mut self, done: Result<bool, DiskError>, name: &dyn std::fmt::Display, size_bytes: u64) -> bool {
        match done {
            Ok(true) => {
                self.freed_bytes += size_bytes;
                return true;
            }
            Ok(false) => self.in_use += 1,
            Err(source) => self.failed.push(SweepError { name: name.to_string(), source }),
        }
        false
    }
}

/// Returns false if the file is in use.
fn drop_standing(shelf: &Shelf, planned: &Drop) -> Result<bool, DiskError> {
    let standing = &planned.standing;
    // From here on nobody gets a lease, and with it no new use, until this function ends.
    let Some(eviction) = shelf.evict(&standing.digest)? else { return Ok(false) };
    let path = if standing.verified {
        shelf.object_path(&standing.digest)
    } else {
        shelf.loose_path(&standing.digest)
    };
    let placed = last_written(&path)?.map(|it| it.1);
    let used = eviction.last_lease()?.max(placed);
    if used.is_some_and(|it| it > standing.last_used) {
        eviction.give_back()?;
        return Ok(false);
    }
    let removed = if standing.verified {
        shelf.remove_object(&standing.digest)?
    } else {
        shelf.remove_loose(&standing.digest)?
    };
    eviction.forget()?;
    Ok(removed)
}

/// Removes a partial, unless somebody wrote to it since.
fn drop_leftover(path: &Path, is_stale: impl Fn(base::UnixSeconds) -> bool) -> Result<bool, DiskError> {
    match last_written(path)? {
        Some((_, written)) if is_stale(written) => {}
        _ => return Ok(false),
    }
    if path.is_file() {
        let file = File::open(path).map_err(at("open the partial", path))?;
        return match file.try_lock() {
            Ok(()) => durable::remove(path),
            // A download that has waited for long still holds its file.
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(at("lock the partial", path)(error)),
        };
    }
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at("remove", path)(error)),
    }
}

fn as_texts<S: serde::Serializer>(errors: &[SweepError], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(errors.iter().map(|it| format!("{it}: {}", it.source)))
}
