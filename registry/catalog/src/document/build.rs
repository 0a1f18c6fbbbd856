//! Builds the tree: one pass, a stack of its own instead of recursion, so that no text can exhaust the thread's.

use jiter::{Jiter, JiterError, JiterErrorType, Peek};
use memchr::memchr;

use super::{DEPTH_MAX, Document, Kind, Node, Slot, SyntaxError};

/// The most keys of one object that are compared each with each; more are sorted later.
const KEYS_COMPARED_MAX: usize = 32;

/// So far a look for backslashes goes beyond the string at hand.
const LOOK_AHEAD_BYTES: usize = 1 << 10;

/// An object or array that is still open, and whether its keys need a look at the end.
struct Open {
    slot: usize,
    is_object: bool,
}

/// Reads a whole text, or says everything that is wrong with its keys, or the first other thing.
pub(super) fn slots(text: &str) -> Result<Vec<Slot>, Vec<SyntaxError>> {
    // Pretty-printed entries have one slot for about twenty bytes; growing later is cheap.
    let mut builder = Builder::new(text.as_bytes(), 0, Vec::with_capacity(text.len() / 24 + 8));
    let read = builder.value_and_all_in_it();
    let end = read.and_then(|()| builder.input.finish().map_err(|error| builder.wrong(&error)));
    end.map_err(|error| vec![error])?;
    let Builder { slots, objects_in_doubt, .. } = builder;
    let document = Document::new(text, slots);
    let repeated = objects_in_doubt.into_iter().flat_map(|object| repeated_keys(&document, object));
    let errors = repeated.map(|(object, first, second)| twice(object, first, second)).collect::<Vec<_>>();
    if errors.is_empty() { Ok(document.slots) } else { Err(errors) }
}

/// Reads the value that some bytes begin with, and says where it ends. `None` if there is none, or if its keys take a
/// second look.
pub(super) fn first(bytes: &[u8], depth: usize, slots: Vec<Slot>) -> Option<(Vec<Slot>, usize)> {
    let mut builder = Builder::new(bytes, depth, slots);
    builder.value_and_all_in_it().ok()?;
    let end = builder.input.current_index();
    builder.objects_in_doubt.is_empty().then_some((builder.slots, end))
}

/// Reads bytes that are UTF-8, or that become so no later than where they are used as text.
struct Builder<'t> {
    bytes: &'t [u8],
    input: Jiter<'t>,
    slots: Vec<Slot>,
    open: Vec<Open>,
    /// How many more are open around the bytes.
    depth: usize,
    /// Objects in which a key may stand twice.
    objects_in_doubt: Vec<usize>,
    /// From the string at hand to here there is no backslash.
    plain_until: usize,
}

impl<'t> Builder<'t> {
    fn new(bytes: &'t [u8], depth: usize, slots: Vec<Slot>) -> Self {
        let (open, objects_in_doubt) = (Vec::new(), Vec::new());
        Self { bytes, input: Jiter::new(bytes), slots, open, depth, objects_in_doubt, plain_until: 0 }
    }

