//! How a text is laid out, read off the text itself.

use crate::document::{Document, Node};

/// How a text breaks its lines and what it puts between things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// What ends a line; nothing where the text is one line.
    pub(super) newline: Option<&'static str>,
    /// What one more level is indented by.
    unit: String,
    /// What stands between a key and its value.
    pub(super) colon: String,
    /// What stands between two values in one line.
    pub(super) comma: &'static str,
}

impl Default for Style {
    fn default() -> Self {
        Self { newline: Some("\n"), unit: "  ".to_owned(), colon: ": ".to_owned(), comma: ", " }
    }
}

impl Style {
    pub(super) fn of(document: &Document<'_>) -> Self {
        let (text, root) = (document.text(), document.root());
        let newline = text.find('\n').map(|at| if text[..at].ends_with('\r') { "\r\n" } else { "\n" });
        let first = root.members().next();
        let unit = first.map_or("", |(key, _)| indent(text, key));
        // Where even the first key is not indented, some levels may still be; two spaces are what most people use.
        let unit = if unit.is_empty() { "  " } else { unit };
        let colon = first.map_or(": ", |(key, value)| &text[key.span().end..value.span().start]);
        let colon = if colon.contains('\n') { ": " } else { colon };
        let comma = if colon.ends_with(' ') { ", " } else { "," };
        Self { newline, unit: unit.to_owned(), colon: colon.to_owned(), comma }
    }

    pub(super) fn deeper(&self, indent: &str) -> String {
        format!("{indent}{}", self.unit)
    }
}

/// Returns the white space before a value or a key, back to the comma or bracket.
pub(super) fn lead<'t>(text: &'t str, node: Node<'_>) -> &'t str {
    let before = &text[..node.span().start];
    &before[before.trim_end_matches([' ', '\t', '\n', '\r']).len()..]
}

/// Returns what the line of a value or a key is indented by, if nothing else stands before it.
pub(super) fn indent<'t>(text: &'t str, node: Node<'_>) -> &'t str {
    indent_of(lead(text, node))
}

/// Returns the part of a lead that belongs to the last line.
pub(super) fn indent_of(lead: &str) -> &str {
    lead.rsplit_once('\n').map_or("", |it| it.1)
}
