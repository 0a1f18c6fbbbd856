//! Makes a shape from a schema.

use serde_json::Value;

use super::{Fact, Kind, Shape, bit};
use crate::schema::texts::Check;

/// So deep references are followed: a schema that refers to itself has no shape.
const DEPTH_MAX: usize = 16;

/// Where in an entry the rules find what they look at; `*` is any element of an array.
const FACTS: [(&str, Fact); 16] = [
    ("id", Fact::Id),
    ("version", Fact::Version),
    ("chakra", Fact::Chakra),
    ("license", Fact::License),
    ("dataset/commit", Fact::DatasetCommit),
    ("training/commit", Fact::TrainingCommit),
    ("artifact/filename", Fact::Name),
    ("artifact/sha256", Fact::Sha256),
    ("artifact/sizeBytes", Fact::SizeBytes),
    ("artifact/downloadUrl", Fact::DownloadUrl),
    ("artifact/revision", Fact::Revision),
    ("artifact/files/*", Fact::Companion),
    ("artifact/files/*/path", Fact::Name),
    ("artifact/files/*/sha256", Fact::Sha256),
    ("artifact/files/*/sizeBytes", Fact::SizeBytes),
    ("artifact/files/*/downloadUrl", Fact::DownloadUrl),
];

impl Shape {
    /// Reads the schema that a pointer names. Returns `None` if it says something that is not known here.
    pub(in crate::schema) fn of(schema: &Value, pointer: &str) -> Option<Self> {
        let draft = schema["$schema"].as_str()?.trim_end_matches('#');
        (draft == "http://json-schema.org/draft-07/schema").then_some(())?;
        shape(schema, schema.pointer(pointer)?, 0)
    }

    /// Anything has this shape.
    pub(in crate::schema) fn any() -> Self {
        Self { kinds: u8::MAX, ..Self::default() }
    }

    /// Leaves the elements of a property to others.
    pub(in crate::schema) fn without_elements_of(mut self, property: &str) -> Self {
        self.properties.iter_mut().filter(|it| *it.0 == *property).for_each(|it| it.1.items = None);
        self
    }

    /// Marks what the rules look at. Says whether there is a place for each part of it.
    pub(in crate::schema) fn mark_facts(&mut self) -> bool {
        FACTS.into_iter().all(|(path, fact)| {
            let place = path.split('/').try_fold(&mut *self, |shape, name| match name {
                "*" => shape.items.as_deref_mut(),
                _ => shape.properties.iter_mut().find(|it| *it.0 == *name).map(|it| &mut it.1),
            });
            place.map(|it| it.fact = Some(fact)).is_some()
        })
    }

    /// Gives each object and array its steps, from a number on, and returns the next one.
    pub(in crate::schema) fn count_steps(&mut self, from: usize) -> usize {
        // An object's begin at its brace, behind each property, and behind any other.
        self.object_step = from;
        self.array_step = from + self.properties.len() + 2;
        let mut next = self.array_step + 3;
        for part in self.properties.iter_mut().map(|it| &mut it.1).chain(self.items.as_deref_mut()) {
            next = part.count_steps(next);
        }
        next
    }
}

fn shape(root: &Value, schema: &Value, depth: usize) -> Option<Shape> {
    let schema = schema.as_object().filter(|_| depth < DEPTH_MAX)?;
    if let Some(pointer) = schema.get("$ref") {
        // Draft 7 ignores what stands beside a reference.
        return shape(root, root.pointer(pointer.as_str()?.strip_prefix('#')?)?, depth + 1);
    }
    let mut shape = Shape::any();
    if let Some(properties) = schema.get("properties") {
        for (name, property) in properties.as_object()? {
            shape.properties.push((name.as_str().into(), self::shape(root, property, depth + 1)?));
        }
    }
    (shape.properties.len() <= 64).then_some(())?;
    for (keyword, value) in schema {
        apply(&mut shape, root, keyword, value, depth)?;
    }
    shape.plain = shape.choices.is_some() || shape.checks.iter().any(|it| it.plain);
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
        "enum" => shape.choices = value.as_array()?.iter().map(choice).collect(),
        "pattern" => shape.checks.push(Check::of_pattern(value.as_str()?)?),
        "format" => shape.checks.push(Check::of_format(value.as_str()?)?),
        _ => return None,
    }
    // A list of choices that are not all plain texts gave none.
    (keyword != "enum" || shape.choices.is_some()).then_some(())
}

/// Returns a choice that stands in JSON as it is.
fn choice(value: &Value) -> Option<Box<str>> {
    let plain = |it: u8| matches!(it, b' '..=b'~') && !matches!(it, b'"' | b'\\');
    value.as_str().filter(|it| it.bytes().all(plain)).map(Box::from)
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
