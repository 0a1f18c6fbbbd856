//! A dict as Python prints it: `{'loss': 2.5, 'epoch': 1.0}`, its numbers as texts in newer versions of the Trainer.

use crate::recorder::{Found, Recorder, number};

/// Takes the first dict in a line. Says whether there was one.
pub(super) fn read(line: &str, recorder: &mut Recorder) -> bool {
    let Some(start) = line.find("{'") else { return false };
    let Some(members) = members(&line[start + 1..]) else { return false };
    if members.is_empty() {
        return false;
    }
    recorder.picky = false;
    for (name, value) in members {
        match number(value.trim_matches(['\'', '"'])) {
            Some(value) => recorder.take(name, Found::Number(value)),
            None => recorder.take(name, Found::Text(value.trim_matches(['\'', '"']))),
        }
    }
    true
}

/// Returns keys and values up to the brace that closes the dict; what is inside of other brackets is passed over.
fn members(mut rest: &str) -> Option<Vec<(&str, &str)>> {
    let mut members = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.starts_with('}') {
            return Some(members);
        }
        let (key, after) = quoted(rest)?;
        rest = after.trim_start().strip_prefix(':')?.trim_start();
        let (value, after) = value(rest)?;
        if !value.starts_with(['{', '[', '(']) {
            members.push((key, value));
        }
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|it| matches!(it, '\'' | '"'))?;
    let end = text[1..].find(quote)? + 1;
    Some((&text[1..end], &text[end + 1..]))
}

/// Returns a value as it is written, and what follows it.
fn value(text: &str) -> Option<(&str, &str)> {
    if let Some((_, after)) = quoted(text) {
        return Some((&text[..text.len() - after.len()], after));
    }
    let mut depth = 0_u32;
    for (at, character) in text.char_indices() {
        match character {
            '{' | '[' | '(' => depth += 1,
            '}' | ',' if depth == 0 => return Some((text[..at].trim_end(), &text[at..])),
            '}' | ']' | ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}
