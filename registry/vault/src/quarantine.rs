//! Quarantine: bytes that are not what was promised, kept apart with both digests until they age out.
//!
//! They stand under `quarantine/<promised>/<found>`, in a folder that only the service may enter, beside a
//! record of how they came. The same wrong bytes twice are kept once and counted: twice the same digest says
//! that the index is wrong, two different ones say that the transfer is.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use base::{Sha256, UnixSeconds};
use serde::{Deserialize, Serialize};

use crate::{
    DiskError, Refused, Shelf,
    durable::{self, at},
};

const LOCK_PATIENCE: Duration = Duration::from_secs(30);
/// A record is a few hundred bytes; a longer file is no record of ours.
const RECORD_BYTES_MAX: u64 = 64 << 10;

/// What is known about bytes in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The digest that the catalog promised.
    pub promised: Sha256,
    /// The size that the catalog promised.
    pub promised_size_bytes: u64,
    /// The digest that the bytes have.
    pub found: Sha256,
    /// The size that the bytes have.
    pub found_size_bytes: u64,
    /// Where they came from last, without query or credentials.
    pub source: String,
    /// When they came first.
    pub first: UnixSeconds,
    /// When they came last.
    pub last: UnixSeconds,
    /// How often these same wrong bytes came.
    pub count: u32,
}

impl Shelf {
    /// Moves refused bytes to quarantine. Returns the record, which counts how often the same ones came.
    pub fn quarantine(&self, refused: &Refused, now: UnixSeconds) -> Result<Quarantined, DiskError> {
        let record = Quarantined {
            promised: refused.promised,
            promised_size_bytes: refused.promised_bytes,
            found: refused.found,
            found_size_bytes: refused.found_bytes,
            source: without_secrets(&refused.origin),
            first: now,
            last: now,
            count: 1,
        };
        self.lock_away(&refused.path, record)
    }

    /// Takes a damaged object off the shelf: one rename, after which no view leads to it.
    ///
    /// Returns `None` if the damaged file stands there no more; a good one may have taken its place meanwhile.
    pub(crate) fn quarantine_object(
        &self,
        damaged: &fs::File,
        record: Quarantined,
    ) -> Result<Option<Quarantined>, DiskError> {
        let path = self.object_path(&record.promised);
        if !durable::same_file(damaged, &path)? {
            return Ok(None);
        }
        let away = durable::temporary(&self.partials());
        durable::rename(&path, &away)?;
        if !durable::same_file(damaged, &away)? {
            // It was replaced between the two calls. What was taken by mistake was just placed, so it is whole.
            durable::rename(&away, &path)?;
            return Ok(None);
        }
        self.lock_away(&away, record).map(Some)
    }

    /// Returns what came instead of the promised bytes, in the order of the digests found.
    pub fn quarantined(&self, promised: &Sha256) -> Result<Vec<Quarantined>, DiskError> {
        let folder = self.quarantine_folder().join(promised.to_string());
        let mut records = Vec::new();
        for name in durable::names(&folder)? {
            let path = folder.join(&name);
            if path.extension().is_some_and(|it| it == "json") {
                records.extend(read(&path)?);
            }
        }
        Ok(records)
    }

    /// Returns the promised digests of all that is in quarantine.
    pub fn quarantined_promises(&self) -> Result<Vec<Sha256>, DiskError> {
        let names = durable::names(&self.quarantine_folder())?;
        Ok(names.iter().filter_map(|it| Sha256::parse(it.to_str()?).ok()).collect())
    }

    /// Returns where quarantined bytes are.
    pub fn quarantined_path(&self, promised: &Sha256, found: &Sha256) -> PathBuf {
        self.quarantine_folder().join(promised.to_string()).join(found.to_string())
    }

