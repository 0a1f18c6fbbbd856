//! One entry of the index as a type: what the schema promises, a field can no longer break.

mod text;

use std::collections::BTreeMap;

use base::{CommitId, ModelId, Sha256};
use semver::Version;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

pub use text::{Commit, NonEmpty, Tag, Tags, Timestamp, Uri};

use crate::document::{Node, TypeError};

/// One model of the index.
///
/// What hallmark relies on stands in fields of its own; the rest depends on whose schema is in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The model's name.
    pub id: ModelId,
    /// Its semantic version.
    pub version: Version,
    /// Its files.
    pub artifact: Artifact,
    /// Its licence as an SPDX expression, as it is written.
    pub license: NonEmpty,
    /// Who made it, in which run, with what result.
    pub provenance: Provenance,
    /// What else the schema asks for.
    #[serde(flatten)]
    pub taxonomy: Taxonomy,
}

/// The part of an entry that an organisation's own schema may replace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Taxonomy {
    /// The one of our schema.
    Ours(Box<Ours>),
    /// Another one, kept as it stands.
    Other(Map<String, Value>),
}

/// What our schema asks for besides the fixed fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ours {
    /// The energy centre that the model is filed under.
    pub chakra: Chakra,
    /// The frequency assigned to it.
    pub frequency_hz: FrequencyHz,
    /// The form it is aligned with.
    pub geometry: Geometry,
    /// For how long what it says stays applicable.
    pub temporal_scope: TemporalScope,
    /// Words to find it by.
    pub semantic_tags: Tags,
    /// What it was trained on.
    pub dataset: Dataset,
    /// How it was trained.
    pub training: Training,
    /// What it does.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What a reader should know besides.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// The energy centres that models are filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the whole meaning")]
pub enum Chakra {
    Muladhara,
    Svadhisthana,
    Manipura,
    Anahata,
    Vishuddha,
    Ajna,
    Sahasrara,
    Soma,
    Jnana,
}

/// For how long what a model says stays applicable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the whole meaning")]
pub enum TemporalScope {
    Ephemeral,
    Session,
    Daily,
    Weekly,
    Monthly,
    Seasonal,
    Annual,
    Eternal,
}

/// A frequency from 0 to 10,000 hertz.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct FrequencyHz(f64);

impl TryFrom<f64> for FrequencyHz {
    type Error = &'static str;

    fn try_from(hertz: f64) -> Result<Self, Self::Error> {
        if (0.0..=10_000.0).contains(&hertz) { Ok(Self(hertz)) } else { Err("a frequency is 0 to 10000 Hz") }
    }
}

impl From<FrequencyHz> for f64 {
    fn from(frequency: FrequencyHz) -> Self {
        frequency.0
    }
}

/// A share from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

impl TryFrom<f64> for Share {
    type Error = &'static str;

    fn try_from(share: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err("a share is 0 to 1") }
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

/// How many dimensions a form has, 1 to 13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Dimensions(u8);

impl TryFrom<u8> for Dimensions {
    type Error = &'static str;

    fn try_from(dimensions: u8) -> Result<Self, Self::Error> {
        if (1..=13).contains(&dimensions) {
            Ok(Self(dimensions))
        } else {
            Err("a form has 1 to 13 dimensions")
        }
    }
}

impl From<Dimensions> for u8 {
    fn from(dimensions: Dimensions) -> Self {
        dimensions.0
    }
}

/// A size that JSON programs agree on: 0 to 2^53 - 1 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct SizeBytes(u64);

impl SizeBytes {
    /// Returns the size.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for SizeBytes {
    type Error = &'static str;

    fn try_from(bytes: u64) -> Result<Self, Self::Error> {
        if bytes < 1 << 53 { Ok(Self(bytes)) } else { Err("a size is less than 2^53 bytes") }
    }
}

impl From<SizeBytes> for u64 {
    fn from(size: SizeBytes) -> Self {
        size.0
    }
}

/// A whole number of any size, as a seed may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Number", into = "Number")]
pub struct Integer(Number);

impl TryFrom<Number> for Integer {
    type Error = &'static str;

    fn try_from(number: Number) -> Result<Self, Self::Error> {
        let whole = number.as_f64().is_some_and(|it| it.fract() == 0.0);
        if whole { Ok(Self(number)) } else { Err("this is no whole number") }
    }
}

impl From<Integer> for Number {
    fn from(integer: Integer) -> Self {
        integer.0
    }
}

/// The form a model is aligned with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Geometry {
    /// The form's name.
    pub pattern: NonEmpty,
    /// How many dimensions it has.
    pub dimensions: Dimensions,
    /// A position in it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Vec<f64>>,
}

/// What a model was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its name where it is published.
    pub id: NonEmpty,
    /// Its exact state.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// Where it can be read.
    pub url: Uri,
}

