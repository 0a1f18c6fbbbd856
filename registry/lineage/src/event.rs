//! An event as lineage sees it: a fact with a place in the ledger, tags, content, and links to its parents.
//!
//! Lineage trusts that id and signature were checked by whoever hands the event in.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json::Json;

/// Tags that carry no field of their own: they belong to the protocol.
const STRUCTURAL_TAGS: [&str; 5] = ["auth", "d", "sid", "op", "parent"];

/// A signed fact with its place in the ledger.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// The event's id.
    pub id: String,
    /// Who made it.
    pub pubkey: String,
    /// When its author says it was made, in seconds since 1970.
    pub created_at: u64,
    /// What kind of fact it is.
    pub kind: u32,
    /// Its tags: a name, then values.
    pub tags: Vec<Vec<String>>,
    /// What it says.
    pub content: Content,
    /// Its place in the ledger, from 1; 0 if it does not say.
    #[serde(default)]
    pub seq: u64,
}

/// What an event says: an object, or text without fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content(Option<BTreeMap<String, Json>>);

impl Content {
    /// Reads a content. What is not strictly an object is text, and has no fields.
    pub fn of_text(text: &str) -> Self {
        match Json::parse(text) {
            Ok(Json::Map(fields)) => Self(Some(fields)),
            _ => Self(None),
        }
    }

    /// Returns the fields, if there are any.
    pub fn fields(&self) -> Option<&BTreeMap<String, Json>> {
        self.0.as_ref()
    }
}

impl<'de> Deserialize<'de> for Content {
    /// Takes a content as text that holds JSON, as events are signed, or as the object itself.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match serde_json::from_str::<String>(raw.get()) {
            Ok(text) => Self::of_text(&text),
            Err(_) => Self::of_text(raw.get()),
        })
    }
}

impl Event {
    /// Returns the ids of the parents in the order of the tags, each once.
    pub fn parents(&self) -> Vec<&str> {
        let tags = self.tags.iter().filter(|it| it.first().is_some_and(|name| name == "parent"));
        let mut parents: Vec<&str> = tags.flat_map(|it| &it[1..]).map(String::as_str).collect();
        if parents.len() == 2 && parents[0] == parents[1] {
            parents.pop();
        } else if parents.len() > 2 {
            let mut seen = std::collections::BTreeSet::new();
            parents.retain(|it| seen.insert(*it));
        }
        parents
    }

    /// Returns the fields that the tags make: a name with one value, or with a list of all its values.
    pub fn tag_fields(&self) -> BTreeMap<&str, Json> {
        let mut values: BTreeMap<&str, Vec<Json>> = BTreeMap::new();
        for tag in &self.tags {
            let Some((name, rest)) = tag.split_first() else { continue };
            if !STRUCTURAL_TAGS.contains(&name.as_str()) {
                values.entry(name).or_default().extend(rest.iter().cloned().map(Json::Text));
            }
        }
        let one_or_list = |mut values: Vec<Json>| match values.len() {
            1 => values.remove(0),
            _ => Json::List(values),
        };
        values.into_iter().map(|(name, values)| (name, one_or_list(values))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(tags: &str, content: &str) -> Event {
        let text = format!(
            r#"{{"id":"a","pubkey":"p","created_at":1,"kind":2,"tags":{tags},"content":{content},"seq":3}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn tags_make_fields_and_parents() {
        let event = event(
            r#"[["d","x"],["parent","b","c"],["parent","b","d"],["k","1"],["k"],["v"],["w","1","2"],["w","3"],[]]"#,
            "\"\"",
        );
        assert_eq!(event.parents(), ["b", "c", "d"]);
        let fields = Json::Map(event.tag_fields().into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
        assert_eq!(fields.canonical(), r#"{"k":"1","v":[],"w":["1","2","3"]}"#);
    }

    #[test]
    fn content_has_fields_only_if_it_is_strictly_an_object() {
        let check = |content: &str, fields: bool| {
            assert_eq!(event("[]", content).content.fields().is_some(), fields, "{content}");
        };
        check(r#""{\"a\":1}""#, true);
        check(r#"{"a":1}"#, true);
        check(r#""{\"a\":1,\"a\":2}""#, false);
        check(r#"{"a":1,"a":2}"#, false);
        check(r#""{\"a\":1e400}""#, false);
        check(r#""[1]""#, false);
        check(r#""free text {""#, false);
        check("null", false);
    }
}
