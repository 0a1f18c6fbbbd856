//! Turns a value of a document into a typed struct.

use std::borrow::Cow;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
    value::{BorrowedStrDeserializer, CowStrDeserializer},
};

use super::{
    Kind, Node,
    node::{Elements, Members},
};

/// Why a value is not what a struct holds.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TypeError(String);

impl de::Error for TypeError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl<'de> Node<'de> {
    /// Reads the value as a `T`.
    pub fn read<T: de::Deserialize<'de>>(self) -> Result<T, TypeError> {
        T::deserialize(self)
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = TypeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match self.kind() {
            Kind::Null => visitor.visit_unit(),
            Kind::True => visitor.visit_bool(true),
            Kind::False => visitor.visit_bool(false),
            Kind::Number => number(self.as_number().unwrap_or_default(), visitor),
            Kind::String | Kind::Escaped => match self.as_str().unwrap_or_default() {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Kind::Array => visitor.visit_seq(Sequence(self.elements())),
            Kind::Object => visitor.visit_map(Mapping { members: self.members(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        if self.kind() == Kind::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        match self.as_str() {
            Some(name) => visitor.visit_enum(Variant(name)),
            None => Err(de::Error::custom("expected a string")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Hands over an integer as one, however it is written: the schema says that 6.0 is the integer 6.
fn number<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, TypeError> {
    if let Ok(integer) = text.parse::<u64>() {
        return visitor.visit_u64(integer);
    }
    if let Ok(integer) = text.parse::<i64>() {
        return visitor.visit_i64(integer);
    }
    let double: f64 = text.parse().map_err(|_| TypeError(format!("{text} is no number")))?;
    // Up to 2^53 a double is exactly the integer it looks like.
    let exact = double.fract() == 0.0 && double.abs() <= 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, checked in the line above")]
    if exact { visitor.visit_i64(double as i64) } else { visitor.visit_f64(double) }
}

struct Sequence<'de>(Elements<'de>);

impl<'de> SeqAccess<'de> for Sequence<'de> {
    type Error = TypeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, TypeError> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

struct Mapping<'de> {
    members: Members<'de>,
    value: Option<Node<'de>>,
}

impl<'de> MapAccess<'de> for Mapping<'de> {
    type Error = TypeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TypeError> {
        let Some((key, value)) = self.members.next() else { return Ok(None) };
        self.value = Some(value);
        match key.as_str().unwrap_or_default() {
            Cow::Borrowed(text) => seed.deserialize(BorrowedStrDeserializer::new(text)),
            Cow::Owned(text) => seed.deserialize(CowStrDeserializer::new(Cow::Owned(text))),
        }
        .map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, TypeError> {
        match self.value.take() {
            Some(value) => seed.deserialize(value),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

struct Variant<'de>(Cow<'de, str>);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = TypeError;
    type Variant = UnitOnly;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, UnitOnly), TypeError> {
        seed.deserialize(CowStrDeserializer::new(self.0)).map(|it| (it, UnitOnly))
    }
}

struct UnitOnly;

impl<'de> VariantAccess<'de> for UnitOnly {
    type Error = TypeError;

    fn unit_variant(self) -> Result<(), TypeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, TypeError> {
        Err(de::Error::custom("expected a plain name"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, TypeError> {
        Err(de::Error::custom("expected a plain name"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, TypeError> {
        Err(de::Error::custom("expected a plain name"))
    }
}