/// How a model was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The repository with the code.
    pub repo: Uri,
    /// Its exact state.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The command that was run.
    pub command: NonEmpty,
    /// How long it took.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// What it ran on.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub hardware: Option<String>,
}

/// A model's files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The main file's name.
    pub filename: NonEmpty,
    /// The digest of its bytes.
    pub sha256: Sha256,
    /// How many there are.
    pub size_bytes: SizeBytes,
    /// What format it claims to be.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub format: Option<NonEmpty>,
    /// Where it is fetched from.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub download_url: Option<Uri>,
    /// The commit that a branch in the URL stands for.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub revision: Option<CommitId>,
    /// What a client needs besides to load the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Companion>,
}

/// A file that a client needs to load the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Companion {
    /// Its place in the model's folder.
    pub path: NonEmpty,
    /// The digest of its bytes.
    pub sha256: Sha256,
    /// How many there are.
    pub size_bytes: SizeBytes,
    /// Where it is fetched from; without it, beside the main file.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub download_url: Option<Uri>,
}

/// Who made a model, in which run, with what result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What identifies the run.
    pub run_id: NonEmpty,
    /// When the model was made.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// Who trained it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// What was measured.
    pub metrics: Metrics,
    /// What it takes to repeat the run.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub reproducibility: Option<Reproducibility>,
}

/// What was measured in training and evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The loss at the end.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// The share of right answers.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Share>,
    /// The perplexity on the evaluation set.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// Everything else, under its own name.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// What it takes to repeat a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reproducibility {
    /// The random seed.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub seed: Option<Integer>,
    /// The software, or a digest of it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

impl Entry {
    /// Reads an entry of our own schema: nothing is missing, nothing is left over.
    pub fn read_ours(node: Node<'_>) -> Result<Self, TypeError> {
        let (fixed, rest) = Fixed::split(node)?;
        let known = |name: &str| {
            ["chakra", "frequencyHz", "geometry", "temporalScope", "semanticTags", "dataset", "training"]
                .contains(&name)
                || matches!(name, "description" | "notes")
        };
        if let Some(name) = rest.iter().find(|name| !known(name)) {
            return Err(serde::de::Error::custom(format!("unknown field {name}")));
        }
        Ok(fixed.with(Taxonomy::Ours(Box::new(node.read()?))))
    }

    /// Reads an entry of another schema: the fixed fields are ours, the rest stays as it is.
    pub fn read_other(node: Node<'_>) -> Result<Self, TypeError> {
        let (fixed, rest) = Fixed::split(node)?;
        let rest = rest.into_iter().filter_map(|name| node.get(&name).map(|it| (name, it.to_value())));
        Ok(fixed.with(Taxonomy::Other(rest.collect())))
    }

    /// Returns the energy centre the model is filed under, if the schema in force knows such a thing.
    pub fn chakra(&self) -> Option<String> {
        match &self.taxonomy {
            // The names in the document are the variants' own, in lower case.
            Taxonomy::Ours(ours) => Some(format!("{:?}", ours.chakra).to_lowercase()),
            Taxonomy::Other(rest) => rest.get("chakra")?.as_str().map(str::to_owned),
        }
    }

    /// Returns the tags the model can be found by.
    pub fn tags(&self) -> Vec<&str> {
        match &self.taxonomy {
            Taxonomy::Ours(ours) => ours.semantic_tags.iter().collect(),
            Taxonomy::Other(rest) => {
                let tags = rest.get("semanticTags").and_then(Value::as_array);
                tags.into_iter().flatten().filter_map(Value::as_str).collect()
            }
        }
    }

    /// Returns what the model does, in a sentence.
    pub fn description(&self) -> Option<&str> {
        match &self.taxonomy {
            Taxonomy::Ours(ours) => ours.description.as_deref(),
            Taxonomy::Other(rest) => rest.get("description")?.as_str(),
        }
    }
}

/// The fields that no schema changes.
#[derive(Deserialize)]
struct Fixed {
    id: ModelId,
    version: Version,
    artifact: Artifact,
    license: NonEmpty,
    provenance: Provenance,
}

impl Fixed {
    /// Reads the fixed fields, and names the others.
    fn split(node: Node<'_>) -> Result<(Self, Vec<String>), TypeError> {
        let fixed: Self = node.read()?;
        let names = node.members().filter_map(|(key, _)| key.as_str()).map(std::borrow::Cow::into_owned);
        let is_fixed = |name: &str| matches!(name, "id" | "version" | "artifact" | "license" | "provenance");
        Ok((fixed, names.filter(|name| !is_fixed(name)).collect()))
    }

    fn with(self, taxonomy: Taxonomy) -> Entry {
        let Self { id, version, artifact, license, provenance } = self;
        Entry { id, version, artifact, license, provenance, taxonomy }
    }
}

/// Reads a field that may be left out but, if it is there, is not null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
