//! The feature vector: what the visited events come to, in the order of the card.
//!
//! It is a function of the visited set; the order of the crawl matters only for which events are in the set.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeSeq as _};

use crate::{
    crawl::Bits,
    flaw::{Code, Flaw},
    fold::{Fold, Outcome},
    gas::Meter,
    graph::{Graph, Node, columns::Column},
    item::{Feature, Spec, type_after},
    json::{canonical, tagged_hash},
    selector::Agg,
    value::{Type, Value},
    walk::{Bound, Walker},
    window::{Unit, Window},
};

/// One feature's value, with what it was made by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// The feature's name.
    pub name: String,
    /// How many values became one.
    pub agg: Agg,
    /// What type the values had.
    pub kind: Type,
    pub(crate) outcome: Outcome,
}

impl Extracted {
    /// Returns the value as people and programs read it: a text, a number, an object of counts, or `null`.
    pub fn value_text(&self) -> String {
        match &self.outcome {
            Outcome::One(value) => value.to_text().into_owned(),
            other => canonical(other),
        }
    }
}

/// All features of a card, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureVector(pub Vec<Extracted>);

impl FeatureVector {
    /// Returns the hash by which two evaluators compare vectors.
    pub fn hash_text(&self) -> String {
        tagged_hash("hallmark/fv/1\n", &canonical(self))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Extracted> {
        self.0.iter().find(|it| it.name == name)
    }
}

impl Serialize for FeatureVector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for it in &self.0 {
            list.serialize_element(&(&it.name, it.agg.name(), it.kind.name(), &it.outcome))?;
        }
        list.end()
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_none(),
            Self::One(Value::Num(number)) => serializer.collect_str(number),
            Self::One(Value::Text(text)) => serializer.serialize_str(text),
            Self::One(Value::Bool(value)) => serializer.serialize_bool(*value),
            Self::Bins(bins) => bins.serialize(serializer),
        }
    }
}

/// The events that features are taken from.
pub(crate) struct Visited<'g> {
    graph: &'g Graph,
    at: u64,
    /// In the order of the tables, which is quicker to go through than that of the crawl.
    nodes: Vec<Node>,
    newest_seq: u64,
    newest_time: u64,
    checkpoint_time: Option<u64>,
}

impl<'g> Visited<'g> {
    pub(crate) fn new(graph: &'g Graph, at: u64, visited: &[Node], checkpoint_time: Option<u64>) -> Self {
        let mut set = Bits::new(graph.node_count());
        for node in visited {
            set.insert(*node);
        }
        let nodes: Vec<Node> = set.iter().collect();
        let newest_seq = nodes.iter().map(|it| graph.seq(*it)).max().unwrap_or(0);
        let newest_time = nodes.iter().map(|it| graph.created_at(*it)).max().unwrap_or(0);
        Self { graph, at, nodes, newest_seq, newest_time, checkpoint_time }
    }

    fn is_in(&self, window: Window, node: Node) -> bool {
        if window.unit == Unit::Blocks {
            return window.holds(self.graph.seq(node), self.newest_seq);
        }
        let checkpoint = self.checkpoint_time.filter(|_| window.from_checkpoint);
        let anchor = checkpoint.unwrap_or(self.newest_time);
        window.holds(self.graph.created_at(node), anchor)
    }

    /// Extracts one feature after the other; the first that is wrong ends it.
    pub(crate) fn extract(&self, spec: &[Spec], meter: &mut Meter) -> Result<FeatureVector, Flaw> {
        let mut features = Vec::with_capacity(spec.len());
        for it in spec {
            let feature = it.feature.as_ref().map_err(|flaws| first(flaws, &it.place))?;
            let outcome = self.extract_one(feature, &it.place, meter)?;
            features.push(Extracted { name: it.name.clone(), agg: feature.agg, kind: feature.kind, outcome });
        }
        Ok(FeatureVector(features))
    }

    fn extract_one(&self, feature: &Feature, place: &str, meter: &mut Meter) -> Result<Outcome, Flaw> {
        let bound = Bound::of(&feature.selector.path, self.graph);
        let mut walker = Walker::new(self.graph, self.at);
        let is_before = |left: &Node, right: &Node| self.graph.compare(*left, *right).is_lt();
        let mut all = Fold::new(feature.agg, feature.edges.as_deref());
        let column = self.graph.column(&feature.selector.path, feature.kind);
        let mut found = false;
        for node in &self.nodes {
            if feature.window.is_some_and(|it| !self.is_in(it, *node)) {
                continue;
            }
            let Some(first) = feature.per_event else {
                if feature.agg == Agg::Count {
                    let (count, cost) = walker.count(&bound, *node);
                    found |= count > 0;
                    all.add_count(count);
                    meter.charge(cost)?;
                    continue;
                }
                if let Some((units, cost)) = column.and_then(|it| it.of_node(*node)) {
                    found |= !units.is_empty();
                    for units in units {
                        all.add(Value::Num(Column::number(*units)), *node, is_before);
                    }
                    meter.charge(cost)?;
                    continue;
                }
                let cost = walker.select(&bound, *node, &mut |view| {
                    if let Some(value) = Value::coerce(view, feature.kind) {
                        found = true;
                        all.add(value, *node, is_before);
                    }
                });
                meter.charge(cost)?;
                continue;
            };
            let mut own = Fold::new(first, None);
            let cost = if first == Agg::Count {
                let (count, cost) = walker.count(&bound, *node);
                own.add_count(count);
                cost
            } else {
                let kind = inner_kind(first, feature.kind);
                walker.select(&bound, *node, &mut |view| {
                    if let Some(value) = Value::coerce(view, kind) {
                        own.add(value, (), |(), ()| false);
                    }
                })
            };
            meter.charge(cost)?;
            if let Outcome::One(value) = own.finish(place)? {
                found = true;
                all.add(value, *node, is_before);
            }
        }
        match &feature.default {
            Some(default) if !found => Value::of_json(default, feature.kind)
                .map(Outcome::One)
                .ok_or_else(|| default_flaw(feature.kind, place)),
            _ => all.finish(place),
        }
    }
}

/// A count of sums may be of any type, but what is summed is numbers.
fn inner_kind(first: Agg, kind: Type) -> Type {
    let is_sum = matches!(first, Agg::Sum | Agg::Avg) && !kind.is_summable();
    if is_sum { type_after(first, kind) } else { kind }
}

fn default_flaw(kind: Type, place: &str) -> Flaw {
    let text = format!("no event has a value, and the default is no {}", kind.name());
    Flaw::new(Code::EDefault, format!("{place}/d"), text)
}

/// Returns the flaw that stops an evaluation; compiling never leaves an empty list.
fn first(flaws: &[Flaw], place: &str) -> Flaw {
    let unknown = || Flaw::new(Code::EItem, place, "the feature is wrong");
    flaws.first().cloned().unwrap_or_else(unknown)
}

/// The bins of a histogram as a model's input sees them.
pub(crate) fn bin_count(bins: &BTreeMap<String, u64>, bin: &str) -> u64 {
    bins.get(bin).copied().unwrap_or(0)
}
