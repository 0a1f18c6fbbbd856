//! What happened to each model, kept across restarts: why it failed, what its bytes turned out to be.
//!
//! What stands on the disk is never recorded here: that is asked of the shelf and the views.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base::{ModelId, Sha256, UnixSeconds};
use serde::{Deserialize, Serialize};
use vault::inspect::Inspected;

use crate::policy::Objection;

/// The last thing that happened to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The digest of the main file that it is about: with another one, the record is over.
    pub(crate) digest: Sha256,
    pub(crate) at: UnixSeconds,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// What can happen to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// Every file verified, and it was deployed.
    Deployed {
        /// What a look inside the main file found.
        #[serde(skip_serializing_if = "Option::is_none")]
        inside: Option<Inside>,
        /// What came in place of promised files, by their digests, where the operator waived the check.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        waived: BTreeMap<Sha256, Sha256>,
        /// Which gate let it through, if one was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<Sha256>,
    },
    /// A file did not come.
    Failed {
        why: String,
        /// Whether nothing changes until the entry, a source or the token does.
        is_final: bool,
    },
    /// A file came and was another one.
    Quarantined { why: String },
    /// The policy objects.
    Held { why: Vec<Objection> },
}

/// What a look inside an artifact found, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inside {
    pub(crate) format: String,
    pub(crate) tensors: u64,
    pub(crate) parameters: u64,
    pub(crate) flaws: Vec<String>,
}

impl From<&Inspected> for Inside {
    fn from(it: &Inspected) -> Self {
        Self {
            format: it.format.to_string(),
            tensors: it.tensors,
            parameters: it.parameters,
            flaws: it.flaws.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The folder of records.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    folder: PathBuf,
}

impl Records {
    pub(crate) fn open(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("make the folder {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// Returns a model's record, if it is about these bytes.
    pub(crate) fn read(&self, id: &ModelId, digest: Sha256) -> anyhow::Result<Option<Record>> {
        let path = self.path(id);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        match serde_json::from_slice::<Record>(&text) {
            Ok(record) => Ok((record.digest == digest).then_some(record)),
            Err(error) => {
                // A record only explains; without it the model is looked at anew.
                tracing::warn!("Ignored the record {}: {error}", path.display());
                Ok(None)
            }
        }
    }

    /// Keeps what happened.
    pub(crate) fn write(&self, id: &ModelId, record: &Record) -> anyhow::Result<()> {
        let path = self.path(id);
        write_whole(&path, &serde_json::to_vec_pretty(record).context("write a record as JSON")?)
            .with_context(|| format!("write {}", path.display()))
    }

    fn path(&self, id: &ModelId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

/// Replaces a file in one step: a crash leaves the old one or the new one.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
