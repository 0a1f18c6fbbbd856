//! The same look at an entry whose text nobody has parsed.
//!
//! - What stands between two values is read by the parser, or is byte for byte what the parser read in this place
//!   before ([`Steps`]). A string or number is read here if it stands as it is: without escapes, and without an exponent.
//! - It says yes or nothing, as [`Shape::surely_fits`] does, which looks at whatever is unusual.

use jiter::Jiter;
use memchr::{memchr, memchr2};

use super::{Kind, Shape, Steps, UNIQUE_MAX, bit, number::PlainNumber, steps::Then};
use crate::{
    document::{Document, ENTRY_DEPTH, Slots},
    rules::{Fact, Facts},
    schema::texts::without_controls,
};

/// What a text may be.
const TEXT_KINDS: u8 = bit(Kind::String) | bit(Kind::Escaped);

/// So many keys that the shape does not know are compared with each other.
const OTHERS_MAX: usize = 8;

/// Reads entries in a text.
pub(crate) struct Skim<'s, 't> {
    entry: &'s Shape,
    any: &'s Shape,
    steps: &'s mut Steps,
    text: &'t str,
    at: usize,
    /// How many objects and arrays are open.
    depth: usize,
    facts: Facts<'t>,
}

impl<'s, 't> Skim<'s, 't> {
    pub(in crate::schema) fn new(
        entry: &'s Shape,
        any: &'s Shape,
        steps: &'s mut Steps,
        text: &'t str,
    ) -> Self {
        Self { entry, any, steps, text, at: 0, depth: 0, facts: Facts::default() }
    }

    /// Returns what the rules want to know of the entry that begins at a place, and where it ends, if the entry plainly
    /// keeps the schema.
    pub(crate) fn entry(&mut self, at: usize) -> Option<(&Facts<'t>, usize)> {
        (self.at, self.depth) = (at, ENTRY_DEPTH);
        self.facts.clear();
        self.value(self.entry)?;
        Some((&self.facts, self.at))
    }

    fn value(&mut self, shape: &Shape) -> Option<()> {
        let may_be = |kind| shape.kinds & bit(kind) != 0;
        match self.rest().first()? {
            b'"' if may_be(Kind::String) => self.string(shape),
            b'-' | b'0'..=b'9' if may_be(Kind::Number) => self.number(shape),
            b'{' if may_be(Kind::Object) && !shape.properties.is_empty() => self.object(shape),
            b'[' if may_be(Kind::Array) => match &shape.items {
                Some(items) => self.array(shape, items),
                None => self.closely(shape),
            },
            _ => self.closely(shape),
        }
    }

    fn string(&mut self, shape: &Shape) -> Option<()> {
        let start = self.at + 1;
        let rest = self.rest().get(1..)?;
        let length = if shape.plain {
            // What comes before the first quote fits only if it is the whole string.
            memchr(b'"', rest)?
        } else {
            let length = memchr2(b'"', b'\\', rest)?;
            if rest[length] != b'"' || !without_controls(&rest[..length]) {
                return self.closely(shape);
            }
            length
        };
        let text = self.text.get(start..start + length).filter(|it| shape.text_fits(it))?;
        self.at = start + length + 1;
        self.tell(shape, text);
        Some(())
    }

    fn number(&mut self, shape: &Shape) -> Option<()> {
        let Some(number) = PlainNumber::first(self.rest()) else { return self.closely(shape) };
        let text = &self.text[self.at..self.at + number.length];
        (shape.surely_fits_number(&number) || shape.number_fits(text)).then_some(())?;
        self.at += number.length;
        self.tell(shape, text);
        Some(())
    }

    fn object(&mut self, shape: &Shape) -> Option<()> {
        self.depth += 1;
        let (mut seen, mut others, mut count) = (0, [""; OTHERS_MAX], 0);
        let mut step = shape.object_step;
        loop {
            let (length, then) = match self.steps.recall(step, self.rest()) {
                Some(it) => it,
                None => self.read_key(shape, step)?,
            };
            let from = self.at;
            self.at += length;
            match then {
                Then::Property(at) => {
                    // No key stands twice.
                    (seen & 1 << at == 0).then_some(())?;
                    seen |= 1 << at;
                    step = shape.object_step + 1 + at;
                    self.value(&shape.properties[at].1)?;
                }
                Then::Other(start, end) => {
                    let key = &self.text[from + start..from + end];
                    let new = !shape.closed && count < OTHERS_MAX && !others[..count].contains(&key);
                    new.then(|| others[count] = key)?;
                    count += 1;
                    step = shape.object_step + 1 + shape.properties.len();
                    self.value(self.any)?;
                }
                Then::End => break,
                Then::Element => return None,
            }
        }
        self.depth -= 1;
        (seen & shape.required == shape.required && shape.choices.is_none()).then_some(())
    }

