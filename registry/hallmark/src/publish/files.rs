//! The files that are here, and those that the entry lists.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use base::{EntryPath, Sha256};
use serde_json::{Map, Value};
use vault::upload::{Addition, Bytes};

use super::{CARD, METADATA};
use crate::add::measure;

/// More than any model has.
const FILES_MAX: usize = 2_000;
const DEPTH_MAX: usize = 8;
/// A card is a text that people read.
const CARD_BYTES_MAX: u64 = 4 << 20;

/// What is here.
#[derive(Debug, Default)]
pub(super) struct Found {
    by_digest: BTreeMap<Sha256, (PathBuf, u64)>,
    /// Files that were named one by one, and so have to be of use.
    named: Vec<(PathBuf, Sha256)>,
    /// The text of a card.
    pub(super) card: Option<String>,
}

/// A file that the entry lists.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) digest: Sha256,
    pub(super) size_bytes: u64,
}

impl Listed {
    /// Lists the main file and then its companions.
    pub(super) fn of(entry: &Map<String, Value>) -> anyhow::Result<Vec<Self>> {
        let artifact = entry.get("artifact").context("the entry has no artifact")?;
        let companions = artifact.get("files").and_then(Value::as_array).into_iter().flatten();
        let files = std::iter::once((artifact, "filename")).chain(companions.map(|it| (it, "path")));
        let listed = files.map(|(file, name)| {
            let text = |name: &str| file.get(name).and_then(Value::as_str).unwrap_or_default();
            let path = EntryPath::parse(text(name)).context("read the entry's files")?.to_string();
            ensure!(
                path != CARD && path != METADATA,
                "the entry lists {path}, which publishing writes anew: take it out of artifact.files"
            );
            let digest =
                Sha256::parse(text("sha256")).with_context(|| format!("read the digest of {path}"))?;
            let size_bytes = file.get("sizeBytes").and_then(Value::as_u64);
            let size_bytes = size_bytes.with_context(|| format!("read the size of {path}"))?;
            Ok(Self { path, digest, size_bytes })
        });
        listed.collect()
    }
}

impl Found {
    /// Hashes all files that were named, and all in the folders that were.
    pub(super) fn look(named: &[PathBuf]) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for place in named {
            if place.is_dir() {
                found.walk(place, 0)?;
            } else if place.file_name().is_some_and(|it| it == CARD) {
                found.take_card(place)?;
            } else {
                let digest = found.take(place)?;
                found.named.push((place.clone(), digest));
            }
        }
        Ok(found)
    }

    /// Says whether a file with this digest is here.
    pub(super) fn has(&self, digest: &str) -> bool {
        Sha256::parse(digest).is_ok_and(|it| self.by_digest.contains_key(&it))
    }

    /// Finds each listed file, or says which are missing. A file that was named and is not listed is refused.
    pub(super) fn match_up(&self, listed: &[Listed]) -> Result<Vec<Addition>, Vec<String>> {
        let addition = |it: &Listed| {
            let (place, size_bytes) =
                self.by_digest.get(&it.digest).filter(|found| found.1 == it.size_bytes)?;
            let bytes = Bytes::File { place: place.clone(), digest: it.digest, size_bytes: *size_bytes };
            Some(Addition { path: it.path.clone(), bytes })
        };
        let missing = listed
            .iter()
            .filter(|it| addition(it).is_none())
            .map(|it| format!("{} ({} bytes, sha256 {})", it.path, it.size_bytes, it.digest));
        let unlisted = self.named.iter().filter(|(_, digest)| !listed.iter().any(|it| it.digest == *digest));
        let unlisted = unlisted.map(|(place, digest)| {
            format!("{} (sha256 {digest}) is here, but not in the entry", place.display())
        });
        let wrong = missing.chain(unlisted).collect::<Vec<_>>();
        if wrong.is_empty() { Ok(listed.iter().filter_map(addition).collect()) } else { Err(wrong) }
    }

    fn walk(&mut self, folder: &Path, depth: usize) -> anyhow::Result<()> {
        ensure!(depth < DEPTH_MAX, "{} has folders deeper than {DEPTH_MAX} levels", folder.display());
        for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
            let place = entry.with_context(|| format!("list {}", folder.display()))?.path();
            let name = place.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with('.') {
                continue;
            }
            if place.is_dir() {
                self.walk(&place, depth + 1)?;
            } else if depth == 0 && name == CARD {
                self.take_card(&place)?;
            } else if place.is_file() {
                self.take(&place)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, place: &Path) -> anyhow::Result<Sha256> {
        ensure!(
            self.by_digest.len() < FILES_MAX,
            "there are more than {FILES_MAX} files: name those of the model"
        );
        let measured = measure(place)?;
        self.by_digest.insert(measured.digest, (place.to_owned(), measured.size_bytes));
        Ok(measured.digest)
    }

    fn take_card(&mut self, place: &Path) -> anyhow::Result<()> {
        let size_bytes = place.metadata().with_context(|| format!("look at {}", place.display()))?.len();
        if size_bytes > CARD_BYTES_MAX {
            bail!("{} has {size_bytes} bytes, more than any card", place.display());
        }
        let text = fs::read_to_string(place).with_context(|| format!("read {}", place.display()))?;
        self.card = Some(text);
        Ok(())
    }
}
