//! The front matter of a card: YAML between two lines of dashes. What is not changed stays as it is written.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

/// A card, taken apart.
pub(super) struct Front {
    /// The lines of the front matter, without the dashes.
    lines: Vec<String>,
    /// What they say.
    says: Map<String, Value>,
    /// From the closing dashes on.
    rest: String,
}

impl Front {
    /// Takes a card apart. One without front matter gets an empty one.
    pub(super) fn of(card: &str) -> anyhow::Result<Self> {
        let begin = card.strip_prefix("---\n").or_else(|| card.strip_prefix("---\r\n"));
        let Some(after) = begin else {
            return Ok(Self { lines: Vec::new(), says: Map::new(), rest: format!("---\n{card}") });
        };
        let mut at = 0;
        for line in after.split_inclusive('\n') {
            if line.trim_end() == "---" {
                return Self::parse(&after[..at], &after[at..]);
            }
            at += line.len();
        }
        bail!("it has no end: a line with --- is missing")
    }

    fn parse(yaml: &str, rest: &str) -> anyhow::Result<Self> {
        let says = if yaml.trim().is_empty() {
            Value::Null
        } else {
            serde_saphyr::from_str(yaml).context("it is no YAML")?
        };
        let says = match says {
            Value::Object(says) => says,
            Value::Null => Map::new(),
            _ => bail!("it is no map of keys and values"),
        };
        let lines = yaml.lines().map(str::to_owned).collect();
        Ok(Self { lines, says, rest: rest.to_owned() })
    }

    /// Returns what stands under a key, if it is a text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.says.get(key).and_then(Value::as_str)
    }

    /// Sets a key to a text.
    pub(super) fn set_text(&mut self, key: &str, text: &str) {
        if self.text(key) != Some(text) {
            self.replace(key, vec![format!("{key}: {}", scalar(text))]);
            self.says.insert(key.to_owned(), text.into());
        }
    }

    /// Adds what is not yet in the list under a key. A single text there is a list of one.
    pub(super) fn add<'t>(&mut self, key: &str, more: impl Iterator<Item = &'t str>) {
        let before = match self.says.get(key) {
            Some(Value::Array(list)) => list.clone(),
            Some(Value::Null) | None => Vec::new(),
            Some(one) => vec![one.clone()],
        };
        let mut list = before.clone();
        for text in more {
            if !list.iter().any(|it| it == text) {
                list.push(text.into());
            }
        }
        if list.len() > before.len() {
            let items =
                list.iter().map(|it| format!("- {}", it.as_str().map_or_else(|| it.to_string(), scalar)));
            let lines = std::iter::once(format!("{key}:")).chain(items).collect();
            self.replace(key, lines);
            self.says.insert(key.to_owned(), list.into());
        }
    }

    pub(super) fn write(&self) -> String {
        let lines = self.lines.iter().map(|it| format!("{it}\n")).collect::<Vec<_>>().concat();
        format!("---\n{lines}{}", self.rest)
    }

    /// Puts lines in the place of a key's, or behind all others.
    fn replace(&mut self, key: &str, lines: Vec<String>) {
        let is_key = |line: &str| {
            let name = line.split(':').next().unwrap_or_default();
            line.contains(':') && name.trim_end().trim_matches(['"', '\'']) == key
        };
        let Some(start) = self.lines.iter().position(|it| is_key(it)) else {
            self.lines.extend(lines);
            return;
        };
        let belongs = |line: &String| line.is_empty() || line.starts_with([' ', '\t', '-']);
        let length = self.lines[start + 1..].iter().take_while(|it| belongs(it)).count();
        self.lines.splice(start..=start + length, lines);
    }
}

/// Writes a text so that YAML reads it as one.
fn scalar(text: &str) -> String {
    let word = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.' | b'/');
    let plain = text.starts_with(|it: char| it.is_ascii_alphabetic()) && text.bytes().all(word);
    let lower = text.to_ascii_lowercase();
    let reserved =
        matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n");
    if plain && !reserved { text.to_owned() } else { Value::from(text).to_string() }
}
