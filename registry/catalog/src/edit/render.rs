//! Writes a value as its neighbours are written.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::style::{self, Style};
use crate::{
    document::{Kind, Node},
    schema::{Said, is_container},
};

#[derive(Clone, Copy, Debug)]
pub(super) struct Renderer<'s> {
    pub(super) style: &'s Style,
}

/// Where a value is written, and what it should look like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    /// What the line it begins in is indented by; `None` inside of one line.
    pub(super) indent: Option<&'a str>,
    /// A value of the same kind elsewhere.
    pub(super) template: Option<Node<'a>>,
    /// What the schema says about it.
    pub(super) said: Option<Said<'a>>,
}

impl Renderer<'_> {
    /// Writes a whole entry as the last of the list is written.
    pub(super) fn entry(self, entry: &Map<String, Value>, list: Node<'_>, said: Option<Said<'_>>) -> String {
        let template = list.elements().last().filter(|it| it.kind() == Kind::Object);
        let text = list.document().text();
        let indent = match (template, self.style.newline) {
            (_, None) => None,
            (Some(template), _) => Some(Cow::Borrowed(style::indent(text, template))),
            (None, _) => {
                Some(Cow::Owned(self.style.deeper(list.key().map_or("", |it| style::indent(text, it)))))
            }
        };
        self.object(entry, Spot { indent: indent.as_deref(), template, said })
    }

    pub(super) fn value(self, value: &Value, spot: Spot<'_>) -> String {
        match value {
            Value::Object(object) => self.object(object, spot),
            Value::Array(list) => self.list(list, spot),
            scalar => scalar.to_string(),
        }
    }

    pub(super) fn object(self, object: &Map<String, Value>, spot: Spot<'_>) -> String {
        let members = in_order(object, spot.said);
        let parts = |indent: Option<&str>| {
            let part = |(name, value): &(&String, &Value)| {
                let template = spot.template.and_then(|it| it.get(name));
                let said = spot.said.and_then(|it| it.property(name));
                self.member(name, value, Spot { indent, template, said })
            };
            members.iter().map(part).collect::<Vec<_>>()
        };
        self.container(["{", "}"], spot, parts)
    }

    fn list(self, list: &[Value], spot: Spot<'_>) -> String {
        let parts = |indent: Option<&str>| {
            let template = spot.template.and_then(|it| it.elements().next());
            let spot = Spot { indent, template, said: spot.said.and_then(Said::element) };
            list.iter().map(|value| self.value(value, spot)).collect::<Vec<_>>()
        };
        self.container(["[", "]"], spot, parts)
    }

    /// Writes a key and its value.
    pub(super) fn member(self, name: &str, value: &Value, spot: Spot<'_>) -> String {
        format!("{}{}{}", Value::from(name), self.style.colon, self.value(value, spot))
    }

    fn container(
        self,
        [open, close]: [&str; 2],
        spot: Spot<'_>,
        parts: impl Fn(Option<&str>) -> Vec<String>,
    ) -> String {
        let padding = spot.template.and_then(padding);
        match (spot.indent, self.style.newline, padding) {
            (Some(indent), Some(newline), None) => {
                let deeper = self.style.deeper(indent);
                let parts = parts(Some(&deeper));
                if parts.is_empty() {
                    return format!("{open}{close}");
                }
                let parts = parts.join(&format!(",{newline}{deeper}"));
                format!("{open}{newline}{deeper}{parts}{newline}{indent}{close}")
            }
            (_, _, padding) => {
                let (parts, padding) = (parts(None), padding.unwrap_or_default());
                let padding = if parts.is_empty() { "" } else { padding };
                format!("{open}{padding}{}{padding}{close}", parts.join(self.style.comma))
            }
        }
    }
}

/// Returns what stands inside the brackets of a container that is written in one line.
fn padding(template: Node<'_>) -> Option<&str> {
    if !is_container(template) || template.source().contains('\n') {
        return None;
    }
    let key = template.members().next().map(|it| it.0);
    let first = key.or_else(|| template.elements().next())?;
    Some(style::lead(template.document().text(), first))
}

/// Returns the members in the schema's order, and after them those that it does not know.
pub(super) fn in_order<'o>(
    object: &'o Map<String, Value>,
    said: Option<Said<'_>>,
) -> Vec<(&'o String, &'o Value)> {
    let names = said.map(Said::names).unwrap_or_default();
    let mut members = object.iter().collect::<Vec<_>>();
    members.sort_by_key(|(name, _)| names.iter().position(|it| it == *name).unwrap_or(usize::MAX));
    members
}
