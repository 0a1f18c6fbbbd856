//! Filters as NIP-01 has them: what a subscriber asks for. Pure; [`Filter::matches`] is the meaning, and the log's
//! index has to give the same.
//!
//! - A condition that is there with no values matches nothing, as in the clients' libraries.
//! - `#name` of any length looks at the first value of each tag of that name; at every value for `parent`.
//! - Authors are compared as addresses. Events come newest first, and of one second the lowest id first.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use base::{Address, UnixSeconds, hex};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
    ser::SerializeMap as _,
};

use crate::event::{EventId, Kind, Signed, Tags};

/// The tag of which every value counts: an event may follow several.
pub(crate) const PARENT: &str = "parent";

/// What a subscriber asks for. All conditions have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these ids.
    pub ids: Option<BTreeSet<EventId>>,
    /// By one of these authors.
    pub authors: Option<BTreeSet<Address>>,
    /// Of one of these kinds.
    pub kinds: Option<BTreeSet<Kind>>,
    /// For each name, a tag with one of these values.
    pub tags: BTreeMap<String, BTreeSet<String>>,
    /// Not before this second.
    pub since: Option<UnixSeconds>,
    /// Not after this second.
    pub until: Option<UnixSeconds>,
    /// At most so many stored events, the newest.
    pub limit: Option<u64>,
}

impl Filter {
    /// The most values that all conditions of a filter may have together.
    pub const VALUES_MAX: usize = 2000;

    /// Says whether an event is asked for.
    pub fn matches(&self, event: &Signed) -> bool {
        fn has<T: Ord>(wanted: Option<&BTreeSet<T>>, found: &T) -> bool {
            wanted.is_none_or(|it| it.contains(found))
        }
        has(self.ids.as_ref(), &event.id())
            && has(self.kinds.as_ref(), &event.kind())
            && has(self.authors.as_ref(), &event.author().address())
            && self.fits_time(event.created_at())
            && self.matches_tags(event.tags())
    }

    /// Says whether a second lies between since and until.
    pub fn fits_time(&self, at: UnixSeconds) -> bool {
        self.since.is_none_or(|it| at >= it) && self.until.is_none_or(|it| at <= it)
    }

    /// Says whether these are tags that are asked for.
    pub fn matches_tags(&self, tags: &Tags) -> bool {
        self.tags.iter().all(|(name, wanted)| {
            let mut named = tags.named(name);
            if name == PARENT {
                named.any(|tag| tag.values().any(|it| wanted.contains(it)))
            } else {
                named.any(|tag| tag.value().is_some_and(|it| wanted.contains(it)))
            }
        })
    }

    /// Says whether nothing can ever match: some condition has no values, or the time is empty.
    pub fn is_void(&self) -> bool {
        let none = |it: Option<usize>| it == Some(0);
        none(self.ids.as_ref().map(BTreeSet::len))
            || none(self.authors.as_ref().map(BTreeSet::len))
            || none(self.kinds.as_ref().map(BTreeSet::len))
            || self.tags.values().any(BTreeSet::is_empty)
            || matches!((self.since, self.until), (Some(since), Some(until)) if since > until)
    }

    /// Adds a wanted tag.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        self.tags.entry(name.to_owned()).or_default().insert(value.to_owned());
        self
    }

    /// Adds a wanted kind.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kinds.get_or_insert_default().insert(kind);
        self
    }

    /// Adds a wanted author.
    #[must_use]
    pub fn author(mut self, author: Address) -> Self {
        self.authors.get_or_insert_default().insert(author);
        self
    }

    /// Adds a wanted id.
    #[must_use]
    pub fn id(mut self, id: EventId) -> Self {
        self.ids.get_or_insert_default().insert(id);
        self
    }

    /// Asks for the newest so many.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    fn values(&self) -> usize {
        let sets = [
            self.ids.as_ref().map(BTreeSet::len),
            self.authors.as_ref().map(BTreeSet::len),
            self.kinds.as_ref().map(BTreeSet::len),
        ];
        sets.into_iter().flatten().chain(self.tags.values().map(BTreeSet::len)).sum()
    }
}

/// Compares events by the order in which a subscriber gets them: the newest first, then the lowest id.
pub fn newest_first(one: &Signed, other: &Signed) -> Ordering {
    (Reverse(one.created_at()), one.id()).cmp(&(Reverse(other.created_at()), other.id()))
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FilterVisitor)
    }
}

struct FilterVisitor;

impl<'de> Visitor<'de> for FilterVisitor {
    type Value = Filter;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a filter: an object with ids, authors, kinds, since, until, limit or #name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Filter, A::Error> {
        let mut filter = Filter::default();
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "ids" => filter.ids = Some(map.next_value()?),
                "authors" => {
                    let authors: Vec<String> = map.next_value()?;
                    filter.authors = Some(authors.iter().map(|it| author(it)).collect::<Result<_, _>>()?);
                }
                "kinds" => filter.kinds = Some(map.next_value()?),
                "since" => filter.since = Some(map.next_value()?),
                "until" => filter.until = Some(map.next_value()?),
                "limit" => filter.limit = Some(map.next_value()?),
                _ => match key.strip_prefix('#').filter(|it| !it.is_empty()) {
                    Some(name) => drop(filter.tags.insert(name.to_owned(), map.next_value()?)),
                    None => return Err(de::Error::custom(unknown(&key))),
                },
            }
            if !seen.insert(key) {
                return Err(de::Error::custom("a filter has each condition once"));
            }
        }
        if filter.values() > Filter::VALUES_MAX {
            let max = Filter::VALUES_MAX;
            return Err(de::Error::custom(format!(
                "a filter has at most {max} values, not {}",
                filter.values()
            )));
        }
        Ok(filter)
    }
}

