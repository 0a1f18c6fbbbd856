//! Tags: short lists of texts, the first of which is the tag's name.
//!
//! An event has a dozen of them, and events come by the thousand: all texts of an event's tags stand in one, so that to
//! read, copy or drop them costs a few allocations and not one for each text.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeSeed, SeqAccess, Visitor},
};

/// One tag, to be put among others: a name and any number of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(Vec<String>);

/// All tags of an event, in its author's order, which is signed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// All texts, one behind the other.
    text: String,
    /// Where each text ends.
    text_ends: Vec<usize>,
    /// How many texts there are up to the end of each tag.
    ends: Vec<usize>,
}

/// One tag of an event.
#[derive(Clone, Copy)]
pub struct TagView<'t> {
    tags: &'t Tags,
    /// Its texts, by number.
    from: usize,
    until: usize,
}

/// Why a list is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tag needs a name: its list is empty")]
pub struct TagsError;

impl Tag {
    /// Makes a tag with one value.
    pub fn pair(name: &str, value: &str) -> Self {
        Self(vec![name.to_owned(), value.to_owned()])
    }

    /// Makes a tag with any number of values.
    pub fn list<'a>(name: &'a str, values: impl IntoIterator<Item = &'a str>) -> Self {
        Self([name].into_iter().chain(values).map(str::to_owned).collect())
    }

    /// Takes the elements of a tag, its name first.
    pub fn from_elements(elements: Vec<String>) -> Result<Self, TagsError> {
        if elements.is_empty() { Err(TagsError) } else { Ok(Self(elements)) }
    }
}

impl<'t> TagView<'t> {
    /// Returns the name.
    pub fn name(self) -> &'t str {
        self.tags.text(self.from)
    }

    /// Returns the values behind the name.
    pub fn values(self) -> impl ExactSizeIterator<Item = &'t str> + DoubleEndedIterator {
        (self.from + 1..self.until).map(move |it| self.tags.text(it))
    }

    /// Returns the first value: the only one that filters and clients look at, but for `parent`.
    pub fn value(self) -> Option<&'t str> {
        self.values().next()
    }

    /// Returns the elements, the name first.
    pub fn elements(self) -> impl ExactSizeIterator<Item = &'t str> {
        (self.from..self.until).map(move |it| self.tags.text(it))
    }
}

impl Tags {
    /// Returns the tags in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TagView<'_>> + DoubleEndedIterator {
        (0..self.ends.len()).map(|it| self.tag(it))
    }

    /// Returns how many tags there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Says whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a tag at the end.
    pub fn push(&mut self, tag: Tag) {
        tag.0.into_iter().for_each(|it| self.add_text(&it));
        self.end_tag();
    }

    /// Returns the tags of that name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = TagView<'_>> {
        self.iter().filter(move |it| it.name() == name)
    }

    /// Returns the first value of the first tag of that name that has one.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.named(name).find_map(TagView::value)
    }

    /// Returns every value of every tag of that name.
    pub fn every(&self, name: &str) -> impl Iterator<Item = &str> {
        self.named(name).flat_map(TagView::values)
    }

    /// Returns every value, split at commas and trimmed: some write a list as elements, some in one text.
    pub fn flattened(&self, name: &str) -> Vec<String> {
        let pieces = self.every(name).flat_map(|it| it.split(',')).map(str::trim);
        pieces.filter(|it| !it.is_empty()).map(str::to_owned).collect()
    }

    /// Appends them as JSON, as serde would.
    pub(super) fn write_json(&self, bytes: &mut Vec<u8>) {
        if !is_plain(&self.text) {
            serde_json::to_writer(bytes, self).expect("texts can always be written as JSON");
            return;
        }
        bytes.push(b'[');
        let (mut before, mut from) = ("", 0);
        for until in &self.ends {
            bytes.extend_from_slice(before.as_bytes());
            let mut mark = "[\"";
            for number in from..*until {
                bytes.extend_from_slice(mark.as_bytes());
                bytes.extend_from_slice(self.text(number).as_bytes());
                mark = "\",\"";
            }
            bytes.extend_from_slice(b"\"]");
            (before, from) = (",", *until);
        }
        bytes.push(b']');
    }

    /// Returns how long they are as JSON if nothing in them has to be escaped.
    pub(super) fn json_bytes(&self) -> usize {
        // Two quotes and a comma for each text, brackets and a comma for each tag, brackets around all.
        self.text.len() + 3 * self.text_ends.len() + 3 * self.ends.len() + 2
    }

    /// Makes room for what most events have.
    fn with_room() -> Self {
        Self {
            text: String::with_capacity(512),
            text_ends: Vec::with_capacity(32),
            ends: Vec::with_capacity(16),
        }
    }

    fn add_text(&mut self, text: &str) {
        self.text.push_str(text);
        self.text_ends.push(self.text.len());
    }

    fn end_tag(&mut self) {
        self.ends.push(self.text_ends.len());
    }

    fn tag(&self, number: usize) -> TagView<'_> {
        TagView { tags: self, from: start(&self.ends, number), until: end(&self.ends, number) }
    }

    fn text(&self, number: usize) -> &str {
        self.text.get(start(&self.text_ends, number)..end(&self.text_ends, number)).unwrap_or_default()
    }
}

