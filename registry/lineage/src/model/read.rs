//! Reads models: what every engine's document has, and the parts that several have.

use base::digest::Sha256;

use super::{
    COMMON_KEYS, Class, Engine, LIST_MAX, Link, Model, PARAMETERS_MAX, WORD_BYTES_MAX,
    layers::{self, Layers},
    linear::{self, Linear},
    rules::{self, Rules},
    tree::{self, Forest, Tree},
};
use crate::{
    flaw::{Code, Flaw},
    item::{ModelName, VERSION},
    json::Json,
    num::Num,
    reader::Reader,
};

pub(super) fn parse(json: &Json, hash: Sha256, flaws: &mut Vec<Flaw>) -> Option<Model> {
    let engine = json.get("eng").and_then(Json::as_text).unwrap_or_default();
    let own: &[&str] = match engine {
        "linreg" => &linear::KEYS,
        "tree" => &tree::KEYS,
        "gbt" => &tree::FOREST_KEYS,
        "rules" => &rules::KEYS,
        "mlp" => &layers::KEYS,
        "ext" => &["artifact", "entry"],
        _ => {
            let text = "expected linreg, tree, gbt, rules, mlp or ext";
            flaws.push(Flaw::new(Code::EModel, "/eng", text));
            return None;
        }
    };
    let keys = [&COMMON_KEYS, own].concat();
    let mut reader = Reader::of(json, "", Code::EModel, &keys, flaws)?;
    check_version(&mut reader);
    let name = reader.maybe_text("id", WORD_BYTES_MAX).map(ModelName::parse);
    if let Some(Err(error)) = &name {
        reader.wrong("id", error.to_string());
    }
    let inputs = reader.maybe_texts("in", LIST_MAX).unwrap_or_default();
    let imputed = imputed(&mut reader, inputs.len());
    let classes = classes(&mut reader);
    let width = inputs.len();
    let engine = match engine {
        "linreg" => Engine::Linear(Linear::read(&mut reader, width)?),
        "tree" => Engine::Tree(Tree::read(&mut reader, width)?),
        "gbt" => Engine::Forest(Forest::read(&mut reader, width)?),
        "rules" => Engine::Rules(Rules::read(&mut reader)?),
        "mlp" => Engine::Layers(Layers::read(&mut reader, width)?),
        _ => external(&mut reader)?,
    };
    Some(Model { name: name.and_then(Result::ok), inputs, imputed, classes, engine, hash })
}

fn check_version(reader: &mut Reader) {
    let is_known = match reader.maybe("v") {
        None => true,
        Some(Json::Number(version)) => VERSION.parse() == Ok(*version),
        Some(other) => other.as_text() == Some(VERSION),
    };
    if !is_known {
        reader.wrong("v", format!("expected {VERSION}: no other version is known"));
    }
}

fn imputed(reader: &mut Reader, width: usize) -> Vec<Option<Num>> {
    let Some(list) = reader.maybe_list("imp", LIST_MAX) else { return vec![None; width] };
    if list.len() != width {
        reader.wrong("imp", format!("expected one for each of the {width} inputs, found {}", list.len()));
    }
    let mut imputed = Vec::new();
    for (index, value) in list.iter().enumerate() {
        imputed.push(match value {
            Json::Null => None,
            _ => number(reader, &format!("imp/{index}"), value),
        });
    }
    imputed
}

fn classes(reader: &mut Reader) -> Vec<Class> {
    let mut classes = Vec::new();
    for (index, row) in reader.maybe_list("cls", LIST_MAX).unwrap_or_default().iter().enumerate() {
        let key = format!("cls/{index}");
        let (Some(from), true) =
            (row.as_list().and_then(<[Json]>::first), row.as_list().unwrap_or_default().len() <= 3)
        else {
            reader.wrong(&key, "expected a threshold, a label and an action");
            continue;
        };
        let word = |at: usize| row.as_list().and_then(|it| it.get(at)).unwrap_or(&Json::Null).clone();
        let (label, action) = (word(1), word(2));
        let from = number(reader, &format!("{key}/0"), from);
        let label = optional_word(reader, &format!("{key}/1"), &label);
        let action = optional_word(reader, &format!("{key}/2"), &action);
        classes.extend(from.map(|from| Class { from, label, action }));
    }
    classes
}

fn external(reader: &mut Reader) -> Option<Engine> {
    let artifact = reader.text("artifact", WORD_BYTES_MAX)?;
    let hex = artifact.strip_prefix("sha256:").unwrap_or(artifact);
    if let Err(error) = Sha256::parse(hex) {
        reader.wrong("artifact", error.to_string());
    }
    reader.text("entry", WORD_BYTES_MAX).map(|_| Engine::External)
}

/// Reads a number, or notes that it is none.
pub(super) fn number(reader: &mut Reader, key: &str, value: &Json) -> Option<Num> {
    let number = Num::of_json(value);
    if number.is_none() {
        reader.wrong(key, format!("expected a number below 10^18, found {}", describe(value)));
    }
    number
}

fn describe(value: &Json) -> String {
    match value {
        Json::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
        other => other.kind().to_owned(),
    }
}

/// Reads a list of numbers.
pub(super) fn numbers(reader: &mut Reader, key: &str, value: &Json) -> Option<Vec<Num>> {
    let Some(list) = value.as_list() else {
        reader.wrong(key, format!("expected a list of numbers, found {}", value.kind()));
        return None;
    };
    if list.len() > PARAMETERS_MAX {
        reader.wrong(key, format!("at most {PARAMETERS_MAX} parameters"));
        return None;
    }
    let numbers: Vec<Option<Num>> =
        list.iter().enumerate().map(|(index, it)| number(reader, &format!("{key}/{index}"), it)).collect();
    numbers.into_iter().collect()
}

/// Reads a label or an action, if there is one.
pub(super) fn optional_word(reader: &mut Reader, key: &str, value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::Text(text) if text.len() <= WORD_BYTES_MAX => Some(text.clone()),
        other => {
            reader.wrong(
                key,
                format!("expected a string of at most {WORD_BYTES_MAX} bytes, found {}", other.kind()),
            );
            None
        }
    }
}

pub(super) fn link(reader: &mut Reader, key: &str) -> Link {
    let Some(value) = reader.maybe(key) else { return Link::Identity };
    value.as_text().and_then(Link::parse).unwrap_or_else(|| {
        reader.wrong(key, "expected id, sigmoid, clamp01, relu, hsig or htanh");
        Link::Identity
    })
}
