//! The contract an index is held to, and its verdict in the words that the documentation uses.
//!
//! A house schema may replace ours, but `id`, `version`, `artifact`, `license` and `provenance` stay as they
//! are: what hallmark itself relies on is checked against both.

mod guide;
mod swift;
mod texts;
mod wording;

pub(crate) use guide::is_container;
pub use guide::{Field, Form, Guide, Said};
pub(crate) use texts::plain_in_url;
pub(crate) use wording::{data_path, nearest};

use std::{borrow::Cow, collections::BTreeSet, sync::OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};

use self::swift::Shape;
pub(crate) use self::swift::{Skim, Steps};
use crate::{
    document::{Document, Node, Spanned, View},
    flaw::{FLAWS_MAX, Flaw},
};

/// The schema that `hallmark schema` prints and that any JSON Schema validator can use.
pub const SCHEMA: &str = include_str!("../../../schema/schema.json");

/// The fields that every schema has to leave as they are.
const FIXED: [&str; 5] = ["id", "version", "artifact", "license", "provenance"];

/// Where the schema of one entry stands.
const ENTRY: &str = "/definitions/model";

/// A schema, made once and used for every reload.
#[derive(Debug)]
pub struct Contract {
    schema: Value,
    /// The schema as it is written: its order is the one that people are used to.
    text: Cow<'static, str>,
    /// Says yes quickly, where the schema is simple enough for that.
    shapes: Option<Shapes>,
    /// Have the last word. An index in which nothing is wrong or strange never asks them, so they are made when
    /// they are first needed.
    judges: OnceLock<Judges>,
    /// What hallmark relies on, where the schema is not our own.
    fixed: Option<Box<Contract>>,
}

/// What an entry looks like, and what stands around the entries.
#[derive(Debug)]
struct Shapes {
    frame: Shape,
    entry: Shape,
    /// Anything.
    any: Shape,
    /// Whether the rules find in an entry all that they look at.
    tells_facts: bool,
}

/// The compiled schema.
#[derive(Debug)]
struct Judges {
    whole: Validator<Spanned>,
    entry: Validator<Spanned>,
}

/// Why a text is no schema that an index can be held to.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The text is not JSON. Fix the file.
    #[error("the schema is not JSON")]
    Json(#[source] serde_json::Error),
    /// The schema breaks the rules for schemas. Fix the place that the cause names.
    #[error("the schema is no valid JSON Schema")]
    Schema(#[source] Box<jsonschema::ValidationError<'static>>),
    /// The schema of an entry is not where it is looked for.
    #[error(
        "the schema has no /definitions/model: put the schema of one entry there and refer to it from /properties/models/items"
    )]
    NoEntry,
}

impl Contract {
    /// Returns our own schema.
    ///
    /// # Panics
    /// If the schema in the binary is broken, which the tests of this crate rule out.
    #[expect(clippy::expect_used, reason = "the text is a constant of this crate, and a test compiles it")]
    pub fn ours() -> Self {
        Self::new(serde_json::from_str(SCHEMA).expect("the embedded schema is JSON"), SCHEMA.into(), None)
    }

    /// Compiles another organisation's schema, to which the fixed part of ours is added.
    pub fn of(text: &str) -> Result<Self, ContractError> {
        let schema: Value = serde_json::from_str(text).map_err(ContractError::Json)?;
        let ours: Value = serde_json::from_str(SCHEMA).map_err(ContractError::Json)?;
        if schema == ours {
            return Ok(Self::new(ours, SCHEMA.into(), None));
        }
        let judges = Judges::compile(&schema)?.into();
        let fixed = Box::new(Self::new(fixed_part(&ours), SCHEMA.into(), None));
        Ok(Self { judges, ..Self::new(schema, text.to_owned().into(), Some(fixed)) })
    }

    fn new(schema: Value, text: Cow<'static, str>, fixed: Option<Box<Self>>) -> Self {
        let frame = Shape::of(&schema, "").map(|it| it.without_elements_of("models"));
        let shapes = frame.zip(Shape::of(&schema, ENTRY)).map(|(frame, mut entry)| {
            let tells_facts = entry.mark_facts();
            entry.count_steps(0);
            Shapes { frame, entry, any: Shape::any(), tells_facts }
        });
        Self { schema, text, shapes, judges: OnceLock::new(), fixed }
    }

