//! One value of a document, and the way to its neighbours.

use std::{borrow::Cow, fmt::Write as _, ops::Range};

use super::{Document, List, Slot};

/// What a value is. A string with escapes is told apart, so that reading one without is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number.
    Number,
    /// A string that stands in the text as it is.
    String,
    /// A string with escapes.
    Escaped,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    pub(super) const ALL: [Self; 16] = {
        use Kind::{Array, Escaped, False, Null, Number, Object, String, True};
        [
            Null, True, False, Number, String, Escaped, Array, Object, Null, Null, Null, Null, Null, Null,
            Null, Null,
        ]
    };
}

/// One value of a [`Document`].
#[derive(Clone, Copy, Debug)]
pub struct Node<'d> {
    document: &'d Document<'d>,
    slot: usize,
}

impl<'d> Node<'d> {
    pub(super) fn new(document: &'d Document<'_>, slot: usize) -> Self {
        Self { document, slot }
    }

    /// Returns what the value is.
    pub fn kind(self) -> Kind {
        self.raw().kind()
    }

    /// Returns the text of a string, without its quotes and escapes.
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        matches!(self.kind(), Kind::String | Kind::Escaped).then(|| string(self.document.text, self.raw()))
    }

    /// Returns the text of a string that has no escapes.
    pub(crate) fn plain_str(self) -> Option<&'d str> {
        (self.kind() == Kind::String).then(|| &self.document.text[self.leaf_span()])
    }

    /// Returns a number as it is written.
    pub fn as_number(self) -> Option<&'d str> {
        (self.kind() == Kind::Number).then(|| &self.document.text[self.leaf_span()])
    }

    /// Returns the children of an array; of anything else none.
    pub fn elements(self) -> Elements<'d> {
        let (next, end) = if self.kind() == Kind::Array { self.inside() } else { (0, 0) };
        Elements { document: self.document, next, end }
    }

    /// Returns keys and values of an object; of anything else none.
    pub fn members(self) -> Members<'d> {
        let (next, end) = if self.kind() == Kind::Object { self.inside() } else { (0, 0) };
        Members { document: self.document, next, end }
    }

    /// Returns the value under a key of an object.
    pub fn get(self, key: &str) -> Option<Node<'d>> {
        self.members().find(|(it, _)| it.is(key)).map(|it| it.1)
    }

    /// Returns the value that a JSON pointer names, seen from here.
    pub fn at(self, pointer: &str) -> Option<Node<'d>> {
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            node = match node.kind() {
                Kind::Array => node.elements().nth(token.parse().ok()?)?,
                _ => node.get(&token)?,
            };
        }
        Some(node)
    }

    /// Returns the key under which this value stands in its object.
    pub fn key(self) -> Option<Node<'d>> {
        let parent = self.parent()?;
        parent.members().find(|(_, value)| value.slot == self.slot).map(|it| it.0)
    }

    /// Says whether this is a string with this text.
    pub fn is(self, text: &str) -> bool {
        match self.kind() {
            Kind::String => self.document.text[self.leaf_span()] == *text,
            Kind::Escaped => self.as_str().is_some_and(|it| it == text),
            _ => false,
        }
    }

    /// Returns the bytes of the text that the value takes, quotes and brackets included.
    pub fn span(self) -> Range<usize> {
        let slot = self.raw();
        match slot.kind() {
            Kind::String | Kind::Escaped => slot.start() - 1..slot.start() + slot.length() + 1,
            Kind::Array | Kind::Object => slot.start()..self.container_end(),
            _ => self.leaf_span(),
        }
    }

    /// Returns the value as it is written.
    pub fn source(self) -> &'d str {
        &self.document.text[self.span()]
    }

    /// Returns the JSON pointer from the document's root. Walks the tree: for flaws, not for loops.
    pub fn pointer(self) -> String {
        let mut pointer = String::new();
        let mut node = Node::new(self.document, 0);
        while node.slot != self.slot {
            let Some((token, child)) = node.step_towards(self.slot) else { break };
            // Writing to a string cannot fail.
            let _ = write!(pointer, "/{}", token.replace('~', "~0").replace('/', "~1"));
            node = child;
        }
        pointer
    }

    /// Returns this value as the JSON crate has it.
    pub fn to_value(self) -> serde_json::Value {
        serde_json::from_str(self.source()).unwrap_or_default()
    }

    pub(super) fn identity(self) -> usize {
        self.slot
    }

    pub(crate) fn document(self) -> &'d Document<'d> {
        self.document
    }

    fn parent(self) -> Option<Node<'d>> {
        let mut node = Node::new(self.document, 0);
        loop {
            let (_, child) = node.step_towards(self.slot)?;
            if child.slot == self.slot {
                return Some(node);
            }
            node = child;
        }
    }

    fn step_towards(self, slot: usize) -> Option<(Cow<'d, str>, Node<'d>)> {
        let holds = |child: Node<'_>| child.slot <= slot && slot < after(&self.document.slots, child.slot);
        if self.kind() == Kind::Array {
            let list = self.document.list();
            let (at, child) = if list.slot == self.slot {
                // Thousands of flaws in a long list would else be thousands of walks along it.
                let at = list.elements.partition_point(|it| *it as usize <= slot).checked_sub(1)?;
                (at, Node::new(self.document, list.elements[at] as usize))
            } else {
                self.elements().enumerate().find(|(_, child)| holds(*child))?
            };
            return holds(child).then(|| (at.to_string().into(), child));
        }
        // A key belongs to its member: the pointer of a key is that of its value.
        let (key, value) = self.members().find(|(key, value)| key.slot == slot || holds(*value))?;
        let child = if key.slot == slot { key } else { value };
        Some((key.as_str()?, child))
    }

    fn raw(self) -> Slot {
        self.document.slots[self.slot]
    }

    fn inside(self) -> (usize, usize) {
        (self.slot + 1, self.slot + self.raw().length())
    }

    fn leaf_span(self) -> Range<usize> {
        let slot = self.raw();
        slot.start()..slot.start() + slot.length()
    }

    fn container_end(self) -> usize {
        let last = match self.kind() {
            Kind::Array => self.elements().last(),
            _ => self.members().last().map(|it| it.1),
        };
        let from = last.map_or(self.raw().start() + 1, |it| it.span().end);
        let close = if self.kind() == Kind::Array { ']' } else { '}' };
        self.document.text[from..].find(close).map_or(self.document.text.len(), |it| from + it + 1)
    }
}

