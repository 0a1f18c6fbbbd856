//! Paths of files inside a model's folder: whoever holds one can join it to the folder and stays in it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

const PATH_BYTES_MAX: usize = 1024;
const SEGMENT_BYTES_MAX: usize = 255;

/// A file's path in a model, such as `1_Pooling/config.json`. Checked once, in [`EntryPath::parse`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryPath(Box<str>);

/// Why a text is no path inside a model's folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing at all, or longer than a file system takes.
    #[error("a path has 1 to {PATH_BYTES_MAX} bytes and each part of it at most {SEGMENT_BYTES_MAX}")]
    Length,
    /// It starts with a slash, or with a drive.
    #[error("the path {0:?} is absolute; it has to stay in the model's folder")]
    Absolute(String),
    /// A part that leads elsewhere, or nowhere.
    #[error("the path {path:?} has the part {part:?}; it has to stay in the model's folder")]
    Part {
        /// The whole path.
        path: String,
        /// `.`, `..` or nothing.
        part: String,
    },
    /// A character that is unseen, or that some clients take for a separator.
    #[error("the path {path:?} holds the character {character:?}")]
    Character {
        /// The whole path.
        path: String,
        /// Which one.
        character: char,
    },
}

impl EntryPath {
    /// Reads a relative path of plain parts.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Self::check(text).map(|()| Self(text.into()))
    }

    /// Says whether [`EntryPath::parse`] takes a text, without keeping it.
    pub fn check(text: &str) -> Result<(), PathError> {
        let path = || text.to_owned();
        if text.is_empty() || text.len() > PATH_BYTES_MAX {
            return Err(PathError::Length);
        }
        let drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        if text.starts_with('/') || drive {
            return Err(PathError::Absolute(path()));
        }
        if let Some(character) = text.chars().find(|it| is_deceptive(*it)) {
            return Err(PathError::Character { path: path(), character });
        }
        for part in text.split('/') {
            if matches!(part, "" | "." | "..") {
                return Err(PathError::Part { path: path(), part: part.to_owned() });
            }
            if part.len() > SEGMENT_BYTES_MAX {
                return Err(PathError::Length);
            }
        }
        Ok(())
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns how many folders lie above the file inside the view.
    pub fn depth(&self) -> usize {
        self.0.matches('/').count()
    }

    /// Returns the folders above the file, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.0.rsplit_once('/'), |it| it.0.rsplit_once('/')).map(|it| it.0)
    }
}

/// Control characters, the backslash, and characters that hide or turn what stands around them.
fn is_deceptive(character: char) -> bool {
    let unseen = matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    character.is_control() || character == '\\' || unseen
}

impl std::borrow::Borrow<str> for EntryPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "EntryPath({self})")
    }
}

impl FromStr for EntryPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for EntryPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        Self::parse(&text)
    }
}

impl From<EntryPath> for String {
    fn from(path: EntryPath) -> Self {
        path.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_that_could_leave_its_folder_or_deceive_a_reader_is_refused() {
        for good in
            ["model.safetensors", "1_Pooling/config.json", ".gitattributes", "a/b/c/d", "..a", "a..", "ü"]
        {
            assert_eq!(EntryPath::parse(good).unwrap().to_string(), good);
        }
        let long = "a".repeat(256);
        for bad in
            ["", "/", "/a", "..", "../a", "a/../b", "a/..", ".", "./a", "a/./b", "a//b", "a/", "a\0b", "a\nb"]
                .into_iter()
                .chain(["a\\b", "..\\a", "C:/a", "\u{202e}a", "a\u{200b}", &long])
        {
            assert!(EntryPath::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_folders_above_a_file_come_nearest_first() {
        let path = EntryPath::parse("a/b/c").unwrap();
        assert_eq!(path.ancestors().collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(path.depth(), 2);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_path_that_leaves_its_folder(text in "[./a\\\\\0\u{202e}]{0,8}") {
            if let Ok(path) = EntryPath::parse(&text) {
                let plain = |it| matches!(it, std::path::Component::Normal(_));
                prop_assert!(std::path::Path::new(path.as_str()).components().all(plain));
            }
        }
    }
}
