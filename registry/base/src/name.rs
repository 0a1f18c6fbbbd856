//! Names of things: a model in the catalog, a commit in a repository.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::hex::HexError;

/// A model's id in the catalog, such as `ajna-insight-v2`. Checked once, in [`ModelId::parse`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelId(Box<str>);

/// Why a text is no model id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelIdError {
    /// Shorter than 3 or longer than 64 characters.
    #[error("a model id has 3 to 64 characters, this one has {0}")]
    Length(usize),
    /// Something else than lower-case letters, digits and hyphens.
    #[error("a model id holds lower-case letters, digits and hyphens, not {0:?}")]
    Character(char),
    /// A hyphen at an end.
    #[error("a model id starts and ends with a letter or a digit")]
    Ends,
}

impl ModelId {
    /// Reads an id: lower-case letters, digits and inner hyphens, 3 to 64 of them.
    pub fn parse(text: &str) -> Result<Self, ModelIdError> {
        let strange = |it: &char| !matches!(it, 'a'..='z' | '0'..='9' | '-');
        match text.chars().find(strange) {
            Some(character) => Err(ModelIdError::Character(character)),
            None if !(3..=64).contains(&text.len()) => Err(ModelIdError::Length(text.len())),
            None if text.starts_with('-') || text.ends_with('-') => Err(ModelIdError::Ends),
            None => Ok(Self(text.into())),
        }
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first part of `<chakra>-<purpose>-v<version>`, or `None` where the id has not that form.
    pub fn chakra(&self) -> Option<&str> {
        Self::parts_of(&self.0).map(|it| it.0)
    }

    /// Returns the number after `-v`, or `None` where the id has not the form `<chakra>-<purpose>-v<version>`.
    pub fn major(&self) -> Option<u64> {
        Self::parts_of(&self.0).map(|it| it.1)
    }

    /// Returns both of an id that nobody keeps.
    pub fn parts_of(id: &str) -> Option<(&str, u64)> {
        let (chakra, rest) = id.split_once('-')?;
        // The version is the last `v<digits>` part; what follows it is a pre-release, as in `-v3-alpha`.
        let (_, rest) = rest.split_once('-')?;
        let major = rest.rsplit('-').find_map(|part| part.strip_prefix('v')?.parse().ok())?;
        (!chakra.is_empty()).then_some((chakra, major))
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for ModelId {
    type Err = ModelIdError;

    fn from_str(text: &str) -> Result<Self, ModelIdError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ModelId {
    type Error = ModelIdError;

    fn try_from(text: String) -> Result<Self, ModelIdError> {
        Self::parse(&text)
    }
}

impl From<ModelId> for String {
    fn from(id: ModelId) -> Self {
        id.0.into()
    }
}

impl std::borrow::Borrow<str> for ModelId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A full commit id of a repository: 40 lower-case hex digits, so that what it names cannot move.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId([u8; 20]);

impl CommitId {
    /// Reads 40 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, HexError> {
        crate::hex::decode(text).map(Self)
    }

    /// Wraps the 20 bytes of an id that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Returns the 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Says whether this is the all-zero placeholder that no commit has.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 20]
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::hex::write(&self.0, out)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CommitId({self})")
    }
}

impl FromStr for CommitId {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for CommitId {
    type Error = HexError;

    fn try_from(text: String) -> Result<Self, HexError> {
        Self::parse(&text)
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_outside_the_rules_is_refused_with_its_reason() {
        let check = |text: &str, wrong: &str| {
            assert_eq!(ModelId::parse(text).unwrap_err().to_string(), wrong, "{text}");
        };
        check("", "a model id has 3 to 64 characters, this one has 0");
        check("ab", "a model id has 3 to 64 characters, this one has 2");
        check(&"a".repeat(65), "a model id has 3 to 64 characters, this one has 65");
        check("Ajna-x-v1", "a model id holds lower-case letters, digits and hyphens, not 'A'");
        check("../etc", "a model id holds lower-case letters, digits and hyphens, not '.'");
        check("a\nb", "a model id holds lower-case letters, digits and hyphens, not '\\n'");
        check("-ajna", "a model id starts and ends with a letter or a digit");
        check("ajna-", "a model id starts and ends with a letter or a digit");
    }

    #[test]
    fn an_id_of_the_usual_form_tells_its_chakra_and_major_version() {
        let check = |text: &str, chakra: Option<&str>, major: Option<u64>| {
            let id = ModelId::parse(text).unwrap();
            assert_eq!((id.chakra(), id.major()), (chakra, major), "{text}");
        };
        check("muladhara-foundation-v1", Some("muladhara"), Some(1));
        check("sahasrara-transcendence-v3-alpha", Some("sahasrara"), Some(3));
        check("ajna-two-words-v12", Some("ajna"), Some(12));
        check("ajna-v1", None, None);
        check("ajna-insight", None, None);
        check("ajna-insight-vx", None, None);
        check("ajna-insight-v99999999999999999999", None, None);
    }

    proptest! {
        #[test]
        fn parse_and_display_are_inverse(text in "[a-z0-9][a-z0-9-]{1,62}[a-z0-9]", bytes: [u8; 20]) {
            prop_assert_eq!(ModelId::parse(&text).unwrap().to_string(), text);
            let commit = CommitId::from_bytes(bytes);
            prop_assert_eq!(CommitId::parse(&commit.to_string()), Ok(commit));
        }

        #[test]
        fn no_text_makes_an_id_that_is_not_a_plain_file_name(text: String) {
            if let Ok(id) = ModelId::parse(&text) {
                prop_assert_eq!(std::path::Path::new(id.as_str()).components().count(), 1);
                prop_assert!(!id.as_str().starts_with('.'));
            }
        }
    }
}
