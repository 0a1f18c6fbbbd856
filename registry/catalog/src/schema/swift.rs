//! Says yes to a value that plainly keeps the schema, without a regular expression or an allocation.
//!
//! - It says yes or nothing. Every refusal, and every doubt, is for the JSON Schema validator to judge, which is also
//!   the only one that explains; a property test holds the two together.
//! - A shape is made from the schema itself. A keyword, pattern or format that is not known here gives no shape at
//!   all, so that no rule of the schema is ever passed over.

use serde_json::Value;

use crate::document::{Kind, Node};

/// What a value has to look like.
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
    checks: Vec<fn(&str) -> bool>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    whole_number: bool,
}

/// So deep references are followed: a schema that refers to itself has no shape.
const DEPTH_MAX: usize = 16;

/// So many elements are compared with each other.
const UNIQUE_MAX: usize = 32;

/// Up to fifteen digits, two numbers that differ are different doubles.
const DIGITS_MAX: usize = 15;

impl Shape {
    /// Reads the schema that a pointer names. Returns `None` if it says something that is not known here.
    pub(super) fn of(schema: &Value, pointer: &str) -> Option<Self> {
        let draft = schema["$schema"].as_str()?.trim_end_matches('#');
        (draft == "http://json-schema.org/draft-07/schema").then_some(())?;
        shape(schema, schema.pointer(pointer)?, 0)
    }

    /// Leaves the elements of a property to others.
    pub(super) fn without_elements_of(mut self, property: &str) -> Self {
        self.properties.iter_mut().filter(|it| *it.0 == *property).for_each(|it| it.1.items = None);
        self
    }

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
        let whole = || !text.contains(['.', 'e', 'E']);
        let bounded = || {
            let plain = text.len() <= DIGITS_MAX && !text.contains(['e', 'E']);
            let Some(number) = text.parse::<f64>().ok().filter(|_| plain) else { return false };
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
            && self.checks.iter().all(|check| check(text))
    }

    fn takes_any_text(&self) -> bool {
        let any_length = self.characters_min == 0 && self.characters_max.is_none();
        any_length && self.choices.is_none() && self.checks.is_empty()
    }
}

fn surely_differ(array: Node<'_>) -> bool {
    array.elements().enumerate().all(|(at, one)| {
        let text = one.plain_str();
        at < UNIQUE_MAX && text.is_some() && array.elements().take(at).all(|other| other.plain_str() != text)
    })
}

fn bit(kind: Kind) -> u8 {
    1 << kind as u8
}

fn shape(root: &Value, schema: &Value, depth: usize) -> Option<Shape> {
    let schema = schema.as_object().filter(|_| depth < DEPTH_MAX)?;
    if let Some(pointer) = schema.get("$ref") {
        // Draft 7 ignores what stands beside a reference.
        return shape(root, root.pointer(pointer.as_str()?.strip_prefix('#')?)?, depth + 1);
    }
    let mut shape = Shape { kinds: u8::MAX, ..Shape::default() };
    if let Some(properties) = schema.get("properties") {
        for (name, property) in properties.as_object()? {
            shape.properties.push((name.as_str().into(), self::shape(root, property, depth + 1)?));
        }
    }
    (shape.properties.len() <= 64).then_some(())?;
    for (keyword, value) in schema {
        apply(&mut shape, root, keyword, value, depth)?;
    }
    Some(shape)
}

fn apply(shape: &mut Shape, root: &Value, keyword: &str, value: &Value, depth: usize) -> Option<()> {
    let count = || usize::try_from(value.as_u64()?).ok();
    match keyword {
        "$schema" | "$id" | "title" | "description" | "definitions" | "properties" => {}
        "type" => (shape.kinds, shape.whole_number) = (kinds(value.as_str()?)?, value == "integer"),
        "additionalProperties" => shape.closed = !value.as_bool()?,
        "required" => {
            for name in value.as_array()? {
                let at =
                    shape.properties.iter().position(|it| *it.0 == *name.as_str().unwrap_or_default())?;
                shape.required |= 1 << at;
            }
        }
        "items" => shape.items = Some(Box::new(self::shape(root, value, depth + 1)?)),
        "minItems" => shape.items_min = count()?,
        "uniqueItems" => shape.items_unique = value.as_bool()?,
        "minLength" => shape.characters_min = count()?,
        "maxLength" => shape.characters_max = Some(count()?),
        "minimum" => shape.minimum = Some(value.as_f64()?),
        "maximum" => shape.maximum = Some(value.as_f64()?),
        "enum" => shape.choices = value.as_array()?.iter().map(|it| it.as_str().map(Box::from)).collect(),
        "pattern" => shape.checks.push(super::texts::pattern(value.as_str()?)?),
        "format" => shape.checks.push(super::texts::format(value.as_str()?)?),
        _ => return None,
    }
    // A list of choices that are not all texts gave none.
    (keyword != "enum" || shape.choices.is_some()).then_some(())
}

fn kinds(name: &str) -> Option<u8> {
    Some(match name {
        "object" => bit(Kind::Object),
        "array" => bit(Kind::Array),
        "string" => bit(Kind::String) | bit(Kind::Escaped),
        "number" | "integer" => bit(Kind::Number),
        "boolean" => bit(Kind::True) | bit(Kind::False),
        "null" => bit(Kind::Null),
        _ => return None,
    })
}
