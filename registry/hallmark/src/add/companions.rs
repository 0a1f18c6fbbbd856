//! The files that a client needs besides the main one.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use base::EntryPath;
use serde_json::{Value, json};

use super::bytes::measure;

/// More than any model has besides its weights.
const FILES_MAX: usize = 1_000;
/// Folders within folders.
const DEPTH_MAX: usize = 8;
/// What publishing writes itself, so that a digest of it would never hold.
const WRITTEN_LATER: [&str; 2] = ["README.md", "metadata.json"];

/// A companion and where it stands on this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Companion {
    pub(crate) path: EntryPath,
    pub(crate) place: PathBuf,
}

/// Finds the companions: files as they are named, and of a folder all that is in it but the main file, what is
/// hidden, and what publishing writes.
pub(crate) fn find(named: &[PathBuf], main: &Path) -> anyhow::Result<Vec<Companion>> {
    let main = main.metadata().with_context(|| format!("look at {}", main.display()))?;
    let is_main = |it: &fs::Metadata| (it.dev(), it.ino()) == (main.dev(), main.ino());
    let mut found = Vec::new();
    for place in named {
        let metadata = place.metadata().with_context(|| format!("look at {}", place.display()))?;
        if metadata.is_dir() {
            walk(place, "", 0, &is_main, &mut found)?;
        } else {
            ensure!(!is_main(&metadata), "{} is the main file itself", place.display());
            let name = place.file_name().and_then(|it| it.to_str());
            let name = name.with_context(|| format!("{} has no name in UTF-8", place.display()))?;
            found.push(companion(name, place)?);
        }
    }
    found.sort();
    found.dedup();
    for pair in found.windows(2) {
        ensure!(
            pair[0].path != pair[1].path,
            "{} and {} would both be {}",
            pair[0].place.display(),
            pair[1].place.display(),
            pair[0].path
        );
    }
    Ok(found)
}

/// Hashes a companion, as the entry lists it.
pub(super) fn listed(companion: &Companion) -> anyhow::Result<Value> {
    let measured = measure(&companion.place)?;
    Ok(json!({ "path": companion.path, "sha256": measured.digest, "sizeBytes": measured.size_bytes }))
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    is_main: &dyn Fn(&fs::Metadata) -> bool,
    found: &mut Vec<Companion>,
) -> anyhow::Result<()> {
    ensure!(depth < DEPTH_MAX, "{} has folders deeper than {DEPTH_MAX} levels", folder.display());
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let place = entry.with_context(|| format!("list {}", folder.display()))?.path();
        let name = place.file_name().and_then(|it| it.to_str());
        let name = name.with_context(|| format!("{} has no name in UTF-8", place.display()))?;
        if name.starts_with('.') || (depth == 0 && WRITTEN_LATER.contains(&name)) {
            continue;
        }
        let path = format!("{prefix}{name}");
        let metadata = place.metadata().with_context(|| format!("look at {}", place.display()))?;
        if metadata.is_dir() {
            walk(&place, &format!("{path}/"), depth + 1, is_main, found)?;
        } else if !is_main(&metadata) {
            ensure!(found.len() < FILES_MAX, "{} has more than {FILES_MAX} files", folder.display());
            found.push(companion(&path, &place)?);
        }
    }
    Ok(())
}

fn companion(path: &str, place: &Path) -> anyhow::Result<Companion> {
    let path = EntryPath::parse(path).with_context(|| format!("name {} in the entry", place.display()))?;
    Ok(Companion { path, place: place.to_owned() })
}
