//! The ITEM card: which facts to look at, what to take from them, and which model judges them.
//!
//! - A card is read strictly: an unknown key, a wrong type or a missing limit is a [`Flaw`] with a code and a place.
//! - Features are compiled at once, but a wrong one fails an evaluation only when its turn comes: so did the first
//!   evaluators, and all must agree on which error comes first. [`Item::flaws`] says it before, for admission.
//! - The hash is that of the canonical text, so neither the order of keys nor white space matters.

mod feature;
mod model_name;
mod parts;

use base::digest::Sha256;

#[cfg(test)]
pub(crate) use feature::KEYS as FEATURE_KEYS;
pub(crate) use feature::type_after;
pub use feature::{Feature, Spec};
pub use model_name::{ModelName, ModelNameError};
#[cfg(test)]
pub(crate) use parts::{CONTROL_KEYS, FILTER_KEYS, JOB_KEYS, OUTPUT_KEYS, PROVENANCE_KEYS, QUERY_KEYS};
pub use parts::{Control, Direction, EventFilter, Job, Output, Provenance, Query, ResultFields};

use crate::{
    flaw::{Code, Flaw},
    json::{Json, hash_text},
    lint,
    reader::Reader,
};

/// The keys of a card.
pub(crate) const KEYS: [&str; 9] = ["v", "id", "s", "q", "e", "j", "o", "p", "ctl"];
/// The version that is understood.
pub(crate) const VERSION: &str = "1";
/// A card of more characters than this is accepted, and noted.
const SHORT_CHARS_MAX: usize = 800;
/// A card of more bytes than this is not read.
pub(crate) const TEXT_BYTES_MAX: usize = 64 << 10;
/// The longest id of an event.
pub(crate) const ID_BYTES_MAX: usize = 128;

/// Where a crawl starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At one event.
    Event(String),
    /// At all events that a query finds.
    Query(Query),
}

/// A card.
#[derive(Clone, Debug)]
pub struct Item {
    /// The name that its author gave it, if any.
    pub id: Option<String>,
    /// Where the crawl starts.
    pub start: Start,
    /// The event that ends it, if one does.
    pub end: Option<String>,
    /// What to extract, and which model judges it.
    pub job: Job,
    /// What is written back.
    pub output: Output,
    /// Who made the card.
    pub provenance: Option<Provenance>,
    /// What bounds the work.
    pub control: Control,
    canonical: String,
    hash: Sha256,
}

impl Item {
    /// Reads a card. A feature that is wrong stays in it; see [`Item::flaws`].
    pub fn read(text: &str) -> Result<Self, Vec<Flaw>> {
        if text.len() > TEXT_BYTES_MAX {
            let text = format!("a card has at most {TEXT_BYTES_MAX} bytes, this one has {}", text.len());
            return Err(vec![Flaw::new(Code::EItem, "", text)]);
        }
        let json = Json::parse(text).map_err(|error| vec![lint::explain(Code::EItem, text, &error)])?;
        Self::of_json(&json)
    }

    /// Reads a card and refuses it for anything that is wrong, as a ledger does.
    pub fn admit(text: &str) -> Result<Self, Vec<Flaw>> {
        let item = Self::read(text)?;
        let flaws = item.flaws();
        if flaws.is_empty() { Ok(item) } else { Err(flaws) }
    }

    /// Reads a card that was parsed.
    pub fn of_json(json: &Json) -> Result<Self, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let item = parse(json, &mut flaws);
        match item {
            Some(item) if flaws.is_empty() => Ok(item),
            _ => {
                // Codes are in the order in which an evaluation would meet them.
                flaws.sort_by_key(|flaw| flaw.code);
                Err(flaws)
            }
        }
    }

    /// Lists what is wrong with the features, and what would be wrong with a default as soon as it is needed.
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        for spec in &self.job.spec {
            match &spec.feature {
                Err(own) => flaws.extend(own.iter().cloned()),
                Ok(feature) if !feature.default_fits() => {
                    let text = format!("the default is no {}", feature.kind.name());
                    flaws.push(Flaw::new(Code::EDefault, format!("{}/d", spec.place), text));
                }
                Ok(_) => {}
            }
        }
        flaws
    }

    /// Lists what is worth knowing about a card that is right.
    pub fn notes(&self) -> Vec<String> {
        let chars = self.canonical.chars().count();
        let long = (chars > SHORT_CHARS_MAX)
            .then(|| format!("the card has {chars} characters; {SHORT_CHARS_MAX} are what fits everywhere"));
        let heavy = (!self.control.deterministic)
            .then(|| "ctl.det is false: results are accepted by commit, reveal and attest".to_owned());
        long.into_iter().chain(heavy).collect()
    }

    /// Returns the canonical text.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Returns the SHA-256 of the canonical text.
    pub fn hash(&self) -> Sha256 {
        self.hash
    }

    /// Returns the hash as the protocol writes it.
    pub fn hash_text(&self) -> String {
        hash_text(self.hash)
    }
}

fn parse(json: &Json, flaws: &mut Vec<Flaw>) -> Option<Item> {
    let mut reader = Reader::of(json, "", Code::EItem, &KEYS, flaws)?;
    if reader.text("v", 16).is_some_and(|it| it != VERSION) {
        reader.wrong("v", format!("expected {VERSION:?}: no other version is known"));
    }
    let id = reader.maybe_text("id", ID_BYTES_MAX).map(str::to_owned);
    let start = start(&mut reader);
    let end = reader.maybe_text("e", ID_BYTES_MAX).map(str::to_owned);
    let (j, o, ctl) = (reader.needed("j"), reader.needed("o"), reader.needed("ctl"));
    let p = reader.maybe("p");
    let job = j.and_then(|it| Job::read(it, flaws));
    let output = o.and_then(|it| Output::read(it, flaws));
    let provenance = p.and_then(|it| Provenance::read(it, flaws));
    let control = ctl.and_then(|it| Control::read(it, flaws));
    let canonical = json.canonical();
    let hash = Sha256::of(canonical.as_bytes());
    Some(Item {
        id,
        start: start?,
        end,
        job: job?,
        output: output?,
        provenance,
        control: control?,
        canonical,
        hash,
    })
}

fn start(reader: &mut Reader) -> Option<Start> {
    match (reader.maybe("s"), reader.maybe("q")) {
        (Some(_), Some(_)) => {
            reader.wrong("q", "a card starts at an event, `s`, or at a query, `q`, not at both");
            None
        }
        (None, Some(query)) => Query::read(query, reader.flaws()).map(Start::Query),
        _ => reader.text("s", ID_BYTES_MAX).map(|it| Start::Event(it.to_owned())),
    }
}

#[cfg(test)]
pub(crate) mod tests;
