//! Strings that a schema restricts: each checked once, when it is read.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:expr, $wrong:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text.into())) } else { Err($wrong) }
            }
        }

        impl From<$name> for String {
            fn from(it: $name) -> Self {
                it.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

checked_text!(
    /// A text of at least one character.
    NonEmpty,
    |it| !it.is_empty(),
    "an empty text says nothing"
);
checked_text!(
    /// A URI as RFC 3986 writes it, with something after its scheme.
    Uri,
    |it| fluent_uri::Uri::parse(it).is_ok() && it.split_once(':').is_some_and(|(_, rest)| !rest.is_empty()),
    "this is no URI"
);
checked_text!(
    /// A date and time with an offset, as RFC 3339 writes it.
    Timestamp,
    |it| time::OffsetDateTime::parse(it, &time::format_description::well_known::Rfc3339).is_ok(),
    "this is no RFC 3339 date and time"
);
checked_text!(
    /// A commit, perhaps shortened: 7 to 40 lower-case hex digits.
    Commit,
    |it| (7..=40).contains(&it.len()) && it.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
    "a commit is 7 to 40 lower-case hex digits"
);
checked_text!(
    /// A word to find a model by.
    Tag,
    |it| {
        let ends = |byte: Option<&u8>| byte.is_some_and(|it| *it != b'-');
        let bytes = it.as_bytes();
        let plain = bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        plain && bytes.len() >= 2 && ends(bytes.first()) && ends(bytes.last())
    },
    "a tag is lower-case letters, digits and inner hyphens, two or more"
);

/// At least one tag, none twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Tag>", into = "Vec<Tag>")]
pub struct Tags(Box<[Tag]>);

impl Tags {
    /// Returns the tags as they stand.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Tag::as_str)
    }
}

impl TryFrom<Vec<Tag>> for Tags {
    type Error = &'static str;

    fn try_from(tags: Vec<Tag>) -> Result<Self, Self::Error> {
        if tags.is_empty() {
            return Err("at least one tag is needed");
        }
        let mut sorted = tags.iter().collect::<Vec<_>>();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("a tag stands twice");
        }
        Ok(Self(tags.into()))
    }
}

impl From<Tags> for Vec<Tag> {
    fn from(tags: Tags) -> Self {
        tags.0.into()
    }
}
