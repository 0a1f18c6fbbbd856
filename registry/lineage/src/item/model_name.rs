//! Which model a card asks for: a name, a version, and perhaps the hash of the very document.

use std::fmt;

use base::digest::Sha256;

/// A model's name, such as `linreg:v1` or `gate:2@0x…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelName {
    written: String,
    name: String,
    version: u64,
    pinned: Option<Sha256>,
}

/// Why a text is no model's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a name, `:` and a version, such as `linreg:v1`, perhaps with `@0x` and 64 hex digits")]
pub struct ModelNameError;

impl ModelName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, ModelNameError> {
        let (front, pinned) = match text.split_once("@0x") {
            Some((front, hex)) => (front, Some(Sha256::parse(hex).map_err(|_| ModelNameError)?)),
            None => (text, None),
        };
        let (name, version) = front.rsplit_once(':').ok_or(ModelNameError)?;
        let version = version.strip_prefix('v').unwrap_or(version);
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "_-.".contains(it);
        let is_name = (1..=64).contains(&name.len()) && name.chars().all(is_plain);
        let is_version = (1..=9).contains(&version.len()) && version.bytes().all(|it| it.is_ascii_digit());
        if !is_name || !is_version {
            return Err(ModelNameError);
        }
        let version = version.parse().map_err(|_| ModelNameError)?;
        Ok(Self { written: text.to_owned(), name: name.to_owned(), version, pinned })
    }

    /// Returns the name without version.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the hash of the one document that may be used, if the card names it.
    pub fn pinned(&self) -> Option<Sha256> {
        self.pinned
    }

    /// Says whether a document that goes by another spelling is of this name and version.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.version == other.version
    }
}

impl fmt::Display for ModelName {
    /// Writes the name as the card wrote it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_may_have_a_v_and_a_document_may_be_pinned() {
        let parse = |text: &str| ModelName::parse(text).unwrap();
        assert!(parse("linreg:v1").is_same(&parse("linreg:1")));
        assert!(!parse("linreg:v1").is_same(&parse("linreg:v2")));
        let pinned = format!("gate:2@0x{}", "ab".repeat(32));
        assert_eq!(parse(&pinned).to_string(), pinned);
        assert!(parse(&pinned).pinned().is_some());
        for wrong in
            ["", "linreg", "linreg:", "linreg:v", ":1", "a b:1", "x:1@0xab", "x:1@", "x:-1", "x:1234567890"]
        {
            assert_eq!(ModelName::parse(wrong), Err(ModelNameError), "{wrong}");
        }
    }
}
