//! JSON as all evaluators read and write it: strict in, canonical (RFC 8785) out.
//!
//! - No byte order mark, no key twice, no lone surrogate, no number beyond a double, at most [`DEPTH_MAX`] levels.
//!   These are the places where parsers differ, so a text that needs them is no JSON here.
//! - A number is a double at once: most languages cannot see the literal.
//! - A map is ordered by key, so walking one is the same everywhere.

use std::{collections::BTreeMap, fmt};

use base::digest::Sha256;
use serde::{
    Deserialize, Serialize, Serializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

/// How deep lists and maps may stand in each other.
pub const DEPTH_MAX: usize = 64;
/// What may stand around a value.
pub(crate) const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// A JSON value that was read strictly.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number; always finite.
    Number(f64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// A map, each key once.
    Map(BTreeMap<String, Json>),
}

/// Why a text is not strict JSON.
#[derive(Debug, thiserror::Error)]
#[error("not strict JSON")]
pub struct JsonError(#[from] serde_json::Error);

impl JsonError {
    /// Returns the line and the column where reading stopped, both from 1.
    pub fn line_and_column(&self) -> (usize, usize) {
        (self.0.line(), self.0.column())
    }

    /// Returns what was wrong there, without the place.
    pub fn what(&self) -> String {
        let whole = self.0.to_string();
        whole.split(" at line ").next().unwrap_or_default().to_owned()
    }
}

impl Json {
    /// Reads a text strictly.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        serde_json::from_str(text).map_err(JsonError)
    }

    /// Returns the canonical text.
    pub fn canonical(&self) -> String {
        canonical(self)
    }

    /// Returns the value under a key of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// Returns the text of a string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the elements of a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Returns a whole number from 0 to 2^53, if the value is one.
    pub fn as_whole(&self) -> Option<u64> {
        const LAST: f64 = 9_007_199_254_740_992.0;
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the guard leaves whole numbers from 0 to 2^53"
            )]
            Self::Number(number) if *number >= 0.0 && *number <= LAST && number.fract() == 0.0 => {
                Some(*number as u64)
            }
            _ => None,
        }
    }

    /// Says in one word what kind of value this is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

/// Returns the canonical text of anything that serializes to JSON without a number that is no double.
pub(crate) fn canonical<T: Serialize>(value: &T) -> String {
    // What comes here holds finite numbers and text keys only, and those always have a canonical text.
    serde_jcs::to_string(value).unwrap_or_default()
}

/// Returns a number as ECMAScript prints it, the text that two machines agree on.
pub(crate) fn number_text(number: f64) -> String {
    canonical(&number)
}

/// Returns `0x` and the SHA-256 of a text, with a prefix that tells what the text is.
pub(crate) fn tagged_hash(prefix: &str, text: &str) -> String {
    let mut hasher = base::digest::Hasher::new();
    hasher.update(prefix.as_bytes());
    hasher.update(text.as_bytes());
    hash_text(hasher.finish())
}

/// Returns a digest as the spec writes it.
pub(crate) fn hash_text(digest: Sha256) -> String {
    format!("0x{digest}")
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => list.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level(DEPTH_MAX).deserialize(deserializer)
    }
}

/// Reads a value that may hold this many levels of lists and maps.
struct Level(usize);

impl Level {
    fn below<E: de::Error>(&self) -> Result<Self, E> {
        let left = self.0.checked_sub(1);
        left.map(Self)
            .ok_or_else(|| E::custom(format_args!("more than {DEPTH_MAX} levels of lists and objects")))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Json;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "every number is the nearest double, by the rule of this module"
    )]
    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "every number is the nearest double, by the rule of this module"
    )]
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        if value.is_finite() { Ok(Json::Number(value)) } else { Err(E::custom("a number beyond a double")) }
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self.below()?)? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.below()?)?;
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!("the key {key:?} stands twice")));
            }
            map.insert(key, value);
        }
        Ok(Json::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parsers_disagree_about_is_no_json_here() {
        let check =
            |text: &str, wrong: &str| assert_eq!(Json::parse(text).unwrap_err().what(), wrong, "{text}");
        check("NaN", "expected value");
        check("1e400", "number out of range");
        check(r#""\ud800""#, "unexpected end of hex escape");
        check(r#"{"a":1,"a":1}"#, "the key \"a\" stands twice");
        check("\u{feff}1", "expected value");
        check("1 2", "trailing characters");
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Json::parse(&deep(DEPTH_MAX)).is_ok());
        check(&deep(DEPTH_MAX + 1), "more than 64 levels of lists and objects");
        check(&deep(100_000), "more than 64 levels of lists and objects");
    }

    #[test]
    fn the_canonical_text_is_that_of_rfc_8785() {
        let check =
            |text: &str, canonical: &str| assert_eq!(Json::parse(text).unwrap().canonical(), canonical);
        check(
            r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#,
        );
        // By UTF-16 units, U+1F600 stands before U+FB33.
        check(
            "{\"\u{20ac}\":1,\"\\r\":2,\"\u{fb33}\":3,\"1\":4,\"\u{1f600}\":5,\"\u{80}\":6,\"\u{f6}\":7}",
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}",
        );
        check("[9007199254740993,-0.0,1e21,1e-7,5e-324]", "[9007199254740992,0,1e+21,1e-7,5e-324]");
    }
}
