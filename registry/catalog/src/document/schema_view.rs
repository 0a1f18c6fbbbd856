//! Shows a document to the JSON Schema validator without copying it.

use std::borrow::Cow;

use jsonschema_value::{Array, Json, JsonNumber, Node as SchemaNode, NodeIdentity, Object, types::JsonType};
use serde_json::{Number, Value};

use super::{
    Kind, Node,
    node::{Elements, Members},
};

/// The representation under which a [`super::Document`] is known to the validator.
pub(crate) struct Spanned;

/// A value of a document, or a property name that stands alone.
#[derive(Clone)]
pub(crate) enum View<'d> {
    /// A value in its document.
    InDocument(Node<'d>),
    /// A name handed to `propertyNames`.
    Name(&'d str),
    /// An index whose entries are looked at one by one elsewhere: its list of models is [`View::Closed`].
    Frame(Node<'d>),
    /// An array that keeps its elements to itself.
    Closed(Node<'d>),
}

impl Json for Spanned {
    type Node<'a> = View<'a>;
    type PreparedKey = String;
    type StringBuffer = String;

    // A look-up walks the members; beyond two keys one walk for all of them is cheaper.
    const KEYS_PER_LOOKUP: usize = 2;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut String, string: &str, f: impl FnOnce(View<'_>) -> T) -> T {
        string.clone_into(buffer);
        f(View::Name(buffer))
    }
}

impl<'d> SchemaNode<'d, Spanned> for View<'d> {
    type Object = ObjectView<'d>;
    type Array = ArrayView<'d>;
    type Number = NumberView<'d>;

    fn as_object(&self) -> Option<ObjectView<'d>> {
        match self {
            View::InDocument(node) if node.kind() == Kind::Object => {
                Some(ObjectView(*node, View::InDocument))
            }
            View::Frame(node) if node.kind() == Kind::Object => Some(ObjectView(*node, View::Closed)),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<ArrayView<'d>> {
        match self {
            View::InDocument(node) if node.kind() == Kind::Array => Some(ArrayView(*node, usize::MAX)),
            View::Closed(node) if node.kind() == Kind::Array => Some(ArrayView(*node, 0)),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'d, str>> {
        match self {
            View::InDocument(node) | View::Frame(node) | View::Closed(node) => node.as_str(),
            View::Name(name) => Some(Cow::Borrowed(name)),
        }
    }

    fn as_number(&self) -> Option<NumberView<'d>> {
        match self {
            View::InDocument(node) | View::Frame(node) | View::Closed(node) => {
                node.as_number().map(NumberView)
            }
            View::Name(_) => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    fn is_number(&self) -> bool {
        self.kind() == Kind::Number
    }

    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Null => JsonType::Null,
            Kind::True | Kind::False => JsonType::Boolean,
            Kind::Number => JsonType::Number,
            Kind::String | Kind::Escaped => JsonType::String,
            Kind::Array => JsonType::Array,
            Kind::Object => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self, expected) {
            (View::InDocument(node), Value::String(text)) => node.is(text),
            (View::Name(name), Value::String(text)) => name == text,
            _ => jsonschema_value::cmp::equal(&self.to_value(), expected),
        }
    }

    fn to_value(&self) -> Cow<'d, Value> {
        Cow::Owned(match self {
            View::InDocument(node) => node.to_value(),
            View::Name(name) => Value::String((*name).to_owned()),
            // Only an error's text would show it, and ours shows the place in the file instead.
            View::Frame(_) | View::Closed(_) => Value::Null,
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        match self {
            View::InDocument(node) | View::Frame(node) | View::Closed(node) => {
                let tag = u32::try_from(node.identity()).ok()?;
                Some(NodeIdentity::tagged(std::ptr::from_ref(node.document()).addr(), tag))
            }
            View::Name(_) => None,
        }
    }
}

impl View<'_> {
    fn kind(&self) -> Kind {
        match self {
            View::InDocument(node) | View::Frame(node) | View::Closed(node) => node.kind(),
            View::Name(_) => Kind::String,
        }
    }
}

/// An object, seen by the validator, and how its arrays are shown.
pub(crate) struct ObjectView<'d>(Node<'d>, fn(Node<'d>) -> View<'d>);

impl<'d> ObjectView<'d> {
    fn show(&self, child: Node<'d>) -> View<'d> {
        show(child, self.1)
    }
}

impl<'d> Object<'d, Spanned> for ObjectView<'d> {
    type Node = View<'d>;
    type MemberName = Cow<'d, str>;
    type MembersIter = MembersView<'d>;

    fn len(&self) -> usize {
        self.0.members().count()
    }

    fn is_empty(&self) -> bool {
        self.0.members().next().is_none()
    }

    fn get(&self, key: &String) -> Option<View<'d>> {
        self.0.get(key).map(|child| self.show(child))
    }

    fn members(&self) -> MembersView<'d> {
        MembersView(self.0.members(), self.1)
    }
}

fn show<'d>(child: Node<'d>, array: fn(Node<'d>) -> View<'d>) -> View<'d> {
    if child.kind() == Kind::Array { array(child) } else { View::InDocument(child) }
}

/// The members of an object, seen by the validator.
pub(crate) struct MembersView<'d>(Members<'d>, fn(Node<'d>) -> View<'d>);

impl<'d> Iterator for MembersView<'d> {
    type Item = (Cow<'d, str>, View<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.0.next()?;
        Some((key.as_str().unwrap_or_default(), show(value, self.1)))
    }
}

/// An array, seen by the validator, and how many of its elements it shows.
pub(crate) struct ArrayView<'d>(Node<'d>, usize);

impl<'d> Array<'d, Spanned> for ArrayView<'d> {
    type Node = View<'d>;
    type ElementsIter = std::iter::Map<std::iter::Take<Elements<'d>>, fn(Node<'d>) -> View<'d>>;

    fn len(&self) -> usize {
        self.0.elements().count()
    }

    fn elements(&self) -> Self::ElementsIter {
        self.0.elements().take(self.1).map(View::InDocument)
    }
}

/// A number as it is written.
pub(crate) struct NumberView<'d>(&'d str);

impl JsonNumber for NumberView<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok()
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(serde_json::from_str(self.0).unwrap_or_else(|_| Number::from(0)))
    }

    fn is_integer(&self) -> bool {
        // Draft 7: 6.0 is an integer.
        let written_so = !self.0.bytes().any(|it| matches!(it, b'.' | b'e' | b'E'));
        written_so || self.as_f64().is_some_and(|it| it.fract() == 0.0)
    }
}
