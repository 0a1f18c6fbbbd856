//! Builds the tree: one pass, a stack of its own instead of recursion, so that no text can exhaust the thread's.

use jiter::{Jiter, JiterError, JiterErrorType, Peek};

use super::{DEPTH_MAX, Document, Kind, Node, Slot, SyntaxError, skim::skim};

/// An object or array that is still open, and whether its keys need a look at the end.
struct Open {
    slot: usize,
    is_object: bool,
}

pub(super) fn slots(text: &str) -> Result<Vec<Slot>, Vec<SyntaxError>> {
    // Pretty-printed entries have one slot for about twenty bytes; growing later is cheap.
    let mut slots = Vec::with_capacity(text.len() / 24 + 8);
    let end = skim(text.as_bytes(), &mut slots);
    if end.is_some_and(|it| {
        text.as_bytes()[it..].iter().all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
    }) {
        return Ok(slots);
    }
    slots.clear();
    judge(text, slots)
}

/// Reads a text to the end or to what is wrong.
pub(super) fn judge(text: &str, slots: Vec<Slot>) -> Result<Vec<Slot>, Vec<SyntaxError>> {
    let mut builder =
        Builder { text, input: Jiter::new(text.as_bytes()), slots, open: Vec::new(), repeated: Vec::new() };
    builder.run().map_err(|error| vec![error])?;
    let Builder { slots, repeated, .. } = builder;
    if repeated.is_empty() {
        return Ok(slots);
    }
    let document = Document { text, slots };
    Err(repeated.into_iter().map(|(object, first, second)| twice(&document, object, first, second)).collect())
}

struct Builder<'t> {
    text: &'t str,
    input: Jiter<'t>,
    slots: Vec<Slot>,
    open: Vec<Open>,
    /// Object, first key and second key of each repetition, as slots.
    repeated: Vec<(usize, usize, usize)>,
}

