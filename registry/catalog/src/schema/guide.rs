//! What the schema says about each field, in the order of its text: for whoever fills an entry in.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Contract, ENTRY};
use crate::document::{Document, Kind, Node};

/// How many references lead on from one to the next before they are taken for a circle.
const REFERENCES_MAX: usize = 16;

/// The schema as a text to look things up in.
#[derive(Debug)]
pub struct Guide<'t> {
    document: Option<Document<'t>>,
}

/// What the schema says about one value.
#[derive(Clone, Copy, Debug)]
pub struct Said<'g> {
    root: Node<'g>,
    node: Node<'g>,
}

/// A field of an entry, described for a person.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Field {
    /// Where it stands, seen from the entry.
    pub pointer: String,
    /// What it means; empty if the schema does not say.
    pub description: String,
    /// What form its value has.
    pub form: Form,
    /// The values it can have, if they can be listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What form a value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// Yes or no.
    Flag,
    /// A list of texts.
    Texts,
    /// Any other list.
    List,
    /// An object.
    Object,
    /// Whatever it is.
    Any,
}

impl Contract {
    /// Returns the schema to look things up in.
    pub fn guide(&self) -> Guide<'_> {
        Guide { document: Document::parse(self.text.as_bytes()).ok() }
    }
}

impl Guide<'_> {
    /// Returns what is said about a whole entry.
    pub fn entry(&self) -> Option<Said<'_>> {
        let root = self.document.as_ref()?.root();
        Some(Said { root, node: root.at(ENTRY)? }.resolved())
    }

    /// Describes the field that a pointer names, seen from the entry; `None` where the schema has none such.
    pub fn field(&self, pointer: &str) -> Option<Field> {
        let mut said = self.entry()?;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            said = if token.parse::<usize>().is_ok() { said.element()? } else { said.property(&token)? };
        }
        Some(said.field(pointer.to_owned()))
    }

    /// Lists what an entry has to have and has not, in the schema's order. Of an object that is missing, its own
    /// required parts are listed.
    pub fn missing(&self, entry: &Map<String, Value>) -> Vec<Field> {
        let mut missing = Vec::new();
        if let Some(said) = self.entry() {
            said.missing(Some(entry), "", &mut missing);
        }
        missing
    }
}

impl<'g> Said<'g> {
    /// Returns what is said about a property.
    pub fn property(self, name: &str) -> Option<Self> {
        Some(self.to(self.node.get("properties")?.get(name)?))
    }

    /// Returns what is said about the elements of a list.
    pub fn element(self) -> Option<Self> {
        Some(self.to(self.node.get("items")?))
    }

