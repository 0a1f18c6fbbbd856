//! Puts an entry into the text of an index, so that a diff shows that entry alone.
//!
//! - Every byte that need not change stays: order, indentation, line ends, numbers as they were written.
//! - A new entry is laid out as the one before it is; one that is there is revised field by field.
//! - What comes out says what was asked for. Whether that holds is for [`crate::check()`] to say.

mod render;
mod revise;
mod same;
mod style;

use std::borrow::Cow;

use serde_json::{Map, Value};

use self::{
    render::{Renderer, Spot},
    revise::Reviser,
    style::Style,
};
use crate::{
    Contract, Flaw, Report,
    document::{Document, Kind, Node},
};

/// A text with an entry put into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Edited {
    /// The whole new text.
    pub text: String,
    /// What is different.
    pub change: Change,
}

/// What an edit did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "change", content = "revisions")]
pub enum Change {
    /// The entry is new.
    Added,
    /// These fields of the entry are different.
    Revised(Vec<Revision>),
    /// The entry stood there already, just so.
    Nothing,
}

/// A field that is different.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Revision {
    /// Where, seen from the entry.
    pub pointer: String,
    /// What stood there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What stands there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Why an entry cannot be put into a text.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The text is not JSON. Mend it first; the report says where.
    #[error("the index is not JSON: {}", first_line(.0))]
    Syntax(Box<Report>),
    /// There is no list of models to put it into. Mend the text first.
    #[error("the index has no list \"models\": an index without models is written {{\"models\": []}}")]
    NoModels,
    /// The entry does not say which one it is.
    #[error("the entry has no id")]
    NoId,
    /// Two entries have the id, so which one is meant is open. Remove one.
    #[error("the index has {count} entries with the id '{id}': remove all but one")]
    Twice {
        /// Which id.
        id: String,
        /// How many.
        count: usize,
    },
}

/// Returns the text with this entry in it: in the place of the one with its id, or behind all others.
pub fn put(text: &[u8], entry: &Map<String, Value>, contract: &Contract) -> Result<Edited, EditError> {
    let document = Document::parse(text).map_err(|errors| syntax(text, errors))?;
    let models = document.root().get("models").filter(|it| it.kind() == Kind::Array);
    let models = models.ok_or(EditError::NoModels)?;
    let id = entry.get("id").and_then(Value::as_str).ok_or(EditError::NoId)?;
    let guide = contract.guide();
    let style = Style::of(&document);
    let renderer = Renderer { style: &style };
    match named(models, id)? {
        None => {
            let text = append(&document, models, &renderer.entry(entry, models, guide.entry()), &style);
            Ok(Edited { text, change: Change::Added })
        }
        Some(found) => {
            let mut reviser = Reviser { renderer, revisions: Vec::new() };
            let text = reviser.object(found, entry, guide.entry());
            let change = match reviser.revisions {
                revisions if revisions.is_empty() => Change::Nothing,
                revisions => Change::Revised(revisions),
            };
            Ok(Edited { text: replace(&document, found, &text), change })
        }
    }
}

/// Returns the entry with an id as it stands in a text, or `None` if there is none.
pub fn find(text: &[u8], id: &str) -> Result<Option<Map<String, Value>>, EditError> {
    let document = Document::parse(text).map_err(|errors| syntax(text, errors))?;
    let models = document.root().get("models").filter(|it| it.kind() == Kind::Array);
    let found = named(models.ok_or(EditError::NoModels)?, id)?;
    Ok(found.and_then(|it| match it.to_value() {
        Value::Object(entry) => Some(entry),
        _ => None,
    }))
}

/// Returns all entries of a text.
pub fn entries(text: &[u8]) -> Result<Vec<Map<String, Value>>, EditError> {
    let document = Document::parse(text).map_err(|errors| syntax(text, errors))?;
    let models = document.root().get("models").filter(|it| it.kind() == Kind::Array);
    let entries = models.ok_or(EditError::NoModels)?.elements().filter_map(|it| match it.to_value() {
        Value::Object(entry) => Some(entry),
        _ => None,
    });
    Ok(entries.collect())
}

/// Writes an entry alone, in the schema's order, two spaces a level.
pub fn render(entry: &Map<String, Value>, contract: &Contract) -> String {
    let guide = contract.guide();
    let spot = Spot { indent: Some(""), template: None, said: guide.entry() };
    Renderer { style: &Style::default() }.object(entry, spot)
}

fn named<'d>(models: Node<'d>, id: &str) -> Result<Option<Node<'d>>, EditError> {
    let mut found = models.elements().filter(|it| it.get("id").is_some_and(|it| it.is(id)));
    let first = found.next();
    match found.count() {
        0 => Ok(first),
        more => Err(EditError::Twice { id: id.to_owned(), count: more + 1 }),
    }
}

/// Puts a value behind the last one of a list.
fn append(document: &Document<'_>, list: Node<'_>, value: &str, style: &Style) -> String {
    let text = document.text();
    if let Some(last) = list.elements().last() {
        let (before, after) = text.split_at(last.span().end);
        let lead = style::lead(text, last);
        return format!("{before},{lead}{value}{after}");
    }
    let outer = list.key().map_or("", |it| style::indent(text, it));
    let inside = match style.newline {
        Some(newline) => format!("[{newline}{}{value}{newline}{outer}]", style.deeper(outer)),
        None => format!("[{value}]"),
    };
    replace(document, list, &inside)
}

fn replace(document: &Document<'_>, node: Node<'_>, by: &str) -> String {
    let (text, span) = (document.text(), node.span());
    [&text[..span.start], by, &text[span.end..]].concat()
}

fn syntax(text: &[u8], errors: Vec<crate::document::SyntaxError>) -> EditError {
    EditError::Syntax(Box::new(Report::new(text, errors.into_iter().map(Flaw::from).collect())))
}

fn first_line(report: &Report) -> Cow<'static, str> {
    report.flaws.first().map_or("".into(), |it| {
        format!("{}, line {}, column {}", it.message, it.place.line, it.place.column).into()
    })
}

#[cfg(test)]
mod tests;
