//! The index file: read once, written whole, never over somebody else's change.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use catalog::{
    Contract, Report,
    edit::{Change, Edited},
    watch::read_index_file,
};
use serde_json::{Map, Value};

/// How long to wait for another `hallmark add`, which holds the lock only while it writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// An index as it was found.
#[derive(Debug)]
pub(crate) struct Index {
    /// The file itself, behind whatever links lead to it.
    path: PathBuf,
    bytes: Vec<u8>,
}

/// An index that no other `hallmark add` writes.
#[derive(Debug)]
pub(crate) struct Locked {
    index: Index,
    file: File,
}

impl Index {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let bytes = read_index_file(path)?;
        let path = fs::canonicalize(path).with_context(|| format!("find {}", path.display()))?;
        Ok(Self { path, bytes })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Waits until nobody else writes, and reads again: to hash a large file takes long, and others may have added
    /// theirs meanwhile. The entry with this id must still be the one that was read.
    pub(crate) fn lock(self, id: &str, read: Option<&Map<String, Value>>) -> anyhow::Result<Locked> {
        let file = lock(&self.path)?;
        let bytes = read_index_file(&self.path)?;
        if bytes != self.bytes {
            let now = catalog::edit::find(&bytes, id)?;
            ensure!(
                now.as_ref() == read,
                "{} changed meanwhile, and {id} in it: try again",
                self.path.display()
            );
        }
        Ok(Locked { index: Self { bytes, ..self }, file })
    }
}

/// What became of an entry.
#[derive(Debug)]
pub(crate) enum Put {
    /// The index would not hold with it; nothing was written.
    Refused(Vec<u8>, Report),
    /// It stands in the index now.
    Done(Change, Report),
}

impl Locked {
    /// Puts an entry into the index, if the index holds with it; if it is only to be tried, nothing is written.
    pub(crate) fn put(
        self,
        entry: &Map<String, Value>,
        contract: &Contract,
        only_try: bool,
    ) -> anyhow::Result<Put> {
        let Edited { text, change } = catalog::edit::put(&self.index.bytes, entry, contract)?;
        let report = catalog::validate(text.as_bytes(), contract);
        if !report.holds(false) {
            return Ok(Put::Refused(text.into_bytes(), report));
        }
        if !only_try && change != Change::Nothing {
            self.replace(text.as_bytes())?;
        }
        Ok(Put::Done(change, report))
    }

    /// Puts a new text in the file's place, with the file's mode and owner. A reader finds the old text or the new one.
    fn replace(self, text: &[u8]) -> anyhow::Result<()> {
        let path = &self.index.path;
        let folder = path.parent().context("find the folder of the index")?;
        let old = self.file.metadata().with_context(|| format!("look at {}", path.display()))?;
        let mut new = tempfile::Builder::new()
            .prefix(".index-")
            .suffix(".tmp")
            .tempfile_in(folder)
            .with_context(|| format!("make a file in {}", folder.display()))?;
        new.write_all(text).context("write the new index")?;
        let is_same = |it: &fs::Metadata| (it.uid(), it.gid()) == (old.uid(), old.gid());
        let file = new.as_file();
        if !is_same(&file.metadata().context("look at the new index")?) {
            let (user, group) = (Some(old.uid()), Some(old.gid()));
            // Only a superuser can give files away; for anybody else the new file is their own, as an editor's is.
            match std::os::unix::fs::fchown(file, user, group) {
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                    return Err(error).context("keep the owner of the index");
                }
                _ => {}
            }
        }
        file.set_permissions(Permissions::from_mode(old.mode())).context("keep the mode of the index")?;
        file.sync_all().context("write the new index to disk")?;
        // An editor takes no lock: this is the last moment to see what it saved.
        ensure!(
            read_index_file(path)? == self.index.bytes,
            "{} changed meanwhile, so it was left as it is: try again",
            path.display()
        );
        new.persist(path).with_context(|| format!("put the new index in the place of {}", path.display()))?;
        File::open(folder).and_then(|it| it.sync_all()).with_context(|| format!("sync {}", folder.display()))
    }
}

/// Locks the file that has the name now: whoever replaced it meanwhile locked another one.
fn lock(path: &Path) -> anyhow::Result<File> {
    let started = Instant::now();
    loop {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {
                let (held, named) = (file.metadata()?, path.metadata()?);
                if (held.dev(), held.ino()) == (named.dev(), named.ino()) {
                    return Ok(file);
                }
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error).context("lock the index"),
        }
        if started.elapsed() > PATIENCE {
            bail!("{} is locked by another program for {} seconds", path.display(), PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
