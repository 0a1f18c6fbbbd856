//! Reads objects of short keys and collects everything that is wrong, each with its place.

use std::collections::BTreeMap;

use crate::{
    flaw::{Code, Flaw},
    json::Json,
};

/// An object that is being read.
pub(crate) struct Reader<'j, 'f> {
    map: &'j BTreeMap<String, Json>,
    place: String,
    /// What a wrong shape is called here.
    code: Code,
    flaws: &'f mut Vec<Flaw>,
}

impl<'j, 'f> Reader<'j, 'f> {
    /// Starts to read a value that has to be an object with these keys and no others.
    pub(crate) fn of(
        value: &'j Json,
        place: &str,
        code: Code,
        keys: &[&str],
        flaws: &'f mut Vec<Flaw>,
    ) -> Option<Self> {
        let Json::Map(map) = value else {
            flaws.push(Flaw::new(code, place, format!("expected an object, found {}", value.kind())));
            return None;
        };
        for key in map.keys().filter(|it| !keys.contains(&it.as_str())) {
            let text = format!("unknown key {key:?}; there are {}", keys.join(", "));
            flaws.push(Flaw::new(code, format!("{place}/{}", escape(key)), text));
        }
        Some(Self { map, place: place.to_owned(), code, flaws })
    }

    /// Returns the place of a key.
    pub(crate) fn place_of(&self, key: &str) -> String {
        format!("{}/{key}", self.place)
    }

    pub(crate) fn flaws(&mut self) -> &mut Vec<Flaw> {
        self.flaws
    }

    /// Notes that a key is wrong.
    pub(crate) fn wrong(&mut self, key: &str, text: impl Into<String>) {
        self.wrong_with(self.code, key, text);
    }

    /// Notes that a key is wrong in a way of its own.
    pub(crate) fn wrong_with(&mut self, code: Code, key: &str, text: impl Into<String>) {
        self.flaws.push(Flaw::new(code, self.place_of(key), text));
    }

    pub(crate) fn maybe(&self, key: &str) -> Option<&'j Json> {
        self.map.get(key)
    }

    /// Returns a value that must be there.
    pub(crate) fn needed(&mut self, key: &str) -> Option<&'j Json> {
        let found = self.maybe(key);
        if found.is_none() {
            self.wrong(key, "this key is missing");
        }
        found
    }

    /// Returns a text of 1 to `bytes_max` bytes that must be there.
    pub(crate) fn text(&mut self, key: &str, bytes_max: usize) -> Option<&'j str> {
        let found = self.needed(key)?;
        self.check_text(key, found, bytes_max)
    }

    /// Returns a text of 1 to `bytes_max` bytes, if the key is there.
    pub(crate) fn maybe_text(&mut self, key: &str, bytes_max: usize) -> Option<&'j str> {
        let found = self.maybe(key)?;
        self.check_text(key, found, bytes_max)
    }

    fn check_text(&mut self, key: &str, found: &'j Json, bytes_max: usize) -> Option<&'j str> {
        match found {
            Json::Text(text) if (1..=bytes_max).contains(&text.len()) => return Some(text),
            Json::Text(text) => {
                self.wrong(key, format!("expected 1 to {bytes_max} bytes, found {}", text.len()));
            }
            other => self.wrong(key, format!("expected a string, found {}", other.kind())),
        }
        None
    }

    /// Returns true or false, if the key is there.
    pub(crate) fn maybe_bool(&mut self, key: &str) -> Option<bool> {
        match self.maybe(key)? {
            Json::Bool(value) => return Some(*value),
            other => self.wrong(key, format!("expected true or false, found {}", other.kind())),
        }
        None
    }

    /// Returns a list of at most `length_max` elements, if the key is there.
    pub(crate) fn maybe_list(&mut self, key: &str, length_max: usize) -> Option<&'j [Json]> {
        match self.maybe(key)? {
            Json::List(list) if list.len() <= length_max => return Some(list),
            Json::List(list) => {
                self.wrong(key, format!("at most {length_max} elements, found {}", list.len()));
            }
            other => self.wrong(key, format!("expected a list, found {}", other.kind())),
        }
        None
    }

    /// Returns a list of texts, if the key is there.
    pub(crate) fn maybe_texts(&mut self, key: &str, length_max: usize) -> Option<Vec<String>> {
        let list = self.maybe_list(key, length_max)?;
        let texts: Option<Vec<String>> = list.iter().map(|it| it.as_text().map(str::to_owned)).collect();
        if texts.is_none() {
            self.wrong(key, "expected a list of strings");
        }
        texts
    }
}

/// Writes a key as a step of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
