//! The parts of a card: job, output, provenance, control, and the two filters of events.

use std::collections::{BTreeMap, BTreeSet};

use super::{ID_BYTES_MAX, ModelName, Spec, feature};
use crate::{
    flaw::{Code, Flaw},
    json::Json,
    num::Num,
    reader::{Reader, escape},
};

pub(crate) const JOB_KEYS: [&str; 6] = ["jid", "m", "mod", "spec", "seed", "limit"];
pub(crate) const OUTPUT_KEYS: [&str; 5] = ["ut", "ref", "fields", "sig", "wl"];
pub(crate) const PROVENANCE_KEYS: [&str; 3] = ["creator", "ts", "nonce"];
pub(crate) const CONTROL_KEYS: [&str; 7] = ["det", "maxN", "gas", "dir", "f", "st", "eps"];
pub(crate) const FILTER_KEYS: [&str; 2] = ["kinds", "pk"];
pub(crate) const QUERY_KEYS: [&str; 3] = ["kinds", "pk", "tag"];

/// The engine that every card names; the real one stands in the model.
const ENGINE: &str = "OP_AI_EVAL";
const FEATURES_MAX: usize = 64;
const NAMES_MAX: usize = 256;
/// How far two results of a heavy model may lie apart if the card does not say: 10^-4.
const TOLERANCE: Num = Num::from_units(100_000);

/// What to extract, and which model judges it.
#[derive(Clone, Debug)]
pub struct Job {
    /// The job's id.
    pub id: String,
    /// Which model.
    pub model: ModelName,
    /// The features, in the order of the vector.
    pub spec: Vec<Spec>,
    /// What the order of neighbours is drawn from, if it is.
    pub seed: Option<String>,
    /// The most events to visit.
    pub limit: u64,
}

impl Job {
    pub(super) fn read(value: &Json, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let mut reader = Reader::of(value, "/j", Code::EItem, &JOB_KEYS, flaws)?;
        let id = reader.text("jid", 64).map(str::to_owned);
        if reader.maybe("m").and_then(Json::as_text) != Some(ENGINE) {
            reader.wrong_with(Code::EEngine, "m", format!("expected {ENGINE:?}"));
        }
        let model = reader.text("mod", 160).and_then(|text| {
            let model = ModelName::parse(text);
            model.map_err(|error| reader.wrong_with(Code::EModel, "mod", error.to_string())).ok()
        });
        let seed = reader.maybe_text("seed", 256).map(str::to_owned);
        let limit = limit(&mut reader, "limit");
        let spec = reader.needed("spec").and_then(|_| reader.maybe_list("spec", FEATURES_MAX));
        let spec = spec.map(|list| features(list, reader.flaws()));
        Some(Self { id: id?, model: model?, spec: spec?, seed, limit: limit? })
    }
}

fn features(list: &[Json], flaws: &mut Vec<Flaw>) -> Vec<Spec> {
    let mut names = BTreeSet::new();
    let mut features = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let place = format!("/j/spec/{index}");
        let Some(spec) = feature::read(value, place, flaws) else { continue };
        if !names.insert(spec.name.clone()) {
            let text = format!("another feature is named {:?} too", spec.name);
            flaws.push(Flaw::new(Code::EItem, format!("{}/n", spec.place), text));
        }
        features.push(spec);
    }
    features
}

fn limit(reader: &mut Reader, key: &str) -> Option<u64> {
    let limit = reader.maybe(key).and_then(Json::as_whole).filter(|it| *it >= 1);
    if limit.is_none() {
        reader.wrong_with(
            Code::ELimits,
            key,
            "expected a whole number from 1: a job without limits is refused",
        );
    }
    limit
}

/// What is written back, and who may write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The type of what is written, `UPDATE`.
    pub update_type: String,
    /// The tag of the UPDATE event that carries the id of the card's event.
    pub reference: String,
    /// Which fields of the result are written.
    pub fields: ResultFields,
    /// Whether the writer must sign.
    pub signed: bool,
    /// Who may write besides the card's author; `None` for nobody else.
    pub updaters: Option<Vec<String>>,
}

