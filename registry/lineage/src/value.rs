//! Values as features see them, and how what an event holds becomes one.

use std::borrow::Cow;

use crate::{graph::pack::View, json::Json, num::Num};

/// The longest text of a category.
const CATEGORY_BYTES_MAX: usize = 64;
/// The longest text.
const TEXT_BYTES_MAX: usize = 4096;

/// What type a feature's values have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A decimal number.
    Num,
    /// A short text that is one of few.
    Cat,
    /// Yes or no.
    Bool,
    /// Any text.
    Text,
}

impl Type {
    const ALL: [Self; 4] = [Self::Num, Self::Cat, Self::Bool, Self::Text];

    /// Reads a type's name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Returns the name, as cards write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Num => "num",
            Self::Cat => "cat",
            Self::Bool => "bool",
            Self::Text => "text",
        }
    }

    /// Says whether values of this type can be added.
    pub(crate) const fn is_summable(self) -> bool {
        matches!(self, Self::Num | Self::Bool)
    }
}

/// A value of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'g> {
    Num(Num),
    Text(Cow<'g, str>),
    Bool(bool),
}

impl<'g> Value<'g> {
    /// Returns the value as a type wants it, or `None` if it is missing for that type.
    pub(crate) fn coerce(view: View<'g>, to: Type) -> Option<Self> {
        match to {
            Type::Num => view.to_num().map(Self::Num),
            Type::Bool => view.to_bool().map(Self::Bool),
            Type::Cat => view.into_text().filter(|it| it.len() <= CATEGORY_BYTES_MAX).map(Self::Text),
            Type::Text => view.into_text().filter(|it| it.len() <= TEXT_BYTES_MAX).map(Self::Text),
        }
    }

    /// Returns a default of a card as its type wants it.
    pub(crate) fn of_json(value: &Json, to: Type) -> Option<Value<'static>> {
        let view = match value {
            Json::Bool(value) => View::Bool(*value),
            Json::Number(number) => View::of_double(*number),
            Json::Text(text) => View::Text(Cow::Owned(text.clone())),
            Json::Null | Json::List(_) | Json::Map(_) => return None,
        };
        Value::coerce(view, to)
    }

    /// Returns the number that a value is in a sum.
    pub(crate) fn addend(&self) -> Num {
        match self {
            Self::Num(number) => *number,
            Self::Bool(true) => Num::ONE,
            // Texts never come into a sum: a card that asks for it is refused with E_TYPE.
            Self::Bool(false) | Self::Text(_) => Num::ZERO,
        }
    }

    /// Returns the number that a value is, or that its text says.
    pub(crate) fn to_number(&self) -> Option<Num> {
        match self {
            Self::Text(text) => Num::parse(text),
            _ => Some(self.addend()),
        }
    }

    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Num(number) => Value::Num(number),
            Self::Bool(value) => Value::Bool(value),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
        }
    }

    /// Returns the canonical text, which is the value's key in a histogram.
    pub(crate) fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Num(number) => Cow::Owned(number.to_string()),
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}

impl PartialOrd for Value<'_> {
    /// Compares values of one type; texts by their bytes.
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Num(left), Self::Num(right)) => left.partial_cmp(right),
            (Self::Bool(left), Self::Bool(right)) => left.partial_cmp(right),
            (Self::Text(left), Self::Text(right)) => left.as_bytes().partial_cmp(right.as_bytes()),
            _ => None,
        }
    }
}
