//! One feature of a job card: where its values are, and how many become one.

use crate::{
    flaw::{Code, Flaw},
    json::Json,
    num::Num,
    reader::Reader,
    selector::{Agg, Selector},
    value::{Type, Value},
    window::Window,
};

/// The keys of a feature.
pub(crate) const KEYS: [&str; 7] = ["n", "sel", "agg", "t", "w", "d", "b"];
/// The most edges between numeric bins.
const EDGES_MAX: usize = 64;

/// A feature, fit to be extracted.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Where the values are.
    pub selector: Selector,
    /// The function that makes one value of each event's, if there are two steps.
    pub per_event: Option<Agg>,
    /// What makes one value of all.
    pub agg: Agg,
    /// What type the values have.
    pub kind: Type,
    /// Which events count.
    pub window: Option<Window>,
    /// What stands in when there is no value.
    pub default: Option<Json>,
    /// The edges between the bins of a numeric histogram.
    pub edges: Option<Vec<Num>>,
}

/// What a card says about one feature. A wrong one fails the evaluation when its turn comes.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The feature's name.
    pub name: String,
    /// Where it stands in the card.
    pub place: String,
    /// The feature, or all that is wrong with it.
    pub feature: Result<Feature, Vec<Flaw>>,
}

/// Reads one element of `spec`. What hinders the whole card goes to `flaws`, what hinders this feature stays in it.
pub(super) fn read(value: &Json, place: String, flaws: &mut Vec<Flaw>) -> Option<Spec> {
    let mut reader = Reader::of(value, &place, Code::EItem, &KEYS, flaws)?;
    let name = reader.text("n", 64)?.to_owned();
    if name.contains('=') {
        reader.wrong("n", "a name has no `=`: that would be a bin of a histogram");
        return None;
    }
    let mut own = Vec::new();
    let feature = feature(value, &place, &mut own);
    let feature = feature.filter(|_| own.is_empty()).ok_or(own);
    Some(Spec { name, place, feature })
}

fn feature(value: &Json, place: &str, flaws: &mut Vec<Flaw>) -> Option<Feature> {
    let mut reader = Reader::of(value, place, Code::EItem, &KEYS, flaws)?;
    let selector = selector(&mut reader);
    let stages = selector.as_ref().and_then(|it| stages(it, &mut reader));
    let kind = kind(&mut reader);
    if let (Some((per_event, agg)), Some(kind)) = (stages, kind) {
        check_types(per_event, agg, kind, &mut reader);
    }
    let window = window(&mut reader);
    let edges = reader.maybe("b").and_then(|it| edges(it, stages, kind, &mut reader));
    let (per_event, agg) = stages?;
    let default = reader.maybe("d").cloned();
    Some(Feature { selector: selector?, per_event, agg, kind: kind?, window, default, edges })
}

fn selector(reader: &mut Reader) -> Option<Selector> {
    let Some(text) = reader.maybe("sel").and_then(Json::as_text) else {
        reader.wrong_with(Code::ESel, "sel", "expected a selector, such as `meta.price`");
        return None;
    };
    let selector = Selector::parse(text);
    selector.map_err(|error| reader.wrong_with(Code::ESel, "sel", error.to_string())).ok()
}

/// Returns the function of the first of two steps, and the aggregation.
fn stages(selector: &Selector, reader: &mut Reader) -> Option<(Option<Agg>, Agg)> {
    match (reader.maybe("agg"), selector.function) {
        (None, Some(function)) => Some((None, function)),
        (None, None) => {
            reader.wrong_with(Code::EAgg, "agg", "this key is missing, and the selector has no function");
            None
        }
        (Some(agg), function) => {
            let known = agg.as_text().and_then(Agg::parse);
            if known.is_none() {
                reader.wrong_with(
                    Code::EAgg,
                    "agg",
                    "expected sum, avg, count, min, max, first, last or hist",
                );
            }
            known.map(|it| (function, it))
        }
    }
}

fn kind(reader: &mut Reader) -> Option<Type> {
    let kind = reader.maybe("t").and_then(Json::as_text).and_then(Type::parse);
    if kind.is_none() {
        reader.wrong_with(Code::EType, "t", "expected num, cat, bool or text");
    }
    kind
}

/// Sums and means need numbers. A count takes anything, so what it counts is not held against it.
fn check_types(per_event: Option<Agg>, agg: Agg, kind: Type, reader: &mut Reader) {
    let fits = |agg: Agg, kind: Type| match agg {
        Agg::Sum | Agg::Avg => kind.is_summable(),
        Agg::Hist => kind != Type::Text,
        Agg::Count | Agg::Min | Agg::Max | Agg::First | Agg::Last => true,
    };
    let refused = match per_event {
        Some(first) if agg != Agg::Count && !fits(first, kind) => Some((first, kind)),
        Some(first) => Some((agg, type_after(first, kind))).filter(|it| !fits(it.0, it.1)),
        None => Some((agg, kind)).filter(|it| !fits(it.0, it.1)),
    };
    if let Some((agg, kind)) = refused {
        reader.wrong_with(Code::EType, "t", format!("{} of {} makes no sense", agg.name(), kind.name()));
    }
}

/// Returns the type of what an aggregation gives.
pub(crate) fn type_after(agg: Agg, kind: Type) -> Type {
    match agg {
        Agg::Sum | Agg::Avg | Agg::Count => Type::Num,
        Agg::Min | Agg::Max | Agg::First | Agg::Last | Agg::Hist => kind,
    }
}

fn window(reader: &mut Reader) -> Option<Window> {
    let found = reader.maybe("w")?;
    let window = found.as_text().ok_or(crate::window::WindowError).and_then(Window::parse);
    window.map_err(|error| reader.wrong_with(Code::EWindow, "w", error.to_string())).ok()
}

fn edges(
    found: &Json,
    stages: Option<(Option<Agg>, Agg)>,
    kind: Option<Type>,
    reader: &mut Reader,
) -> Option<Vec<Num>> {
    let numbers: Option<Vec<Num>> = found.as_list().unwrap_or_default().iter().map(Num::of_json).collect();
    let ascend =
        |it: &Vec<Num>| (1..=EDGES_MAX).contains(&it.len()) && it.is_sorted_by(|left, right| left < right);
    let edges = numbers.filter(ascend);
    if edges.is_none() {
        let text = format!("expected 1 to {EDGES_MAX} numbers, each larger than the one before");
        reader.wrong_with(Code::EHist, "b", text);
    }
    let (per_event, agg) = stages?;
    let binned = per_event.map_or(kind?, |first| type_after(first, kind.unwrap_or(Type::Num)));
    if agg != Agg::Hist || binned != Type::Num {
        reader.wrong_with(Code::EHist, "b", "edges belong to a histogram of numbers");
        return None;
    }
    edges
}

impl Feature {
    /// Says whether the default is missing or of the feature's type.
    pub(crate) fn default_fits(&self) -> bool {
        self.default.as_ref().is_none_or(|it| Value::of_json(it, self.kind).is_some())
    }
}