    /// Deletes quarantined bytes and their record, unless they came again after `last`.
    pub(crate) fn release(&self, record: &Quarantined) -> Result<bool, DiskError> {
        let _lock = self.lock_quarantine()?;
        let path = self.quarantined_path(&record.promised, &record.found);
        if read(&path.with_extension("json"))?.is_some_and(|it| it.last > record.last) {
            return Ok(false);
        }
        durable::remove(&path)?;
        durable::remove(&path.with_extension("json"))?;
        let folder = self.quarantine_folder().join(record.promised.to_string());
        match fs::remove_dir(&folder) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(true),
            Err(error) => Err(at("remove the empty folder", &folder)(error)),
        }
    }

    fn lock_away(&self, from: &Path, mut record: Quarantined) -> Result<Quarantined, DiskError> {
        let _lock = self.lock_quarantine()?;
        let path = self.quarantined_path(&record.promised, &record.found);
        durable::folder(path.parent().unwrap_or(&path), 0o700)?;
        if let Some(earlier) = read(&path.with_extension("json"))? {
            record.first = earlier.first;
            record.count = earlier.count.saturating_add(1);
        }
        // The bytes go first: after a crash between the two, bytes without a record are found again by gc,
        // while a record without bytes would claim evidence that does not exist.
        fs::set_permissions(from, Permissions::from_mode(0o400)).map_err(at("set the rights of", from))?;
        durable::rename(from, &path)?;
        let json =
            serde_json::to_vec_pretty(&record).map_err(|it| at("write the record of", &path)(it.into()))?;
        durable::write(&self.partials(), &path.with_extension("json"), &json, 0o600)?;
        Ok(record)
    }

    fn lock_quarantine(&self) -> Result<fs::File, DiskError> {
        durable::lock(&self.quarantine_folder().join(".lock"), 0o600, LOCK_PATIENCE)
    }
}

fn read(path: &Path) -> Result<Option<Quarantined>, DiskError> {
    match fs::symlink_metadata(path) {
        Ok(it) if it.len() > RECORD_BYTES_MAX => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at("look at", path)(error)),
    }
    let bytes = fs::read(path).map_err(at("read", path))?;
    // An unreadable record is replaced by the next one; the bytes beside it count more than their history.
    Ok(serde_json::from_slice(&bytes).ok())
}

/// Cuts off what may hold a signature or a password: the query, the fragment, the user.
fn without_secrets(source: &str) -> String {
    let source = source.split(['?', '#']).next().unwrap_or_default();
    match source.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.find('/').map_or((rest, ""), |it| rest.split_at(it));
            format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or_default())
        }
        None => source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{VerifyError, shelf::testing::shelf, verify_file};

    fn refused(shelf: &Shelf, bytes: &[u8], origin: &str) -> Refused {
        let path = durable::temporary(&shelf.partials());
        fs::write(&path, bytes).unwrap();
        match verify_file(&path, Sha256::of(b"promised"), 8) {
            Err(VerifyError::Refused(it)) => Refused { origin: origin.to_owned(), ..*it },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_wrong_bytes_twice_are_kept_once_and_counted() {
        let (_folder, shelf) = shelf();
        let promised = Sha256::of(b"promised");
        for now in [10, 20] {
            let source = "https://user:secret@hub.example/a/b?X-Signature=secret#secret";
            shelf.quarantine(&refused(&shelf, b"wrong", source), UnixSeconds(now)).unwrap();
        }
        shelf.quarantine(&refused(&shelf, b"other", "seed/file"), UnixSeconds(30)).unwrap();
        let records = shelf.quarantined(&promised).unwrap();
        let wrong = records.iter().find(|it| it.found == Sha256::of(b"wrong")).unwrap();
        assert_eq!((wrong.count, wrong.first, wrong.last), (2, UnixSeconds(10), UnixSeconds(20)));
        assert_eq!(wrong.source, "https://hub.example/a/b");
        assert_eq!(records.len(), 2);
        assert_eq!(fs::read(shelf.quarantined_path(&promised, &wrong.found)).unwrap(), b"wrong");
        assert_eq!(shelf.object(&promised).unwrap(), None);
        assert_eq!(durable::names(&shelf.partials()).unwrap().len(), 0);
    }

    #[test]
    fn what_came_again_since_the_plan_is_not_released() {
        let (_folder, shelf) = shelf();
        let first = shelf.quarantine(&refused(&shelf, b"wrong", "a"), UnixSeconds(10)).unwrap();
        let again = shelf.quarantine(&refused(&shelf, b"wrong", "a"), UnixSeconds(20)).unwrap();
        assert!(!shelf.release(&first).unwrap());
        assert!(shelf.release(&again).unwrap());
        assert_eq!(shelf.quarantined_promises().unwrap(), []);
    }
}
