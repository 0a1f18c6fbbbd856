//! Models: small documents that turn a feature vector into a score, a label and an action.
//!
//! - A document is bounded: [`TEXT_BYTES_MAX`] bytes, [`PARAMETERS_MAX`] parameters, [`LAYERS_MAX`] layers,
//!   [`NODES_MAX`] nodes. A tree's children stand behind their parent, so running one ends.
//! - Everything that can be wrong without features is found when it is read.

mod layers;
mod linear;
mod read;
mod rules;
mod tree;

use base::digest::Sha256;
use serde::Serialize;

use layers::Layers;
use linear::Linear;
use read::{link, number, numbers, optional_word};
use rules::Rules;
use tree::{Forest, Tree};

use crate::{
    features::{FeatureVector, bin_count},
    flaw::{Code, Flaw},
    fold::Outcome,
    gas::{self, Meter},
    item::ModelName,
    json::{Json, hash_text},
    lint,
    num::Num,
    sigmoid::sigmoid,
    value::Value,
};

/// The longest canonical text of a model.
pub(crate) const TEXT_BYTES_MAX: usize = 64 << 10;
/// The most weights, biases and thresholds.
pub(crate) const PARAMETERS_MAX: usize = 4096;
/// The most layers.
pub(crate) const LAYERS_MAX: usize = 16;
/// The most nodes of all trees together.
pub(crate) const NODES_MAX: usize = 1023;
/// The most inputs, classes and rules.
const LIST_MAX: usize = 1024;
/// The longest name, label or action.
const WORD_BYTES_MAX: usize = 256;

/// The keys that every model may have.
const COMMON_KEYS: [&str; 6] = ["v", "id", "eng", "in", "imp", "cls"];

/// A model that can be run.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name that it gives itself.
    pub name: Option<ModelName>,
    inputs: Vec<String>,
    imputed: Vec<Option<Num>>,
    classes: Vec<Class>,
    engine: Engine,
    hash: Sha256,
}

#[derive(Clone, Debug)]
enum Engine {
    Linear(Linear),
    Tree(Tree),
    Forest(Forest),
    Rules(Rules),
    Layers(Layers),
    /// A heavy model that runs elsewhere; its results are attested.
    External,
}

/// What a score of at least `from` means.
#[derive(Clone, Debug)]
struct Class {
    from: Num,
    label: Option<String>,
    action: Option<String>,
}

/// What a model says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// How much, to six places.
    pub score: Num,
    /// What that is called.
    pub label: Option<String>,
    /// What to do about it.
    pub action: Option<String>,
}

impl Serialize for Judgement {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("score", &self.score.to_double())?;
        for (key, value) in [("label", &self.label), ("action", &self.action)] {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

impl Model {
    /// Reads a model.
    pub fn read(text: &str) -> Result<Self, Vec<Flaw>> {
        let json = Json::parse(text).map_err(|error| vec![lint::explain(Code::EModel, text, &error)])?;
        Self::of_json(&json)
    }

    /// Reads a model that was parsed.
    pub fn of_json(json: &Json) -> Result<Self, Vec<Flaw>> {
        let canonical = json.canonical();
        if canonical.len() > TEXT_BYTES_MAX {
            let text =
                format!("a model has at most {TEXT_BYTES_MAX} bytes, this one has {}", canonical.len());
            return Err(vec![Flaw::new(Code::EModel, "", text)]);
        }
        let mut flaws = Vec::new();
        match read::parse(json, Sha256::of(canonical.as_bytes()), &mut flaws) {
            Some(model) if flaws.is_empty() => Ok(model),
            _ => Err(flaws),
        }
    }

    /// Returns the SHA-256 of the canonical text.
    pub fn hash(&self) -> Sha256 {
        self.hash
    }

    /// Returns the hash as the protocol writes it.
    pub fn hash_text(&self) -> String {
        hash_text(self.hash)
    }

    /// Says whether this is a heavy model, which runs elsewhere.
    pub fn is_external(&self) -> bool {
        matches!(self.engine, Engine::External)
    }

    /// Says whether a card that asks for `wanted` may use this document.
    pub fn check_name(&self, wanted: &ModelName) -> Result<(), Flaw> {
        if wanted.pinned().is_some_and(|it| it != self.hash) {
            let text = format!("the card pins another document than this one, {}", self.hash_text());
            return Err(Flaw::new(Code::EModel, "", text));
        }
        match &self.name {
            Some(name) if !name.is_same(wanted) => {
                Err(Flaw::new(Code::EModel, "/id", format!("the card asks for {wanted}, this is {name}")))
            }
            _ => Ok(()),
        }
    }

    /// Says by how much a vector falls short of what a rule asks that would have been enough: `approvals 1 < 2`.
    ///
    /// Of several such rules, by the one that is nearest. Empty for engines that do not judge by single features.
    pub fn shortfalls(
        &self,
        features: &FeatureVector,
        is_enough: impl Fn(&Judgement) -> bool,
    ) -> Vec<String> {
        let Engine::Rules(rules) = &self.engine else { return Vec::new() };
        rules.shortfalls(features, |judged| self.classed(judged).is_ok_and(|it| is_enough(&it)))
    }

    /// Returns the engine's name.
    pub fn engine(&self) -> &'static str {
        match self.engine {
            Engine::Linear(_) => "linreg",
            Engine::Tree(_) => "tree",
            Engine::Forest(_) => "gbt",
            Engine::Rules(_) => "rules",
            Engine::Layers(_) => "mlp",
            Engine::External => "ext",
        }
    }

    /// Runs the model.
    pub(crate) fn judge(&self, features: &FeatureVector, meter: &mut Meter) -> Result<Judgement, Flaw> {
        if self.is_external() {
            let text = "this model runs elsewhere; its results come by commit, reveal and attest";
            return Err(Flaw::new(Code::EModel, "/eng", text));
        }
        meter.charge(gas::MODEL)?;
        let inputs = Inputs { model: self, features };
        let judged = match &self.engine {
            Engine::Linear(linear) => Judged::score(linear.run(&inputs, meter)?),
            Engine::Tree(tree) => tree.run(&inputs, meter)?.clone(),
            Engine::Forest(forest) => Judged::score(forest.run(&inputs, meter)?),
            Engine::Rules(rules) => rules.run(features, meter)?.clone(),
            Engine::Layers(layers) => Judged::score(layers.run(&inputs, meter)?),
            Engine::External => Judged::score(Num::ZERO),
        };
        self.classed(&judged)
    }

    /// Gives a score its label and action, as the classes have them.
    fn classed(&self, judged: &Judged) -> Result<Judgement, Flaw> {
        let judged = judged.clone();
        let overflow = || Flaw::new(Code::EOverflow, "", "the score is not smaller than 10^9");
        let score = judged.score.to_score().ok_or_else(overflow)?;
        let class = self.classes.iter().find(|it| it.from <= score);
        let (label, action) =
            class.map_or((judged.label, judged.action), |it| (it.label.clone(), it.action.clone()));
        Ok(Judgement { score, label, action })
    }
}

/// What an engine says, before it is classed.
#[derive(Clone, Debug)]
struct Judged {
    score: Num,
    label: Option<String>,
    action: Option<String>,
}

impl Judged {
    fn score(score: Num) -> Self {
        Self { score, label: None, action: None }
    }
}

/// A model's inputs, taken from a vector when they are asked for.
struct Inputs<'m> {
    model: &'m Model,
    features: &'m FeatureVector,
}

