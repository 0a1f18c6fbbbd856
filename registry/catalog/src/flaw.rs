//! What is wrong with an index, where it stands, and what to do about it.

use std::{borrow::Cow, ops::Range};

use memchr::{memchr_iter, memrchr};
use serde::Serialize;

use crate::document::{Node, SyntaxError};

/// How many flaws a report lists; what lies beyond is counted.
pub const FLAWS_MAX: usize = 1_000;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// Whether the index is refused for it.
    pub severity: Severity,
    /// Which rule was broken; stable, for programs: `syntax`, `schema/pattern`, `id-unique` and so on.
    pub rule: Cow<'static, str>,
    /// The entry it belongs to, as it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where in the document.
    pub pointer: String,
    /// Where in the file.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What stands there instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Other places that belong to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
}

/// Whether a flaw refuses an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The index does not hold.
    Error,
    /// The index holds; with `--strict` it does not.
    Warning,
}

/// Where something stands in the file, counted as editors count: from 1, in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// The bytes of the text.
    #[serde(skip)]
    pub span: Range<usize>,
}

/// A second place that belongs to a flaw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Related {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What is to be seen there.
    pub message: String,
}

impl Flaw {
    /// Begins a flaw that refuses the index.
    pub fn error(rule: impl Into<Cow<'static, str>>, node: Node<'_>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            rule: rule.into(),
            model: None,
            pointer: node.pointer(),
            place: Place::at(node.span()),
            message: message.into(),
            found: None,
            help: None,
            related: Vec::new(),
        }
    }

    /// Begins a flaw that only `--strict` refuses.
    pub fn warning(rule: impl Into<Cow<'static, str>>, node: Node<'_>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(rule, node, message) }
    }

    /// Adds what stands there instead.
    #[must_use]
    pub fn found(self, found: impl Into<String>) -> Self {
        Self { found: Some(found.into()), ..self }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Adds another place that belongs to it.
    #[must_use]
    pub fn see(mut self, node: Node<'_>, message: impl Into<String>) -> Self {
        self.related.push(Related { place: Place::at(node.span()), message: message.into() });
        self
    }
}

impl Flaw {
    /// Makes characters visible that would steer a terminal: names in a message come from the file.
    fn show_controls(&mut self) {
        let texts = [Some(&mut self.message), self.found.as_mut(), self.help.as_mut(), self.model.as_mut()];
        for text in texts.into_iter().flatten().chain(std::iter::once(&mut self.pointer)) {
            if text.contains(char::is_control) {
                let shown =
                    |it: char| if it.is_control() { it.escape_default().to_string() } else { it.to_string() };
                *text = text.chars().map(shown).collect();
            }
        }
    }
}

impl From<SyntaxError> for Flaw {
    fn from(error: SyntaxError) -> Self {
        let related = error.related.map(|(span, message)| Related { place: Place::at(span), message });
        Self {
            severity: Severity::Error,
            rule: if related.is_some() { "key-unique".into() } else { "syntax".into() },
            model: None,
            pointer: error.pointer,
            place: Place::at(error.span),
            message: error.message,
            found: None,
            help: error.help.map(str::to_owned),
            related: related.into_iter().collect(),
        }
    }
}

impl Place {
    fn at(span: Range<usize>) -> Self {
        Self { line: 0, column: 0, span }
    }
}

/// All that was found in one text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The flaws in the order of the file, at most [`FLAWS_MAX`].
    pub flaws: Vec<Flaw>,
    /// How many errors there are, listed or not.
    pub errors: usize,
    /// How many warnings there are, listed or not.
    pub warnings: usize,
    /// How many entries the text has.
    pub models: usize,
    /// How many of them are stubs.
    pub stubs: usize,
    /// How many were not looked at, because more than enough was wrong with those before them.
    pub unexamined: usize,
}

impl Report {
    /// Orders flaws as they stand in the text and gives each its line and column.
    pub(crate) fn new(text: &[u8], mut flaws: Vec<Flaw>) -> Self {
        flaws.sort_by(|one, other| {
            let key = |it: &Flaw| (it.place.span.start, it.severity, it.place.span.end);
            key(one).cmp(&key(other)).then_with(|| one.rule.cmp(&other.rule))
        });
        flaws.iter_mut().for_each(Flaw::show_controls);
        let errors = flaws.iter().filter(|it| it.severity == Severity::Error).count();
        let warnings = flaws.len() - errors;
        if flaws.len() > FLAWS_MAX {
            // Errors decide, so they are the last to be left out.
            flaws.sort_by_key(|it| it.severity);
            flaws.truncate(FLAWS_MAX);
            flaws.sort_by_key(|it| it.place.span.start);
        }
        let places = flaws.iter_mut().flat_map(|flaw| {
            std::iter::once(&mut flaw.place).chain(flaw.related.iter_mut().map(|it| &mut it.place))
        });
        locate(text, places.collect());
        Self { flaws, errors, warnings, models: 0, stubs: 0, unexamined: 0 }
    }

    /// Says whether the index may come into force; strictly, whether nothing at all is wrong with it.
    pub fn holds(&self, strict: bool) -> bool {
        self.errors == 0 && !(strict && self.warnings > 0)
    }

    /// Returns how many flaws are not listed.
    pub fn left_out(&self) -> usize {
        self.errors + self.warnings - self.flaws.len()
    }
}

/// Gives places their lines and columns, in one walk along the text.
fn locate(text: &[u8], mut places: Vec<&mut Place>) {
    places.sort_unstable_by_key(|it| it.span.start);
    let (mut at, mut line, mut column) = (0, 1, 1);
    for place in places {
        let next = place.span.start.min(text.len());
        let passed = &text[at..next];
        if let Some(end) = memrchr(b'\n', passed) {
            line += memchr_iter(b'\n', passed).count();
            column = 1 + characters(&passed[end + 1..]);
        } else {
            column += characters(passed);
        }
        (place.line, place.column) = (line, column);
        at = next;
    }
}

fn characters(bytes: &[u8]) -> usize {
    String::from_utf8_lossy(bytes).chars().count()
}