fn unknown(key: &str) -> String {
    let key: String = key.chars().take(40).collect();
    format!("a filter has no `{key}` here: ids, authors, kinds, since, until, limit and #name are known")
}

/// Reads an address in any case, with or without its mark: there is nobody else it could mean.
fn author<E: de::Error>(text: &str) -> Result<Address, E> {
    let digits = text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase();
    let wrong = |_| E::custom("authors are the 40 hex digits of ETH addresses, not public keys");
    hex::decode(&digits).map(Address::from_bytes).map_err(wrong)
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(ids) = &self.ids {
            map.serialize_entry("ids", ids)?;
        }
        if let Some(authors) = &self.authors {
            let authors: Vec<String> = authors.iter().map(|it| hex::text(it.as_bytes())).collect();
            map.serialize_entry("authors", &authors)?;
        }
        if let Some(kinds) = &self.kinds {
            map.serialize_entry("kinds", kinds)?;
        }
        for (name, values) in &self.tags {
            map.serialize_entry(&format!("#{name}"), values)?;
        }
        let numbers = [("since", self.since.map(|it| it.0)), ("until", self.until.map(|it| it.0))];
        for (name, number) in numbers.into_iter().chain([("limit", self.limit)]) {
            if let Some(number) = number {
                map.serialize_entry(name, &number)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Draft, Scheme, Tag},
        key::SecretKey,
    };

    fn event() -> Signed {
        let tags = [
            Tag::list("sid", ["0xMG", "second"]),
            Tag::pair("t", "one"),
            Tag::pair("t", "two"),
            Tag::list("parent", ["p1", "p2"]),
            Tag::list("bare", []),
        ];
        let draft = Draft {
            created_at: UnixSeconds(100),
            kind: Kind(30405),
            tags: tags.into_iter().collect(),
            content: String::new(),
        };
        SecretKey::from_bytes([7; 32]).unwrap().sign(draft, Scheme::Sdk)
    }

    fn parse(json: &str) -> Result<Filter, String> {
        serde_json::from_str(json).map_err(|it| it.to_string())
    }

    #[test]
    fn all_conditions_have_to_hold() {
        let event = event();
        let check = |json: &str, expected: bool| {
            let filter = parse(json).unwrap();
            assert_eq!(filter.matches(&event), expected, "{json}");
            assert_eq!(parse(&serde_json::to_string(&filter).unwrap()).unwrap(), filter);
        };
        check("{}", true);
        check(&format!(r#"{{"ids":["{}"]}}"#, event.id()), true);
        check(&format!(r#"{{"ids":["{}"]}}"#, "0".repeat(64)), false);
        for author in [event.author().as_str(), &event.author().as_str().to_ascii_lowercase()] {
            check(&format!(r#"{{"authors":["{author}"]}}"#), true);
            check(&format!(r#"{{"authors":["0x{author}"],"kinds":[1]}}"#), false);
        }
        check(r#"{"kinds":[30405,1]}"#, true);
        check(r#"{"kinds":[1]}"#, false);
        check(r##"{"#sid":["0xMG"]}"##, true);
        check(r##"{"#sid":["0xmg"]}"##, false);
        check(r##"{"#sid":["second"]}"##, false);
        check(r##"{"#t":["two"]}"##, true);
        check(r##"{"#t":["one"],"#sid":["0xMG"]}"##, true);
        check(r##"{"#t":["one"],"#sid":["0xFT"]}"##, false);
        check(r##"{"#parent":["p2"]}"##, true);
        check(r##"{"#bare":[""]}"##, false);
        check(r#"{"since":100,"until":100}"#, true);
        check(r#"{"since":101}"#, false);
        check(r#"{"until":99}"#, false);
        check(r#"{"limit":0}"#, true);
        for void in [r#"{"ids":[]}"#, r#"{"authors":[]}"#, r#"{"kinds":[]}"#, r##"{"#t":[]}"##] {
            check(void, false);
            assert!(parse(void).unwrap().is_void());
        }
        assert!(parse(r#"{"since":2,"until":1}"#).unwrap().is_void());
    }

    #[test]
    fn a_filter_that_is_not_understood_is_refused() {
        let check = |json: &str, expected: &str| {
            let error = parse(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        };
        check("[]", "a filter");
        check(r#"{"search":"x"}"#, "no `search` here");
        check(r##"{"#":["x"]}"##, "no `#` here");
        check(r#"{"kinds":[70000]}"#, "70000");
        check(r#"{"kinds":[1],"kinds":[2]}"#, "once");
        check(r#"{"ids":["ab"]}"#, "64 hex digits");
        check(r#"{"authors":["02ab"]}"#, "not public keys");
        check(r#"{"since":"1"}"#, "invalid type");
        check(r#"{"limit":-1}"#, "invalid value");
        check(r##"{"#t":"x"}"##, "invalid type");
        let many: Vec<String> = (0..2001).map(|it| it.to_string()).collect();
        check(&format!(r#"{{"kinds":[{}]}}"#, many.join(",")), "at most 2000 values");
    }
}
