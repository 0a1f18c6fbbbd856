//! Models and what they are made of: datasets, computations, algorithms, experiments, validations.

use base::Sha256;

use super::content::DatasetContent;
use super::view::view;
use crate::event::Kind;

view! {
    /// A version of a model (30404).
    Model = Kind::MODEL;
    /// The model's id in the catalog.
    model_id: text,
    /// Which version.
    version: text,
    /// The digest of its main file.
    sha256: text,
    /// The size of its main file in bytes.
    size: text,
    /// Under which license.
    license: text,
    /// What went into it and how much of each, `name:weight`.
    contrib: elements,
}

view! {
    /// A dataset (30405).
    Dataset = Kind::DATASET;
    /// The project it belongs to.
    project_id: text,
    /// The task it belongs to.
    task_id: text,
    /// What it is about.
    category: text,
    /// How it is written.
    format: text,
    /// Who made it; hashes or names.
    contributors: list,
}

view! {
    /// A computation (30406).
    Compute = Kind::COMPUTE;
    /// What kind of computation.
    compute_type: text,
}

view! {
    /// An algorithm (30407).
    Algo = Kind::ALGO;
    /// What kind of algorithm.
    algo_type: text,
}

view! {
    /// The result of a validation (30408).
    Valid = Kind::VALID;
    /// What came out; [`ValidResult`] for those of this project.
    valid_result: text,
    /// The model it is about.
    model_id: text,
    /// On which host.
    host: text,
    /// The digest that was found.
    digest: text,
    /// Why, in words.
    cause: text,
}

view! {
    /// A fine-tuning experiment (30409).
    Finetune = Kind::FINETUNE;
    /// The project it belongs to.
    project_id: text,
    /// The task it belongs to.
    task_id: text,
    /// The dataset it used.
    dataset_id: text,
    /// Who computed it.
    provider_id: text,
    /// The model it began with. Not every example has one.
    model_name: text,
}

/// What a host found out about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidResult {
    /// Every byte is what was promised.
    Verified,
    /// The bytes are others.
    Mismatch,
    /// It is in use.
    Deployed,
    /// It is here, and policy says not yet.
    Held,
    /// Nobody asks for it any more.
    Withdrawn,
}

impl ValidResult {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Verified, "verified"),
        (Self::Mismatch, "mismatch"),
        (Self::Deployed, "deployed"),
        (Self::Held, "held"),
        (Self::Withdrawn, "withdrawn"),
    ];

    /// Reads the result; others than ours may say anything.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|it| it.1 == text).map(|it| it.0)
    }

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|it| it.0 == self).map_or("", |it| it.1)
    }
}

/// A part of a model and its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The part.
    pub name: String,
    /// How much it counts.
    pub weight: Decimal,
}

/// An exact decimal: `units` divided by ten to the power of `scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// The digits as one number.
    pub units: u64,
    /// How many of them stand behind the point.
    pub scale: u8,
}

impl Decimal {
    /// Reads digits, at most one point, and no more than 18 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = [whole, fraction].concat();
        let is_number =
            !digits.is_empty() && digits.len() <= 18 && digits.bytes().all(|it| it.is_ascii_digit());
        let scale = u8::try_from(fraction.len()).ok()?;
        is_number.then(|| digits.parse().ok()).flatten().map(|units| Self { units, scale })
    }
}

impl Model {
    /// Returns the digest of the model's main file, if the tag has one.
    pub fn digest(&self) -> Option<Sha256> {
        Sha256::parse(self.sha256.as_deref()?).ok()
    }

    /// Returns the parts and their weights, if every one of them can be read.
    pub fn weights(&self) -> Option<Vec<Weight>> {
        let weight = |it: &String| {
            let (name, weight) = it.split_once(':')?;
            Some(Weight { name: name.trim().to_owned(), weight: Decimal::parse(weight.trim())? })
        };
        self.contrib.iter().map(weight).collect()
    }
}

impl Dataset {
    /// Reads the samples, and how more of them are to be generated, from the content.
    pub fn content(content: &str) -> Option<DatasetContent> {
        serde_json::from_str(content).ok()
    }
}

impl Valid {
    /// Returns the result, if it is one of ours.
    pub fn result(&self) -> Option<ValidResult> {
        ValidResult::parse(self.valid_result.as_deref()?)
    }
}
