//! A field that is given as `key=value`, in the form that the schema has for it.

use std::str::FromStr;

use anyhow::{Context as _, ensure};
use catalog::schema::{Field, Form, Guide};
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

/// A field and its value, as they were typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Where the field stands, as a JSON pointer.
    pub(crate) pointer: String,
    text: String,
}

/// Below this, every name is one name, whatever characters it has.
const METRICS: &str = "provenance.metrics.";

impl Given {
    /// Returns the value in the form that the schema has for the field.
    pub(crate) fn value(&self, guide: &Guide<'_>) -> anyhow::Result<Value> {
        match guide.field(&self.pointer) {
            Some(field) => value(&field, &self.text),
            None => Ok(serde_json::from_str(&self.text).unwrap_or_else(|_| self.text.as_str().into())),
        }
        .with_context(|| format!("set {}", self.pointer))
    }
}

impl FromStr for Given {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (key, value) =
            text.split_once('=').context("a field is given as key=value, such as license=MIT")?;
        ensure!(!key.is_empty(), "a field is given as key=value, such as license=MIT");
        let pointer = if key.starts_with('/') {
            key.to_owned()
        } else if let Some(name) = key.strip_prefix(METRICS) {
            format!("/{}{}", METRICS.replace('.', "/"), escaped(name))
        } else {
            key.split('.').flat_map(|it| ["/".to_owned(), escaped(it)]).collect()
        };
        Ok(Self { pointer, text: value.to_owned() })
    }
}

/// Reads a value in the form that a field has.
pub(crate) fn value(field: &Field, text: &str) -> anyhow::Result<Value> {
    match field.form {
        Form::Text => {
            let known = field.choices.is_empty() || field.choices.iter().any(|it| it == text);
            ensure!(known, "{text:?} is none of {}", field.choices.join(", "));
            Ok(text.into())
        }
        Form::Number => json(text, "number").map(Value::Number),
        Form::Integer => {
            let number: Number = json(text, "whole number")?;
            ensure!(number.as_f64().is_some_and(|it| it.fract() == 0.0), "{text} is no whole number");
            Ok(Value::Number(number))
        }
        Form::Flag => json(text, "true or false").map(Value::Bool),
        Form::Texts if !text.trim_start().starts_with('[') => {
            Ok(text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(Value::from).collect())
        }
        Form::Texts | Form::List => json(text, "list in JSON").map(Value::Array),
        Form::Object => json(text, "object in JSON").map(Value::Object),
        Form::Any => Ok(serde_json::from_str(text).unwrap_or_else(|_| text.into())),
    }
}

fn json<T: DeserializeOwned>(text: &str, what: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).with_context(|| format!("{text:?} is no {what}"))
}

fn escaped(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_takes_the_form_that_its_field_has() {
        let contract = catalog::Contract::ours();
        let guide = contract.guide();
        let check = |text: &str, pointer: &str, value: Value| {
            let given: Given = text.parse().unwrap();
            assert_eq!((given.pointer.as_str(), given.value(&guide).unwrap()), (pointer, value), "{text}");
        };
        check("license=MIT", "/license", json!("MIT"));
        check("version=1.0", "/version", json!("1.0"));
        check("training.command=run --lr=1e-5", "/training/command", json!("run --lr=1e-5"));
        check("frequencyHz=432", "/frequencyHz", json!(432));
        check("semanticTags=a-b, c", "/semanticTags", json!(["a-b", "c"]));
        check("semanticTags=[\"a\"]", "/semanticTags", json!(["a"]));
        check("provenance.metrics.val/f1.macro=0.5", "/provenance/metrics/val~1f1.macro", json!(0.5));
        check("geometry.note=free text", "/geometry/note", json!("free text"));
        check("/geometry/a.b={\"c\": 1}", "/geometry/a.b", json!({"c": 1}));
        check("provenance.metrics={}", "/provenance/metrics", json!({}));
    }

    #[test]
    fn a_value_that_does_not_fit_says_what_would() {
        let contract = catalog::Contract::ours();
        let wrong = |text: &str| {
            format!("{:#}", text.parse::<Given>().unwrap().value(&contract.guide()).unwrap_err())
        };
        assert!(wrong("chakra=root").contains("\"root\" is none of muladhara, svadhisthana"));
        assert!(wrong("frequencyHz=high").contains("\"high\" is no number"));
        assert!(wrong("geometry.dimensions=1.5").contains("1.5 is no whole number"));
        assert!("license".parse::<Given>().is_err() && "=x".parse::<Given>().is_err());
    }
}