/// Says whether a text stands in JSON just as it is. Nearly all tags do, and to look once at all of them costs far less
/// than to look at each.
fn is_plain(text: &str) -> bool {
    let needs_escape = |it: u8| it < b' ' || it == b'"' || it == b'\\';
    !text.bytes().fold(false, |found, it| found | needs_escape(it))
}

/// Where the entry before ends, or the beginning.
fn start(ends: &[usize], number: usize) -> usize {
    number.checked_sub(1).map_or(0, |it| end(ends, it))
}

fn end(ends: &[usize], number: usize) -> usize {
    ends.get(number).copied().unwrap_or_default()
}

impl fmt::Debug for TagView<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.elements()).finish()
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.iter()).finish()
    }
}

impl From<TagView<'_>> for Tag {
    fn from(tag: TagView<'_>) -> Self {
        Self(tag.elements().map(str::to_owned).collect())
    }
}

impl FromIterator<Tag> for Tags {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        let mut all = Self::default();
        for tag in tags {
            all.push(tag);
        }
        all
    }
}

impl Serialize for TagView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.elements())
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut tags = Self::with_room();
        deserializer.deserialize_seq(All(&mut tags))?;
        Ok(tags)
    }
}

/// Reads all tags.
struct All<'t>(&'t mut Tags);

/// Reads one tag.
struct One<'t>(&'t mut Tags);

/// Reads one element of a tag.
struct Text<'t>(&'t mut Tags);

impl<'de> Visitor<'de> for All<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a sequence of tags")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tags: A) -> Result<(), A::Error> {
        while tags.next_element_seed(One(self.0))?.is_some() {}
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a tag, which is a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<(), A::Error> {
        texts.next_element_seed(Text(self.0))?.ok_or_else(|| de::Error::custom(TagsError))?;
        while texts.next_element_seed(Text(self.0))?.is_some() {}
        self.0.end_tag();
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.0.add_text(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_lists() -> impl Strategy<Value = Vec<Vec<String>>> {
        prop::collection::vec(prop::collection::vec("[ab]|.{0,6}|[a\"\\\\\\n]{0,3}", 1..5), 0..6)
    }

    proptest! {
        #[test]
        fn tags_are_the_lists_that_they_were_made_of(lists in any_lists()) {
            let json = serde_json::to_string(&lists).unwrap();
            let read: Tags = serde_json::from_str(&json).unwrap();
            let made: Tags = lists.iter().map(|it| Tag::from_elements(it.clone()).unwrap()).collect();
            prop_assert_eq!(&read, &made);
            let mut written = Vec::new();
            read.write_json(&mut written);
            prop_assert_eq!(String::from_utf8(written).unwrap(), json.as_str());
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), json);
            prop_assert_eq!(format!("{read:?}"), format!("{lists:?}"));
            prop_assert_eq!((read.len(), read.is_empty()), (lists.len(), lists.is_empty()));
            for (tag, list) in read.iter().zip(&lists) {
                prop_assert_eq!(tag.name(), &list[0]);
                prop_assert_eq!(tag.value(), list.get(1).map(String::as_str));
                prop_assert_eq!(tag.values().collect::<Vec<_>>(), &list[1..]);
                prop_assert_eq!(Tag::from(tag), Tag(list.clone()));
            }
            let of_a: Vec<&str> = read.every("a").collect();
            let expected = lists.iter().filter(|it| it[0] == "a").flat_map(|it| &it[1..]);
            prop_assert_eq!(of_a, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_no_list_of_texts_with_a_name_is_refused() {
        let why = |json: &str| serde_json::from_str::<Tags>(json).unwrap_err().to_string();
        assert!(why("[[]]").starts_with("a tag needs a name: its list is empty"), "{}", why("[[]]"));
        assert!(why(r#"[["a",1]]"#).contains("invalid type: integer `1`, expected a string"));
        assert!(why(r#"["a"]"#).contains("expected a tag, which is a list of texts"));
        assert!(why(r#"{"a":"b"}"#).contains("expected a sequence of tags"));
    }
}
