//! What a forge says of its own API, and whether an exchange keeps to it.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::support::peers;

/// The operations of one forge, as `tests/peers/forges.py` writes them.
pub(super) struct Described {
    operations: Vec<Operation>,
    definitions: Value,
}

struct Operation {
    method: String,
    path: Vec<String>,
    about: Value,
}

impl Described {
    /// Reads a description, or says what is skipped without it.
    pub(super) fn read(forge: &str) -> Option<Self> {
        let place = peers::require(&format!("forge-api/{forge}.json"), "proposals against a forge")?;
        let page: Value = serde_json::from_slice(&fs::read(place).unwrap()).unwrap();
        let operations = page["operations"].as_array().unwrap().iter().map(|it| Operation {
            method: it["method"].as_str().unwrap().to_owned(),
            path: parts(it["path"].as_str().unwrap()),
            about: it.clone(),
        });
        Some(Self { operations: operations.collect(), definitions: page["definitions"].clone() })
    }

    fn operation(&self, method: &str, path: &str) -> Result<&Operation, String> {
        let path = parts(path);
        let fits = |it: &&Operation| {
            let same = |(known, given): (&String, &String)| known.starts_with('{') || known == given;
            it.method == method && it.path.len() == path.len() && it.path.iter().zip(&path).all(same)
        };
        self.operations
            .iter()
            .find(fits)
            .ok_or_else(|| format!("{method} {path:?} is no operation of this forge"))
    }

    /// Checks a request: its path, every value of its query, and its body.
    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        query: &[(String, String)],
        body: &Value,
    ) -> Result<(), String> {
        let about = &self.operation(method, path)?.about;
        for (name, value) in query {
            let schema = about["query"].get(name).ok_or_else(|| format!("{path} knows no {name}"))?;
            let value = match schema["type"].as_str() {
                Some("integer") => value.parse::<i64>().map_or_else(|_| json!(value), |it| json!(it)),
                _ => json!(value),
            };
            self.holds(schema, &value, &format!("{name} of {method} {path}"))?;
        }
        match (&about["body"], body) {
            (Value::Null, Value::Null) => Ok(()),
            (Value::Null, body) => Err(format!("{method} {path} takes no body, and got {body}")),
            (schema, body) => self.holds(schema, body, &format!("the request {method} {path}")),
        }
    }

    /// Checks an answer. Refusals that any server may give need not be described.
    pub(super) fn answer(&self, method: &str, path: &str, code: u16, body: &Value) -> Result<(), String> {
        let about = &self.operation(method, path)?.about;
        match &about["answers"][code.to_string()] {
            Value::Null if matches!(code, 401 | 403 | 404 | 429 | 500..) => Ok(()),
            Value::Null => Err(format!("{method} {path} never answers {code}")),
            schema => self.holds(schema, body, &format!("the answer {code} to {method} {path}")),
        }
    }

    /// Returns the forge's own example of an answer.
    pub(super) fn example(&self, method: &str, path: &str, code: u16) -> Option<Value> {
        let operation = self.operation(method, path).ok()?;
        operation.about["examples"].get(code.to_string()).cloned()
    }

    fn holds(&self, schema: &Value, value: &Value, what: &str) -> Result<(), String> {
        let mut whole = match schema {
            Value::Object(members) => members.clone(),
            Value::Bool(true) => return Ok(()),
            other => panic!("{other} is no schema"),
        };
        whole.insert("definitions".to_owned(), self.definitions.clone());
        let validator = jsonschema::draft7::new(&Value::Object(whole)).expect("a schema");
        let wrong = validator.iter_errors(value).map(|it| format!("{it} at {}", it.instance_path()));
        let wrong = wrong.collect::<Vec<_>>();
        if wrong.is_empty() { Ok(()) } else { Err(format!("{what}: {}", wrong.join("; "))) }
    }
}

fn parts(path: &str) -> Vec<String> {
    path.trim_matches('/').split('/').map(str::to_owned).collect()
}

/// Takes a query apart.
pub(super) fn queried(query: Option<&str>) -> Vec<(String, String)> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Returns one value of a query.
pub(super) fn asked<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
    query.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
}

/// Puts values into an example, where it has such members.
pub(super) fn filled(mut example: Value, values: BTreeMap<&str, Value>) -> Value {
    for (pointer, value) in values {
        if let Some(place) = example.pointer_mut(pointer) {
            *place = value;
        }
    }
    example
}
