//! The feature vector: what the visited events come to, in the order of the card.
//!
//! It is a function of the visited set; the order of the crawl matters only for which events are in the set.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Serialize, Serializer, ser::SerializeSeq as _};

use crate::{
    bits::Bits,
    crawl::Visits,
    flaw::{Code, Flaw},
    fold::{Fold, Outcome},
    gas::{self, Meter},
    graph::{Graph, Node, columns::Column},
    item::{Feature, Spec, type_after},
    json::{canonical, tagged_hash},
    selector::{Agg, Path},
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
    set: Cow<'g, Bits>,
    count: u64,
    /// The newest place and time, which only windows ask for.
    newest: Option<(u64, u64)>,
    checkpoint_time: Option<u64>,
}

impl<'g> Visited<'g> {
    pub(crate) fn new(graph: &'g Graph, at: u64, visits: &'g Visits, checkpoint_time: Option<u64>) -> Self {
        let set = match visits {
            Visits::Set(set) => Cow::Borrowed(set),
            Visits::InOrder(list) => Cow::Owned(Bits::of(graph.node_count(), list)),
        };
        Self { graph, at, set, count: visits.count() as u64, newest: None, checkpoint_time }
    }

    /// Looks up what windows end at, if a feature has one.
    fn find_newest(&mut self, spec: &[Spec]) {
        let has_window = |it: &Spec| it.feature.as_ref().is_ok_and(|it| it.window.is_some());
        if spec.iter().any(has_window) {
            let of = |node: Node| (self.graph.seq(node), self.graph.created_at(node));
            let larger = |left: (u64, u64), right: (u64, u64)| (left.0.max(right.0), left.1.max(right.1));
            self.newest = self.set.iter().map(of).reduce(larger);
        }
    }

    fn is_in(&self, window: Window, node: Node) -> bool {
        let (newest_seq, newest_time) = self.newest.unwrap_or_default();
        if window.unit == Unit::Blocks {
            return window.holds(self.graph.seq(node), newest_seq);
        }
        let checkpoint = self.checkpoint_time.filter(|_| window.from_checkpoint);
        let anchor = checkpoint.unwrap_or(newest_time);
        window.holds(self.graph.created_at(node), anchor)
    }

    /// Extracts one feature after the other; the first that is wrong ends it.
    pub(crate) fn extract(mut self, spec: &[Spec], meter: &mut Meter) -> Result<FeatureVector, Flaw> {
        self.find_newest(spec);
        let mut features = Vec::with_capacity(spec.len());
        for it in spec {
            let feature = it.feature.as_ref().map_err(|flaws| first(flaws, &it.place))?;
            let outcome = self.extract_one(feature, &it.place, meter)?;
            features.push(Extracted { name: it.name.clone(), agg: feature.agg, kind: feature.kind, outcome });
        }
        Ok(FeatureVector(features))
    }

    fn extract_one(&self, feature: &Feature, place: &str, meter: &mut Meter) -> Result<Outcome, Flaw> {
        let mut all = Fold::new(feature.agg, feature.edges.as_deref());
        let at_once = self.fold_at_once(feature, &mut all, meter).transpose()?;
        let found = at_once.map_or_else(|| self.fold_each(feature, place, &mut all, meter), Ok)?;
        match &feature.default {
            Some(default) if !found => Value::of_json(default, feature.kind)
                .map(Outcome::One)
                .ok_or_else(|| default_flaw(feature.kind, place)),
            _ => all.finish(place),
        }
    }

    /// Folds all events together where the graph keeps what they come to. Says whether a value was found.
    ///
    /// What is paid only grows, so paying at the end fails exactly if paying event by event does.
    fn fold_at_once(
        &self,
        feature: &Feature,
        all: &mut Fold<Node>,
        meter: &mut Meter,
    ) -> Option<Result<bool, Flaw>> {
        let path = &feature.selector.path;
        if feature.window.is_some() || feature.per_event.is_some() {
            return None;
        }
        if feature.agg == Agg::Count && *path == Path::TxId {
            all.add_count(self.count);
            return Some(meter.charge(gas::VALUE.saturating_mul(self.count)).map(|()| self.count > 0));
        }
        let totals = self.graph.totals(path, feature.kind).filter(|_| all.is_sum())?;
        let bound = Bound::of(path, self.graph);
        let mut walker = Walker::new(self.graph, self.at);
        let mut cost = 0_u64;
        let mut found = false;
        let total = totals.over(&self.set, |node| {
            cost += walker.select(&bound, node, &mut |view| {
                if let Some(value) = Value::coerce(view, feature.kind) {
                    found = true;
                    all.add(value, node, |_, _| false);
                }
            });
        });
        all.add_total(total.units, total.count);
        Some(meter.charge(cost.saturating_add(total.cost)).map(|()| found || total.count > 0))
    }

    /// Folds event by event. Says whether a value was found.
    fn fold_each(
        &self,
        feature: &Feature,
        place: &str,
        all: &mut Fold<Node>,
        meter: &mut Meter,
    ) -> Result<bool, Flaw> {
        let bound = Bound::of(&feature.selector.path, self.graph);
        let mut walker = Walker::new(self.graph, self.at);
        let is_before = |left: &Node, right: &Node| self.graph.compare(*left, *right).is_lt();
        let column = self.graph.column(&feature.selector.path, feature.kind);
        let mut found = false;
        for node in self.set.iter() {
            if feature.window.is_some_and(|it| !self.is_in(it, node)) {
                continue;
            }
            let Some(first) = feature.per_event else {
                if feature.agg == Agg::Count {
                    let (count, cost) = walker.count(&bound, node);
                    found |= count > 0;
                    all.add_count(count);
                    meter.charge(cost)?;
                    continue;
                }
                if let Some((units, cost)) = column.and_then(|it| it.of_node(node)) {
                    found |= !units.is_empty();
                    for units in units {
                        all.add(Value::Num(Column::number(*units)), node, is_before);
                    }
                    meter.charge(cost)?;
                    continue;
                }
                let cost = walker.select(&bound, node, &mut |view| {
                    if let Some(value) = Value::coerce(view, feature.kind) {
                        found = true;
                        all.add(value, node, is_before);
                    }
                });
                meter.charge(cost)?;
                continue;
            };
            let mut own = Fold::new(first, None);
            let cost = if first == Agg::Count {
                let (count, cost) = walker.count(&bound, node);
                own.add_count(count);
                cost
            } else {
                let kind = inner_kind(first, feature.kind);
                walker.select(&bound, node, &mut |view| {
                    if let Some(value) = Value::coerce(view, kind) {
                        own.add(value, (), |(), ()| false);
                    }
                })
            };
            meter.charge(cost)?;
            if let Outcome::One(value) = own.finish(place)? {
                found = true;
                all.add(value, node, is_before);
            }
        }
        Ok(found)
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