    /// Returns the names of the properties, in the order of the text.
    pub fn names(self) -> Vec<Cow<'g, str>> {
        let properties = self.node.get("properties").into_iter().flat_map(Node::members);
        properties.filter_map(|(key, _)| key.as_str()).collect()
    }

    /// Describes the value, which stands at a pointer.
    pub fn field(self, pointer: String) -> Field {
        let description = self.node.get("description").and_then(Node::as_str).unwrap_or_default();
        let choices = self.node.get("enum").into_iter().flat_map(Node::elements);
        let choices = choices.filter_map(Node::as_str).map(Cow::into_owned).collect();
        Field { pointer, description: description.into_owned(), form: self.form(), choices }
    }

    fn form(self) -> Form {
        match self.node.get("type").and_then(Node::as_str).as_deref() {
            Some("string") => Form::Text,
            Some("number") => Form::Number,
            Some("integer") => Form::Integer,
            Some("boolean") => Form::Flag,
            Some("object") => Form::Object,
            Some("array") if self.element().is_some_and(|it| it.form() == Form::Text) => Form::Texts,
            Some("array") => Form::List,
            _ => Form::Any,
        }
    }

    fn required(self) -> impl Iterator<Item = Cow<'g, str>> {
        self.node.get("required").into_iter().flat_map(Node::elements).filter_map(Node::as_str)
    }

    fn missing(self, object: Option<&Map<String, Value>>, pointer: &str, missing: &mut Vec<Field>) {
        let names = self.names();
        let mut required = self.required().collect::<Vec<_>>();
        required.sort_by_key(|name| names.iter().position(|it| it == name));
        for name in required {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            let value = object.and_then(|it| it.get(name.as_ref()));
            let Some(said) = self.property(&name) else {
                if value.is_none() {
                    let (description, choices) = (String::new(), Vec::new());
                    missing.push(Field { pointer, description, form: Form::Any, choices });
                }
                continue;
            };
            let has_parts = said.required().next().is_some();
            match value {
                None if !has_parts => missing.push(said.field(pointer)),
                None => said.missing(None, &pointer, missing),
                Some(value) => {
                    if let Some(object) = value.as_object() {
                        said.missing(Some(object), &pointer, missing);
                    }
                }
            }
        }
    }

    fn to(self, node: Node<'g>) -> Self {
        Self { root: self.root, node }.resolved()
    }

    /// Follows references within the schema.
    fn resolved(mut self) -> Self {
        for _ in 0..REFERENCES_MAX {
            let reference = self.node.get("$ref").and_then(Node::as_str);
            let pointer = reference.as_deref().and_then(|it| it.strip_prefix('#'));
            let Some(target) = pointer.and_then(|it| self.root.at(it)) else { break };
            self.node = target;
        }
        self
    }
}

impl Field {
    /// Returns the field's name as people write it: `provenance.runId`.
    pub fn name(&self) -> String {
        let tokens = self.pointer.split('/').skip(1);
        tokens.map(|it| it.replace("~1", "/").replace("~0", "~")).collect::<Vec<_>>().join(".")
    }
}

/// Says whether a node is a value that has parts.
pub(crate) fn is_container(node: Node<'_>) -> bool {
    matches!(node.kind(), Kind::Array | Kind::Object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_listed_leaf_by_leaf_in_the_schemas_order() {
        let contract = Contract::ours();
        let guide = contract.guide();
        let names = |entry: Value| {
            let missing = guide.missing(entry.as_object().unwrap());
            missing.iter().map(Field::name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            names(serde_json::json!({})),
            "id version chakra frequencyHz geometry.pattern geometry.dimensions temporalScope semanticTags dataset.id \
             dataset.url training.repo training.command artifact.filename artifact.sha256 artifact.sizeBytes license \
             provenance.runId provenance.metrics"
        );
        let mut ours: Value = serde_json::from_str(include_str!("../../../../index.json")).unwrap();
        let entry = &mut ours["models"][0];
        assert_eq!(names(entry.clone()), "");
        entry["provenance"].as_object_mut().unwrap().remove("metrics");
        entry["artifact"]["files"][0].as_object_mut().unwrap().remove("path");
        assert_eq!(names(entry.clone()), "provenance.metrics");
    }

    #[test]
    fn a_field_is_described_as_the_schema_has_it() {
        let contract = Contract::ours();
        let guide = contract.guide();
        let scope = guide.field("/temporalScope").unwrap();
        assert_eq!(
            (scope.form, scope.choices.len(), scope.name()),
            (Form::Text, 8, "temporalScope".to_owned())
        );
        assert_eq!(guide.field("/semanticTags").unwrap().form, Form::Texts);
        assert_eq!(guide.field("/artifact/files/0/sizeBytes").unwrap().form, Form::Integer);
        assert!(guide.field("/provenance/runId").unwrap().description.contains("experiment tracker"));
        assert_eq!(guide.field("/provenance/metrics/bleu"), None);
    }

    #[test]
    fn a_house_schema_with_references_in_a_circle_is_looked_up_without_end_in_sight() {
        let text = r##"{"definitions": {"model": {"$ref": "#/definitions/a"}, "a": {"$ref": "#/definitions/model"}}}"##;
        let document = Some(Document::parse(text.as_bytes()).unwrap());
        let guide = Guide { document };
        assert_eq!(guide.field("/id"), None);
    }
}
