//! `rules`: the first rule whose conditions all hold.

use super::{Found, Judged, LIST_MAX, WORD_BYTES_MAX, look_up, number, optional_word};
use crate::{
    features::FeatureVector,
    flaw::{Code, Flaw},
    gas::{self, Meter},
    json::{Json, number_text},
    num::Num,
    reader::Reader,
    selector::Op,
    value::Value,
};

pub(super) const KEYS: [&str; 2] = ["rules", "else"];

#[derive(Clone, Debug)]
pub(super) struct Rules {
    rules: Vec<(Vec<Condition>, Judged)>,
    otherwise: Judged,
}

#[derive(Clone, Debug)]
struct Condition {
    name: String,
    op: Op,
    text: String,
    number: Option<Num>,
}

impl Rules {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let list = reader.needed("rules").and_then(|_| reader.maybe_list("rules", LIST_MAX))?;
        let mut rules = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let place = reader.place_of(&format!("rules/{index}"));
            let keys = ["if", "score", "label", "action"];
            let mut reader = Reader::of(value, &place, Code::EModel, &keys, reader.flaws())?;
            let conditions = conditions(&mut reader);
            let judged = judged(&mut reader);
            rules.extend(judged.map(|it| (conditions, it)));
        }
        let place = reader.place_of("else");
        let value = reader.needed("else")?;
        let keys = ["score", "label", "action"];
        let mut reader = Reader::of(value, &place, Code::EModel, &keys, reader.flaws())?;
        Some(Self { rules, otherwise: judged(&mut reader)? })
    }

    pub(super) fn run(&self, features: &FeatureVector, meter: &mut Meter) -> Result<&Judged, Flaw> {
        'rules: for (conditions, judged) in &self.rules {
            for condition in conditions {
                meter.charge(gas::CONDITION)?;
                if !condition.holds(features) {
                    continue 'rules;
                }
            }
            return Ok(judged);
        }
        Ok(&self.otherwise)
    }
}

impl Rules {
    /// Lists the conditions that fail of the rule that is nearest to holding, among those that would be enough.
    pub(super) fn shortfalls(
        &self,
        features: &FeatureVector,
        is_enough: impl Fn(&Judged) -> bool,
    ) -> Vec<String> {
        let failing = |conditions: &Vec<Condition>| {
            let failing = conditions.iter().filter(|it| !it.holds(features));
            failing.map(|it| it.shortfall(features)).collect::<Vec<String>>()
        };
        let enough = self.rules.iter().filter(|(_, judged)| is_enough(judged));
        enough.map(|(conditions, _)| failing(conditions)).min_by_key(Vec::len).unwrap_or_default()
    }
}

fn judged(reader: &mut Reader) -> Option<Judged> {
    let score = reader.needed("score").and_then(|it| number(reader, "score", it));
    let label = reader.maybe("label").and_then(|it| optional_word(reader, "label", it));
    let action = reader.maybe("action").and_then(|it| optional_word(reader, "action", it));
    Some(Judged { score: score?, label, action })
}

fn conditions(reader: &mut Reader) -> Vec<Condition> {
    let list = reader.needed("if").and_then(|_| reader.maybe_list("if", LIST_MAX)).unwrap_or_default();
    let mut conditions = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let condition = condition(value);
        if condition.is_none() {
            reader.wrong(&format!("if/{index}"), "expected a feature, one of = != < <= > >=, and a value");
        }
        conditions.extend(condition);
    }
    conditions
}

fn condition(value: &Json) -> Option<Condition> {
    let [name, op, literal] = value.as_list()? else { return None };
    let name = name.as_text().filter(|it| it.len() <= WORD_BYTES_MAX)?.to_owned();
    let text = match literal {
        Json::Text(text) => text.clone(),
        Json::Number(number) => number_text(*number),
        Json::Bool(value) => value.to_string(),
        Json::Null | Json::List(_) | Json::Map(_) => return None,
    };
    Some(Condition { name, op: op.as_text().and_then(Op::parse)?, text, number: Num::of_json(literal) })
}

impl Condition {
    /// Says what is the case instead: `approvals 1 < 2`.
    fn shortfall(&self, features: &FeatureVector) -> String {
        let found = match look_up(features, &self.name) {
            Found::Unknown | Found::Bins => return format!("{} is not known", self.name),
            Found::Nothing => return format!("{} has no value", self.name),
            Found::Count(count) => count.to_string(),
            Found::Value(value) => value.to_text().into_owned(),
        };
        let instead = match self.op {
            Op::Equal => "!=",
            Op::NotEqual => "=",
            Op::Less => ">=",
            Op::LessOrEqual => ">",
            Op::Greater => "<=",
            Op::GreaterOrEqual => "<",
        };
        format!("{} {found} {instead} {}", self.name, self.text)
    }

    /// A feature without value fails every condition, and so does a histogram that no bin is asked of.
    fn holds(&self, features: &FeatureVector) -> bool {
        let (text, number) = match look_up(features, &self.name) {
            Found::Unknown | Found::Nothing | Found::Bins => return false,
            Found::Count(count) => (count.to_string(), Some(Num::whole(count))),
            // A text is equal to what is written the same, as in a selector's filter.
            Found::Value(Value::Text(text)) if self.op.is_textual() => (text.to_string(), None),
            Found::Value(value) => (value.to_text().into_owned(), value.to_number()),
        };
        match (number, self.number) {
            (Some(left), Some(right)) => self.op.holds(left, right),
            _ => self.op.is_textual() && (text == self.text) == (self.op == Op::Equal),
        }
    }
}