/// Which fields of the result are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultFields {
    /// All.
    All,
    /// These; `cid` among them asks for a stored payload.
    Keep(BTreeSet<String>),
    /// These, each under another key.
    Rename(BTreeMap<String, String>),
}

impl ResultFields {
    /// Returns the key under which a field is written, if it is.
    pub fn key_of<'k>(&'k self, field: &'k str) -> Option<&'k str> {
        match self {
            Self::All => Some(field),
            Self::Keep(kept) => kept.contains(field).then_some(field),
            Self::Rename(names) => names.get(field).map(String::as_str),
        }
    }
}

/// The fields that a result can have.
const RESULT_FIELDS: [&str; 4] = ["score", "label", "action", "cid"];

impl Output {
    pub(super) fn read(value: &Json, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let mut reader = Reader::of(value, "/o", Code::EItem, &OUTPUT_KEYS, flaws)?;
        let update_type = reader.text("ut", 64).map(str::to_owned);
        let reference = reader.maybe_text("ref", 64).unwrap_or("item_id").to_owned();
        let fields = reader.maybe("fields").map_or(Some(ResultFields::All), |it| fields(it, &mut reader));
        let signed = reader.maybe_bool("sig").unwrap_or(false);
        let updaters = reader.maybe_texts("wl", NAMES_MAX);
        Some(Self { update_type: update_type?, reference, fields: fields?, signed, updaters })
    }
}

fn fields(value: &Json, reader: &mut Reader) -> Option<ResultFields> {
    let known = |name: &str| RESULT_FIELDS.contains(&name);
    let fields = match value {
        Json::List(list) => {
            let names = list.iter().map(|it| it.as_text().filter(|it| known(it)).map(str::to_owned));
            names.collect::<Option<BTreeSet<String>>>().map(ResultFields::Keep)
        }
        Json::Map(map) => {
            let names = map.iter().map(|(name, key)| {
                let key = key.as_text().filter(|it| known(name) && (1..=64).contains(&it.len()))?;
                Some((name.clone(), key.to_owned()))
            });
            let names = names.collect::<Option<BTreeMap<String, String>>>();
            let is_one_to_one =
                |it: &BTreeMap<String, String>| it.values().collect::<BTreeSet<_>>().len() == it.len();
            names.filter(is_one_to_one).map(ResultFields::Rename)
        }
        _ => None,
    };
    if fields.is_none() {
        let text = format!(
            "expected a list of {}, or an object that gives each another key",
            RESULT_FIELDS.join(", ")
        );
        reader.wrong("fields", text);
    }
    fields
}

/// Who made a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The author; the same as the event's when the card is one.
    pub creator: String,
    /// When, in seconds since 1970; for people only.
    pub time: Option<u64>,
    /// What makes the card unlike all others of its author.
    pub nonce: Option<String>,
}

impl Provenance {
    pub(super) fn read(value: &Json, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let mut reader = Reader::of(value, "/p", Code::EItem, &PROVENANCE_KEYS, flaws)?;
        let creator = reader.text("creator", ID_BYTES_MAX).map(str::to_owned);
        let time = reader.maybe("ts").map(Json::as_whole);
        if time == Some(None) {
            reader.wrong("ts", "expected seconds since 1970");
        }
        let nonce = reader.maybe_text("nonce", ID_BYTES_MAX).map(str::to_owned);
        Some(Self { creator: creator?, time: time.flatten(), nonce })
    }
}

/// Which neighbours a crawl follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// To the parents: what something rests on.
    Up,
    /// To the children: what rests on it.
    Down,
    /// To both: all that hangs together.
    #[default]
    Both,
}

impl Direction {
    /// Reads a direction.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "up" => Some(Self::Up),
            "down" => Some(Self::Down),
            "both" => Some(Self::Both),
            _ => None,
        }
    }
}