    #[expect(
        clippy::expect_used,
        reason = "made at once from another's schema; ours is a constant that a test compiles"
    )]
    fn judges(&self) -> &Judges {
        self.judges.get_or_init(|| Judges::compile(&self.schema).expect("the embedded schema compiles"))
    }

    /// Says whether this is our own schema, whose entries the typed structs know whole.
    pub fn is_ours(&self) -> bool {
        self.fixed.is_none()
    }

    /// Checks what stands around the entries; under another organisation's schema the entries too, since
    /// such a schema may say something about all of them together.
    pub(crate) fn check_frame(&self, document: &Document<'_>) -> Vec<Flaw> {
        let root = document.root();
        if self.is_ours() && self.shapes.as_ref().is_some_and(|it| it.frame.surely_fits(root)) {
            return Vec::new();
        }
        let view = if self.is_ours() { View::Frame(root) } else { View::InDocument(root) };
        flaws(&self.judges().whole, &self.schema, root, view)
    }

    /// Returns what says of entries in a text, before anybody parses it, that they plainly keep the schema.
    pub(crate) fn skim<'c, 't>(&'c self, text: &'t str, steps: &'c mut Steps) -> Option<Skim<'c, 't>> {
        let shapes = self.shapes.as_ref().filter(|it| self.is_ours() && it.tells_facts)?;
        Some(Skim::new(&shapes.entry, &shapes.any, steps, text))
    }

    /// Checks one entry. Cheap if nothing is wrong.
    pub(crate) fn check_entry(&self, entry: Node<'_>) -> Vec<Flaw> {
        let contract = self.fixed.as_deref().unwrap_or(self);
        if contract.shapes.as_ref().is_some_and(|it| it.entry.surely_fits(entry)) {
            return Vec::new();
        }
        flaws(&contract.judges().entry, &contract.schema, entry, View::InDocument(entry))
    }
}

impl Judges {
    fn compile(schema: &Value) -> Result<Self, ContractError> {
        if schema.pointer(ENTRY).is_none() {
            return Err(ContractError::NoEntry);
        }
        let broken =
            |error: jsonschema::ValidationError<'_>| ContractError::Schema(Box::new(error.to_owned()));
        let options = jsonschema::options_for::<Spanned>().offline().should_validate_formats(true);
        let mut of_entry = schema.clone();
        if let Some(root) = of_entry.as_object_mut() {
            root.retain(|name, _| matches!(name.as_str(), "$schema" | "$id" | "definitions" | "$defs"));
            root.insert("$ref".to_owned(), format!("#{ENTRY}").into());
        }
        let whole = options.build(schema).map_err(broken)?;
        let entry = options.build(&of_entry).map_err(broken)?;
        Ok(Self { whole, entry })
    }
}

fn flaws<'d>(validator: &Validator<Spanned>, schema: &Value, node: Node<'d>, view: View<'d>) -> Vec<Flaw> {
    if validator.is_valid(view.clone()) {
        return Vec::new();
    }
    validator
        .iter_errors(view)
        .take(FLAWS_MAX + 1)
        .flat_map(|error| wording::flaws(schema, node, &error))
        .collect()
}

/// Returns our schema with everything open but what hallmark relies on.
fn fixed_part(ours: &Value) -> Value {
    let keep = FIXED.into_iter().collect::<BTreeSet<_>>();
    let properties = ours["definitions"]["model"]["properties"].as_object().into_iter().flatten();
    let kept = properties.filter(|(name, _)| keep.contains(name.as_str()));
    let kept = kept.map(|(name, schema)| (name.clone(), schema.clone())).collect::<serde_json::Map<_, _>>();
    let mut schema = ours.clone();
    schema["definitions"]["model"] = json!({ "type": "object", "required": FIXED, "properties": kept });
    schema
}

#[cfg(test)]
mod tests;