impl Inputs<'_> {
    fn get(&self, index: usize) -> Result<Num, Flaw> {
        let name = &self.model.inputs[index];
        let wrong = |text: String| Flaw::new(Code::EFeature, format!("/in/{index}"), text);
        let missing = || {
            let text = format!("{name} has no value, and the model none to put in its place");
            self.model.imputed[index].ok_or_else(|| Flaw::new(Code::EMissing, format!("/imp/{index}"), text))
        };
        match look_up(self.features, name) {
            Found::Unknown => Err(wrong(format!("the card has no feature {name}"))),
            Found::Nothing => missing(),
            Found::Bins => Err(wrong(format!("{name} is a histogram; name a bin, such as `{name}=…`"))),
            Found::Count(count) => Ok(Num::whole(count)),
            Found::Value(Value::Text(text)) => {
                Num::parse(text).ok_or_else(|| wrong(format!("{name} is {text:?}, which is no number")))
            }
            Found::Value(value) => Ok(value.addend()),
        }
    }

    fn all(&self) -> Result<Vec<Num>, Flaw> {
        (0..self.model.inputs.len()).map(|index| self.get(index)).collect()
    }
}

/// What stands under a name in a vector.
enum Found<'v> {
    Unknown,
    Nothing,
    Bins,
    Count(u64),
    Value(&'v Value<'static>),
}

/// Looks up a feature, or a bin of one: `name=bin`.
fn look_up<'v>(features: &'v FeatureVector, name: &str) -> Found<'v> {
    if let Some(feature) = features.get(name) {
        return match &feature.outcome {
            Outcome::Nothing => Found::Nothing,
            Outcome::Bins(_) => Found::Bins,
            Outcome::One(value) => Found::Value(value),
        };
    }
    let bins = name.split_once('=').and_then(|(name, bin)| Some((&features.get(name)?.outcome, bin)));
    match bins {
        Some((Outcome::Bins(bins), bin)) => Found::Count(bin_count(bins, bin)),
        _ => Found::Unknown,
    }
}

/// What is done to a sum at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Identity,
    Sigmoid,
    Clamp01,
    Relu,
    HardSigmoid,
    HardTanh,
}

impl Link {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Identity,
            "sigmoid" => Self::Sigmoid,
            "clamp01" => Self::Clamp01,
            "relu" => Self::Relu,
            "hsig" => Self::HardSigmoid,
            "htanh" => Self::HardTanh,
            _ => return None,
        })
    }

    fn apply(self, x: Num) -> Num {
        let minus_one = Num::from_units(-Num::ONE.units());
        match self {
            Self::Identity => x,
            Self::Sigmoid => sigmoid(x),
            Self::Clamp01 => x.clamp(Num::ZERO, Num::ONE),
            Self::Relu => x.max(Num::ZERO),
            Self::HardTanh => x.clamp(minus_one, Num::ONE),
            Self::HardSigmoid => {
                let sum = x.units() + Num::whole(3).units();
                Num::mean(sum, 6).unwrap_or_default().clamp(Num::ZERO, Num::ONE)
            }
        }
    }
}

#[cfg(test)]
mod tests;