/// What bounds the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Whether everyone must get the same bits; if not, results are attested.
    pub deterministic: bool,
    /// The most events to visit.
    pub nodes_max: u64,
    /// The most gas to use.
    pub gas_max: u64,
    /// Which neighbours are followed.
    pub direction: Direction,
    /// Which events are visited besides the start.
    pub filter: Option<EventFilter>,
    /// Which statements about a visited event are visited with it; none, if it is absent. Of upward crawls only.
    pub statements: Option<EventFilter>,
    /// How far two results of a heavy model may lie apart.
    pub tolerance: Num,
}

impl Control {
    pub(super) fn read(value: &Json, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let mut reader = Reader::of(value, "/ctl", Code::EItem, &CONTROL_KEYS, flaws)?;
        let deterministic = reader.maybe_bool("det").unwrap_or(true);
        let (nodes_max, gas_max) = (limit(&mut reader, "maxN"), limit(&mut reader, "gas"));
        let direction = reader.maybe("dir").map(|it| it.as_text().and_then(Direction::parse));
        if direction == Some(None) {
            reader.wrong("dir", "expected up, down or both");
        }
        let tolerance = reader.maybe("eps").map(|it| Num::of_json(it).filter(|it| *it >= Num::ZERO));
        if tolerance == Some(None) {
            reader.wrong("eps", "expected a number from 0");
        }
        let filter = reader.maybe("f").and_then(|it| EventFilter::read(it, "/ctl/f", reader.flaws()));
        let statements = reader.maybe("st").and_then(|it| EventFilter::read(it, "/ctl/st", reader.flaws()));
        if statements.is_some() && direction.flatten() != Some(Direction::Up) {
            reader.wrong("st", "statements belong to `\"dir\":\"up\"`; other crawls visit children anyway");
        }
        Some(Self {
            deterministic,
            nodes_max: nodes_max?,
            gas_max: gas_max?,
            direction: direction.flatten().unwrap_or_default(),
            filter,
            statements,
            tolerance: tolerance.flatten().unwrap_or(TOLERANCE),
        })
    }
}

/// Which events may be visited. An absent list allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Kinds that may be.
    pub kinds: Option<BTreeSet<u32>>,
    /// Authors that may be.
    pub authors: Option<BTreeSet<String>>,
}

impl EventFilter {
    fn read(value: &Json, place: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let mut reader = Reader::of(value, place, Code::EItem, &FILTER_KEYS, flaws)?;
        Some(Self::of_reader(&mut reader))
    }

    fn of_reader(reader: &mut Reader) -> Self {
        let authors = reader.maybe_texts("pk", NAMES_MAX).map(BTreeSet::from_iter);
        let list = reader.maybe_list("kinds", NAMES_MAX);
        let kind = |it: &Json| it.as_whole().and_then(|it| u32::try_from(it).ok());
        let kinds = list.map(|list| list.iter().map(kind).collect::<Option<BTreeSet<u32>>>());
        if kinds == Some(None) {
            reader.wrong("kinds", "expected a list of kinds");
        }
        Self { kinds: kinds.flatten(), authors }
    }
}

/// A set of events to start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which kinds and authors.
    pub filter: EventFilter,
    /// Which tags must have which value.
    pub tags: BTreeMap<String, String>,
}

impl Query {
    pub(super) fn read(value: &Json, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let mut reader = Reader::of(value, "/q", Code::EItem, &QUERY_KEYS, flaws)?;
        let filter = EventFilter::of_reader(&mut reader);
        let mut tags = BTreeMap::new();
        match reader.maybe("tag") {
            Some(Json::Map(map)) => {
                for (name, value) in map {
                    match value.as_text() {
                        Some(text) => _ = tags.insert(name.clone(), text.to_owned()),
                        None => reader.wrong(&format!("tag/{}", escape(name)), "expected a string"),
                    }
                }
            }
            Some(other) => reader.wrong("tag", format!("expected an object, found {}", other.kind())),
            None => {}
        }
        Some(Self { filter, tags })
    }
}
