//! Revises a value of a text field by field: what stays the same is copied as it is written.

use serde_json::{Map, Value};

use super::{
    Revision,
    render::{Renderer, Spot, in_order},
    same::same,
    style,
};
use crate::{
    document::{Kind, Node},
    schema::Said,
};

pub(super) struct Reviser<'s> {
    pub(super) renderer: Renderer<'s>,
    pub(super) revisions: Vec<Revision>,
}

/// A part of a container: the white space before it, and what it says.
struct Part {
    lead: String,
    text: String,
}

impl Reviser<'_> {
    /// Returns the new text of an entry.
    pub(super) fn object(
        &mut self,
        entry: Node<'_>,
        new: &Map<String, Value>,
        said: Option<Said<'_>>,
    ) -> String {
        self.members(entry, new, said, "")
    }

    fn value(&mut self, node: Node<'_>, new: &Value, said: Option<Said<'_>>, pointer: &str) -> String {
        if same(node, new) {
            return node.source().to_owned();
        }
        match (node.kind(), new) {
            (Kind::Object, Value::Object(new)) if node.members().next().is_some() => {
                self.members(node, new, said, pointer)
            }
            (Kind::Array, Value::Array(new)) if node.elements().next().is_some() && !new.is_empty() => {
                self.elements(node, new, said, pointer)
            }
            _ => {
                self.note(pointer, Some(node), Some(new));
                let lead = style::lead(node.document().text(), node.key().unwrap_or(node));
                let indent = lead.contains('\n').then(|| style::indent_of(lead));
                self.renderer.value(new, Spot { indent, template: Some(node), said })
            }
        }
    }

    fn members(
        &mut self,
        object: Node<'_>,
        new: &Map<String, Value>,
        said: Option<Said<'_>>,
        pointer: &str,
    ) -> String {
        let text = object.document().text();
        let mut parts: Vec<(String, Part)> = Vec::new();
        for (key, old) in object.members() {
            let Some(name) = key.as_str() else { continue };
            let pointer = below(pointer, &name);
            let Some(value) = new.get(name.as_ref()) else {
                self.note(&pointer, Some(old), None);
                continue;
            };
            let said = said.and_then(|it| it.property(&name));
            let value = self.value(old, value, said, &pointer);
            let between = &text[key.span().end..old.span().start];
            let (lead, text) =
                (style::lead(text, key).to_owned(), format!("{}{between}{value}", key.source()));
            parts.push((name.into_owned(), Part { lead, text }));
        }
        let usual = object.members().next().map_or("", |it| style::lead(text, it.0));
        let order = in_order(new, said);
        for (at, (name, value)) in order.iter().enumerate() {
            if parts.iter().any(|it| it.0 == **name) {
                continue;
            }
            self.note(&below(pointer, name), None, Some(value));
            let indent = usual.contains('\n').then(|| style::indent_of(usual));
            let spot = Spot { indent, template: None, said: said.and_then(|it| it.property(name)) };
            let part = Part { lead: usual.to_owned(), text: self.renderer.member(name, value, spot) };
            // Behind the nearest of those that the schema has before it.
            let mut earlier = order[..at].iter().rev();
            let after = earlier.find_map(|(name, _)| parts.iter().position(|it| it.0 == **name));
            parts.insert(after.map_or(0, |it| it + 1), ((*name).clone(), part));
        }
        assemble(object, parts.iter().map(|it| &it.1))
    }

    fn elements(&mut self, list: Node<'_>, new: &[Value], said: Option<Said<'_>>, pointer: &str) -> String {
        let text = list.document().text();
        let old = list.elements().collect::<Vec<_>>();
        let said = said.and_then(Said::element);
        let usual = old.first().map_or("", |it| style::lead(text, *it));
        let indent = usual.contains('\n').then(|| style::indent_of(usual));
        let mut parts = Vec::new();
        let mut kept = vec![false; old.len()];
        for (at, value) in new.iter().enumerate() {
            let pointer = below(pointer, &at.to_string());
            let found = counterpart(&old, value, at, old.len() == new.len());
            let part = if let Some(found) = found.filter(|it| !kept[*it]) {
                kept[found] = true;
                Part {
                    lead: style::lead(text, old[found]).to_owned(),
                    text: self.value(old[found], value, said, &pointer),
                }
            } else {
                self.note(&pointer, None, Some(value));
                let spot = Spot { indent, template: old.first().copied(), said };
                Part { lead: usual.to_owned(), text: self.renderer.value(value, spot) }
            };
            parts.push(part);
        }
        for (at, element) in old.iter().enumerate().filter(|it| !kept[it.0]) {
            self.note(&below(pointer, &at.to_string()), Some(*element), None);
        }
        assemble(list, parts.iter())
    }

    fn note(&mut self, pointer: &str, before: Option<Node<'_>>, after: Option<&Value>) {
        let (before, after) = (before.map(Node::to_value), after.cloned());
        self.revisions.push(Revision { pointer: pointer.to_owned(), before, after });
    }
}

/// Finds the element that a new one continues: the one with its path, the same one, or the one in its place.
fn counterpart(old: &[Node<'_>], new: &Value, at: usize, same_length: bool) -> Option<usize> {
    if let Some(path) = new.get("path").and_then(Value::as_str) {
        return old.iter().position(|it| it.get("path").is_some_and(|it| it.is(path)));
    }
    old.iter().position(|it| same(*it, new)).or_else(|| (same_length && at < old.len()).then_some(at))
}

/// Puts a container together from its parts.
fn assemble<'p>(container: Node<'_>, parts: impl ExactSizeIterator<Item = &'p Part>) -> String {
    let source = container.source();
    let (open, close) = (&source[..1], &source[source.len() - 1..]);
    if parts.len() == 0 {
        return format!("{open}{close}");
    }
    let inner = &source[1..source.len() - 1];
    let tail = &inner[inner.trim_end_matches([' ', '\t', '\n', '\r']).len()..];
    let mut text = open.to_owned();
    for (at, part) in parts.enumerate() {
        text.extend([if at > 0 { "," } else { "" }, &part.lead, &part.text]);
    }
    text + tail + close
}

fn below(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}