    fn value_and_all_in_it(&mut self) -> Result<(), SyntaxError> {
        let mut next = self.input.peek().map_err(|error| self.wrong(&error))?;
        loop {
            self.value(next)?;
            loop {
                let Some(open) = self.open.last() else { return Ok(()) };
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
        if self.depth + self.open.len() >= DEPTH_MAX {
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
        let base = self.bytes.as_ptr().addr();
        let key = if first { self.input.next_object_bytes()? } else { self.input.next_key_bytes()? };
        let Some(key) = key else { return Ok(None) };
        let (start, length) = (key.as_ptr().addr() - base, key.len());
        self.string(start, length);
        self.input.peek().map(Some)
    }

    fn string(&mut self, start: usize, length: usize) {
        let escaped = self.is_escaped(start, start + length);
        self.slots.push(Slot::new(if escaped { Kind::Escaped } else { Kind::String }, start, length));
    }

    /// Looks for a backslash, and somewhat ahead: one look is enough for many strings.
    fn is_escaped(&mut self, start: usize, end: usize) -> bool {
        if end > self.plain_until {
            let ahead = self.bytes.len().min(end.max(start + LOOK_AHEAD_BYTES));
            let found = memchr(b'\\', &self.bytes[start..ahead]);
            self.plain_until = found.map_or(ahead, |at| start + at);
        }
        end > self.plain_until
    }

    fn number(&mut self, start: usize, length: usize) -> Result<(), SyntaxError> {
        let digits = &self.bytes[start..start + length];
        // Only an exponent or very many digits can leave the range.
        let large = length > 300 || digits.iter().any(|it| matches!(it, b'e' | b'E'));
        let fits = || str::from_utf8(digits).is_ok_and(|it| it.parse::<f64>().is_ok_and(f64::is_finite));
        if large && !fits() {
            return Err(plain("this number is larger than any double".to_owned(), start, start + length));
        }
        self.slots.push(Slot::new(Kind::Number, start, length));
        Ok(())
    }

    fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let slot = self.slots[open.slot];
        self.slots[open.slot] = Slot::new(slot.kind(), slot.start(), self.slots.len() - open.slot);
        if open.is_object && !self.keys_surely_differ(open.slot) {
            self.objects_in_doubt.push(open.slot);
        }
    }

    /// Says that a few keys without escapes differ. If it does not say so, they still may.
    fn keys_surely_differ(&self, object: usize) -> bool {
        let end = self.slots.len();
        let mut seen = [Slot::new(Kind::Null, 0, 0); KEYS_COMPARED_MAX];
        let (mut count, mut at) = (0, object + 1);
        let bytes = |key: Slot| &self.bytes[key.start()..key.start() + key.length()];
        while at < end {
            let key = self.slots[at];
            let is_new = |it: &Slot| it.length() != key.length() || bytes(*it) != bytes(key);
            if count == KEYS_COMPARED_MAX || key.kind() == Kind::Escaped || !seen[..count].iter().all(is_new)
            {
                return false;
            }
            seen[count] = key;
            (count, at) = (count + 1, super::node::after(&self.slots, at + 1));
        }
        true
    }

    fn wrong(&self, error: &JiterError) -> SyntaxError {
        // Whoever asks for errors has made sure of this before; the others look at none.
        let text = str::from_utf8(self.bytes).unwrap_or_default();
        let at = error.index.min(text.len());
        let message = match &error.error_type {
            JiterErrorType::JsonError(kind) => kind.to_string(),
            JiterErrorType::WrongType { expected, actual } => format!("expected {expected}, found {actual}"),
        };
        let start = (0..=at).rev().find(|it| text.is_char_boundary(*it)).unwrap_or(0);
        let help = if text[..start].trim_end().ends_with(',') {
            Some("a comma stands between values only, never after the last one")
        } else if at >= text.trim_end().len() {
            Some("the text ends too early: it was cut, or a bracket is not closed")
        } else {
            None
        };
        let end = text[start..].chars().next().map_or(start, |it| start + it.len_utf8());
        SyntaxError { help, ..plain(message, start, end) }
    }
}

/// Returns an object with each key that stands in it again, after the place where it stood before.
fn repeated_keys<'d>(document: &'d Document<'_>, object: usize) -> Vec<(Node<'d>, Node<'d>, Node<'d>)> {
    let object = Node::new(document, object);
    let keys = object.members().filter_map(|(key, _)| Some((key.as_str()?, key)));
    let mut keys = keys.collect::<Vec<_>>();
    // Sorted by text, and stably so: equal keys stand side by side, the earlier one first.
    keys.sort_by(|(one, _), (other, _)| one.cmp(other));
    let pairs = keys.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    pairs.map(|pair| (object, pair[0].1, pair[1].1)).collect()
}

fn plain(message: String, start: usize, end: usize) -> SyntaxError {
    SyntaxError { message, span: start..end, related: None, help: None, pointer: String::new() }
}

fn twice(object: Node<'_>, first: Node<'_>, second: Node<'_>) -> SyntaxError {
    SyntaxError {
        message: format!("key {:?} stands twice in this object", second.as_str().unwrap_or_default()),
        span: second.span(),
        related: Some((first.span(), "it stands here first".to_owned())),
        help: Some("programs disagree on which of the two counts: remove one"),
        pointer: object.pointer(),
    }
}