/// The children of an array.
#[derive(Clone, Debug)]
pub struct Elements<'d> {
    document: &'d Document<'d>,
    next: usize,
    end: usize,
}

impl<'d> Iterator for Elements<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        let slot = (self.next < self.end).then_some(self.next)?;
        self.next = after(&self.document.slots, slot);
        Some(Node::new(self.document, slot))
    }
}

/// Keys and values of an object.
#[derive(Clone, Debug)]
pub struct Members<'d> {
    document: &'d Document<'d>,
    next: usize,
    end: usize,
}

impl<'d> Iterator for Members<'d> {
    type Item = (Node<'d>, Node<'d>);

    fn next(&mut self) -> Option<(Node<'d>, Node<'d>)> {
        let key = (self.next < self.end).then_some(self.next)?;
        self.next = after(&self.document.slots, key + 1);
        Some((Node::new(self.document, key), Node::new(self.document, key + 1)))
    }
}

impl Document<'_> {
    fn list(&self) -> &List {
        self.list.get_or_init(|| {
            let root = Node::new(self, 0);
            let below = root.members().map(|it| it.1).chain(std::iter::once(root));
            let length = |it: &Node<'_>| after(&self.slots, it.slot) - it.slot;
            let longest = below.filter(|it| it.kind() == Kind::Array).max_by_key(length);
            let elements = longest.into_iter().flat_map(Node::elements);
            // A slot's number has fewer bits than the length of the text.
            let elements = elements.filter_map(|it| u32::try_from(it.slot).ok()).collect();
            List { slot: longest.map_or(usize::MAX, |it| it.slot), elements }
        })
    }
}

/// Returns the slot behind a value and all that is in it.
pub(super) fn after(slots: &[Slot], slot: usize) -> usize {
    match slots[slot].kind() {
        Kind::Array | Kind::Object => slot + slots[slot].length(),
        _ => slot + 1,
    }
}

/// Returns the text of a string slot.
pub(super) fn string(text: &str, slot: Slot) -> Cow<'_, str> {
    let inner = &text[slot.start()..slot.start() + slot.length()];
    if slot.kind() == Kind::String {
        return Cow::Borrowed(inner);
    }
    let quoted = &text[slot.start() - 1..=slot.start() + slot.length()];
    // The parser has checked every escape already, so this does not fail; the raw text is the honest rest.
    serde_json::from_str::<String>(quoted).map_or(Cow::Borrowed(inner), Cow::Owned)
}