    /// Reads a key with what stands before and behind it, or the end of the object.
    #[cold]
    fn read_key(&mut self, shape: &Shape, step: usize) -> Option<(usize, Then)> {
        let rest = self.rest();
        let mut input = Jiter::new(rest);
        let first = step == shape.object_step;
        let key = if first { input.next_object_bytes() } else { input.next_key_bytes() }.ok()?;
        let then = match key {
            None => Then::End,
            Some(key) => {
                memchr(b'\\', key).is_none().then_some(())?;
                let start = key.as_ptr().addr() - rest.as_ptr().addr();
                let known = shape.properties.iter().position(|it| it.0.as_bytes() == key);
                let other = Then::Other(start, start + key.len());
                input.peek().ok()?;
                known.map_or(other, Then::Property)
            }
        };
        let length = input.current_index();
        self.steps.learn(step, &rest[..length], then);
        Some((length, then))
    }

    fn array(&mut self, shape: &Shape, items: &Shape) -> Option<()> {
        // Whether texts differ is seen only of those that stand as they are.
        let texts = items.plain && items.kinds & !TEXT_KINDS == 0;
        (shape.choices.is_none() && (!shape.items_unique || texts)).then_some(())?;
        self.depth += 1;
        let (mut seen, mut count) = ([""; UNIQUE_MAX], 0);
        while self.next_element(shape.array_step, count == 0)? {
            if items.fact == Some(Fact::Companion) {
                self.facts.next_file();
            }
            let from = self.at;
            self.value(items)?;
            if shape.items_unique {
                let text = &self.text[from..self.at];
                let new = count < UNIQUE_MAX && !seen[..count].contains(&text);
                new.then(|| seen[count] = text)?;
            }
            count += 1;
        }
        self.facts.main_file();
        self.depth -= 1;
        (count >= shape.items_min).then_some(())
    }

    /// Goes on to the next element, if there is one.
    fn next_element(&mut self, step: usize, first: bool) -> Option<bool> {
        let (before, close) = (if first { step } else { step + 1 }, step + 2);
        let recalled = self.steps.recall(before, self.rest());
        let recalled = recalled.or_else(|| self.steps.recall(close, self.rest()).filter(|_| !first));
        let (length, then) = match recalled {
            Some(it) => it,
            None => self.read_comma(before, close, first)?,
        };
        self.at += length;
        Some(matches!(then, Then::Element))
    }

    /// Reads what stands before an element, or the end of the array.
    #[cold]
    fn read_comma(&mut self, before: usize, close: usize, first: bool) -> Option<(usize, Then)> {
        let rest = self.rest();
        let mut input = Jiter::new(rest);
        let more = if first { input.known_array() } else { input.array_step() }.ok()?.is_some();
        let length = input.current_index();
        let (place, then) = if more { (before, Then::Element) } else { (close, Then::End) };
        // An empty array has no step of its own.
        if more || !first {
            self.steps.learn(place, &rest[..length], then);
        }
        Some((length, then))
    }

    /// Parses a value and looks at that.
    #[cold]
    fn closely(&mut self, shape: &Shape) -> Option<()> {
        // What the rules look at is handed over as it stands.
        shape.fact.is_none().then_some(())?;
        let (document, length) = Document::first(self.rest(), self.depth, &mut Slots::default())?;
        shape.surely_fits(document.root()).then(|| self.at += length)
    }

    fn tell(&mut self, shape: &Shape, text: &'t str) {
        if let Some(fact) = shape.fact {
            self.facts.tell(fact, text);
        }
    }

    fn rest(&self) -> &'t [u8] {
        &self.text.as_bytes()[self.at..]
    }
}
