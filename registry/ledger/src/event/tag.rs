//! Tags: short lists of texts, the first of which is the tag's name.

use serde::{Deserialize, Deserializer, Serialize, de};

/// One tag: a name and any number of values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Tag(Vec<String>);

/// All tags of an event, in its author's order, which is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(Vec<Tag>);

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

    /// Returns the name.
    pub fn name(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Returns the values behind the name.
    pub fn values(&self) -> &[String] {
        self.0.get(1..).unwrap_or_default()
    }

    /// Returns the first value: the only one that filters and clients look at, but for `parent`.
    pub fn value(&self) -> Option<&str> {
        self.0.get(1).map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_elements(Vec::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Tags {
    /// Takes tags in order.
    pub fn new(tags: Vec<Tag>) -> Self {
        Self(tags)
    }

    /// Returns the tags in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tag> {
        self.0.iter()
    }

    /// Returns how many tags there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a tag at the end.
    pub fn push(&mut self, tag: Tag) {
        self.0.push(tag);
    }

    /// Returns the tags of that name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Tag> {
        self.0.iter().filter(move |it| it.name() == name)
    }

    /// Returns the first value of the first tag of that name that has one.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.named(name).find_map(Tag::value)
    }

    /// Returns every value of every tag of that name.
    pub fn every(&self, name: &str) -> impl Iterator<Item = &str> {
        self.named(name).flat_map(Tag::values).map(String::as_str)
    }

    /// Returns every value, split at commas and trimmed: some write a list as elements, some in one text.
    pub fn flattened(&self, name: &str) -> Vec<String> {
        let pieces = self.every(name).flat_map(|it| it.split(',')).map(str::trim);
        pieces.filter(|it| !it.is_empty()).map(str::to_owned).collect()
    }
}

impl<'t> IntoIterator for &'t Tags {
    type Item = &'t Tag;
    type IntoIter = std::slice::Iter<'t, Tag>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Tag> for Tags {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        Self(tags.into_iter().collect())
    }
}
