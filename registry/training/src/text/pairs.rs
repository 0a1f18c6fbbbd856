//! Pairs in a line of text: `loss=2.5`, `loss: 2.5`, `"loss": 2.5`, with anything around them.

use crate::recorder::{Found, Recorder, number};

/// Takes every pair of a name and a number, and a name that means a run's id with its text.
pub(super) fn read(line: &str, recorder: &mut Recorder) {
    for (at, _) in line.bytes().enumerate().filter(|it| matches!(it.1, b'=' | b':')) {
        let (before, after) = (line[..at].trim_end(), line[at + 1..].trim_start());
        let Some(name) = name(before) else { continue };
        let value = &after[..after.find(|it: char| ends_value(it)).unwrap_or(after.len())];
        let value = value.trim_matches(['"', '\'']).trim_end_matches('.');
        match number(value) {
            Some(number) => recorder.take(name, Found::Number(number)),
            None => recorder.take(name, Found::Text(value)),
        }
    }
}

fn ends_value(character: char) -> bool {
    character.is_whitespace() || matches!(character, ',' | ';' | '|' | ')' | ']' | '}' | '\u{1b}')
}

/// Returns the name that a text ends with.
fn name(before: &str) -> Option<&str> {
    let before = before.trim_end_matches(['"', '\'']);
    let part = |it: char| it.is_alphanumeric() || matches!(it, '_' | '.' | '/' | '@' | '-');
    let start = before.char_indices().rev().take_while(|it| part(it.1)).last()?.0;
    let name = before[start..].trim_start_matches(['.', '-', '/', '@']);
    name.starts_with(|it: char| it.is_alphabetic() || it == '_').then_some(name)
}
