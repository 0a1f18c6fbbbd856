//! Says yes to a value that plainly keeps the schema, without a regular expression or an allocation.
//!
//! - It says yes or nothing. Every refusal, and every doubt, is for the JSON Schema validator to judge, which is also
//!   the only one that explains; a property test holds the two together.
//! - A shape is made from the schema itself. A keyword, pattern or format that is not known here gives no shape at
//!   all, so that no rule of the schema is ever passed over.

mod make;
mod number;
mod skim;
mod steps;

pub(crate) use self::{skim::Skim, steps::Steps};
use super::texts::Check;
use crate::{
    document::{Kind, Node},
    rules::Fact,
};

/// What a value has to look like.
#[expect(clippy::struct_excessive_bools, reason = "what a schema says is yes or no in many ways")]
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// One bit for each kind that may stand here.
    kinds: u8,
    properties: Vec<(Box<str>, Shape)>,
    /// One bit for each property that has to be there.
    required: u64,
    closed: bool,
    items: Option<Box<Shape>>,
    items_min: usize,
    items_unique: bool,
    choices: Option<Vec<Box<str>>>,
    characters_min: usize,
    characters_max: Option<usize>,
    checks: Vec<Check>,
    /// Whether only texts fit that stand in JSON as they are.
    plain: bool,
    minimum: Option<f64>,
    maximum: Option<f64>,
    whole_number: bool,
    /// What the rules want to know of a value that stands here.
    fact: Option<Fact>,
    /// Which of the [`Steps`] belong to it as an object, and which as an array: these and the next ones.
    object_step: usize,
    array_step: usize,
}

/// So many elements are compared with each other.
const UNIQUE_MAX: usize = 32;

/// Up to fifteen digits, two numbers that differ are different doubles.
const DIGITS_MAX: usize = 15;

impl Shape {
    /// Says that a value keeps the schema. If it does not say so, the value still may.
    pub(super) fn surely_fits(&self, node: Node<'_>) -> bool {
        let kind = node.kind();
        let known = self.kinds & bit(kind) != 0;
        known
            && match kind {
                Kind::Object => self.members_fit(node),
                Kind::Array => self.elements_fit(node),
                Kind::Number => node.as_number().is_some_and(|it| self.number_fits(it)),
                Kind::String => node.plain_str().is_some_and(|it| self.text_fits(it)),
                Kind::Escaped => self.takes_any_text(),
                Kind::Null | Kind::True | Kind::False => self.choices.is_none(),
            }
    }

    fn members_fit(&self, object: Node<'_>) -> bool {
        let (mut seen, mut next) = (0, 0);
        for (key, value) in object.members() {
            let Some(name) = key.plain_str() else { return false };
            // Properties mostly stand in the order of the schema.
            let is_next = self.properties.get(next).is_some_and(|it| *it.0 == *name);
            let at = if is_next { Some(next) } else { self.properties.iter().position(|it| *it.0 == *name) };
            match at {
                Some(at) if self.properties[at].1.surely_fits(value) => {
                    seen |= 1 << at;
                    next = at + 1;
                }
                None if !self.closed => {}
                _ => return false,
            }
        }
        seen & self.required == self.required && self.choices.is_none()
    }

    fn elements_fit(&self, array: Node<'_>) -> bool {
        let fit = || self.items.as_ref().is_none_or(|shape| array.elements().all(|it| shape.surely_fits(it)));
        let enough = self.items_min == 0 || array.elements().nth(self.items_min - 1).is_some();
        let unique = !self.items_unique || surely_differ(array);
        enough && unique && self.choices.is_none() && fit()
    }

    fn number_fits(&self, text: &str) -> bool {
        let digits = text.bytes().all(|it| it.is_ascii_digit());
        let exponent = || text.bytes().any(|it| matches!(it, b'e' | b'E'));
        let whole = || digits || !(text.bytes().any(|it| it == b'.') || exponent());
        let bounded = || {
            let plain = text.len() <= DIGITS_MAX && (digits || !exponent());
            let Some(number) = plain.then(|| double(text, digits)).flatten() else { return false };
            self.minimum.is_none_or(|it| number >= it) && self.maximum.is_none_or(|it| number <= it)
        };
        let free = self.minimum.is_none() && self.maximum.is_none();
        self.choices.is_none() && (!self.whole_number || whole()) && (free || bounded())
    }

    fn text_fits(&self, text: &str) -> bool {
        // A character has one byte or more.
        let short = self.characters_max.is_none_or(|it| text.len() <= it);
        let long = self.characters_min <= 1 || text.chars().count() >= self.characters_min;
        let chosen = self.choices.as_ref().is_none_or(|it| it.iter().any(|choice| **choice == *text));
        short
            && long
            && text.len() >= self.characters_min.min(1)
            && chosen
            && self.checks.iter().all(|it| (it.fits)(text))
    }

    fn takes_any_text(&self) -> bool {
        let any_length = self.characters_min == 0 && self.characters_max.is_none();
        any_length && self.choices.is_none() && self.checks.is_empty()
    }
}

/// Reads a short number.
fn double(text: &str, digits: bool) -> Option<f64> {
    if digits {
        // So few digits are a double as they are.
        #[expect(clippy::cast_precision_loss, reason = "up to fifteen digits nothing is lost")]
        return text.parse::<u64>().ok().map(|it| it as f64);
    }
    text.parse().ok()
}

fn surely_differ(array: Node<'_>) -> bool {
    array.elements().enumerate().all(|(at, one)| {
        let text = one.plain_str();
        at < UNIQUE_MAX && text.is_some() && array.elements().take(at).all(|other| other.plain_str() != text)
    })
}

const fn bit(kind: Kind) -> u8 {
    1 << kind as u8
}