impl Builder<'_> {
    fn run(&mut self) -> Result<(), SyntaxError> {
        let mut next = self.input.peek().map_err(|error| self.wrong(&error))?;
        loop {
            self.value(next)?;
            loop {
                let Some(open) = self.open.last() else {
                    return self.input.finish().map_err(|error| self.wrong(&error));
                };
                let step = if open.is_object { self.next_member(false) } else { self.input.array_step() };
                match step.map_err(|error| self.wrong(&error))? {
                    Some(peek) => {
                        next = peek;
                        break;
                    }
                    None => self.close(),
                }
            }
        }
    }

    /// Takes one value; of a container everything up to its first child.
    fn value(&mut self, peek: Peek) -> Result<(), SyntaxError> {
        let start = self.input.current_index();
        match peek {
            Peek::Array | Peek::Object => return self.container(peek, start),
            Peek::String => {
                let length = self.input.known_bytes().map(<[u8]>::len).map_err(|error| self.wrong(&error))?;
                self.string(start + 1, length);
            }
            Peek::Null => {
                self.input.known_null().map_err(|error| self.wrong(&error))?;
                self.slots.push(Slot::new(Kind::Null, start, 4));
            }
            Peek::True | Peek::False => {
                let yes = self.input.known_bool(peek).map_err(|error| self.wrong(&error))?;
                let (kind, length) = if yes { (Kind::True, 4) } else { (Kind::False, 5) };
                self.slots.push(Slot::new(kind, start, length));
            }
            _ => {
                let number = self
                    .input
                    .known_number_bytes(peek)
                    .map(<[u8]>::len)
                    .map_err(|error| self.wrong(&error))?;
                return self.number(start, number);
            }
        }
        Ok(())
    }

    fn container(&mut self, peek: Peek, start: usize) -> Result<(), SyntaxError> {
        if self.open.len() >= DEPTH_MAX {
            let help = "an index has five levels; look for brackets that are never closed";
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(SyntaxError { help: Some(help), ..plain(message, start, start + 1) });
        }
        let is_object = peek == Peek::Object;
        self.open.push(Open { slot: self.slots.len(), is_object });
        self.slots.push(Slot::new(if is_object { Kind::Object } else { Kind::Array }, start, 0));
        let first = if is_object { self.next_member(true) } else { self.input.known_array() };
        if let Some(peek) = first.map_err(|error| self.wrong(&error))? {
            return self.value(peek);
        }
        self.close();
        Ok(())
    }

    /// Takes a key and what stands before its value.
    fn next_member(&mut self, first: bool) -> Result<Option<Peek>, JiterError> {
        let base = self.text.as_ptr().addr();
        let key = if first { self.input.next_object_bytes()? } else { self.input.next_key_bytes()? };
        let Some(key) = key else { return Ok(None) };
        let (start, length) = (key.as_ptr().addr() - base, key.len());
        let kind = if key.contains(&b'\\') { Kind::Escaped } else { Kind::String };
        self.slots.push(Slot::new(kind, start, length));
        self.input.peek().map(Some)
    }

    fn string(&mut self, start: usize, length: usize) {
        let escaped = self.text.as_bytes()[start..start + length].contains(&b'\\');
        self.slots.push(Slot::new(if escaped { Kind::Escaped } else { Kind::String }, start, length));
    }

    fn number(&mut self, start: usize, length: usize) -> Result<(), SyntaxError> {
        let text = &self.text[start..start + length];
        // Only an exponent or very many digits can leave the range.
        let large = length > 300 || text.bytes().any(|it| matches!(it, b'e' | b'E'));
        if large && !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(plain("this number is larger than any double".to_owned(), start, start + length));
        }
        self.slots.push(Slot::new(Kind::Number, start, length));
        Ok(())
    }

    fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let slot = self.slots[open.slot];
        self.slots[open.slot] = Slot::new(slot.kind(), slot.start(), self.slots.len() - open.slot);
        if open.is_object {
            self.look_for_repeated_keys(open.slot);
        }
    }

    fn look_for_repeated_keys(&mut self, object: usize) {
        let document = Borrowed { text: self.text, slots: &self.slots };
        let mut keys = document.keys(object);
        if keys.len() < 2 {
            return;
        }
        // Sorted by text and then by place, equal keys stand side by side, the earlier one first.
        keys.sort_unstable_by(|(one, at), (other, there)| one.cmp(other).then(at.cmp(there)));
        let pairs = keys.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| (pair[0].1, pair[1].1));
        let found = pairs.map(|(first, second)| (object, first, second)).collect::<Vec<_>>();
        self.repeated.extend(found);
    }

    fn wrong(&self, error: &JiterError) -> SyntaxError {
        let at = error.index.min(self.text.len());
        let message = match &error.error_type {
            JiterErrorType::JsonError(kind) => kind.to_string(),
            JiterErrorType::WrongType { expected, actual } => format!("expected {expected}, found {actual}"),
        };
        let help = if self.text[..at].trim_end().ends_with(',') {
            Some("a comma stands between values only, never after the last one")
        } else if at >= self.text.trim_end().len() {
            Some("the text ends too early: it was cut, or a bracket is not closed")
        } else {
            None
        };
        let start = (0..=at).rev().find(|it| self.text.is_char_boundary(*it)).unwrap_or(0);
        let end = self.text[start..].chars().next().map_or(start, |it| start + it.len_utf8());
        SyntaxError { help, ..plain(message, start, end) }
    }
}

/// What the builder has so far, before it becomes a document.
struct Borrowed<'b> {
    text: &'b str,
    slots: &'b [Slot],
}

impl<'b> Borrowed<'b> {
    /// Returns the keys of an object with their slots; as written, unless an escape makes that ambiguous.
    fn keys(&self, object: usize) -> Vec<(std::borrow::Cow<'b, str>, usize)> {
        let end = object + self.slots[object].length();
        let mut keys = Vec::new();
        let mut key = object + 1;
        while key < end {
            keys.push((super::node::string(self.text, self.slots[key]), key));
            key = super::node::after(self.slots, key + 1);
        }
        keys
    }
}

fn plain(message: String, start: usize, end: usize) -> SyntaxError {
    SyntaxError { message, span: start..end, related: None, help: None, pointer: String::new() }
}

fn twice(document: &Document<'_>, object: usize, first: usize, second: usize) -> SyntaxError {
    let key = Node::new(document, second);
    let name = key.as_str().unwrap_or_default();
    let object = Node::new(document, object);
    SyntaxError {
        message: format!("key {name:?} stands twice in this object"),
        span: key.span(),
        related: Some((Node::new(document, first).span(), "it stands here first".to_owned())),
        help: Some("programs disagree on which of the two counts: remove one"),
        pointer: object.pointer(),
    }
}
