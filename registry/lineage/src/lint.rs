//! Typographic quotes: what a word processor makes of a card, and how a draft is mended.
//!
//! Only drafts are mended. In what is signed or stored, a typographic quote inside a string is data.

use crate::{
    flaw::{Code, Flaw},
    json::{Json, JsonError},
};

const TYPOGRAPHIC: [char; 4] = ['\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}'];

/// Returns the draft with straight quotes, or `None` if that does not make it JSON.
///
/// A text that is JSON already comes back as it is, whatever quotes its strings hold.
pub fn fix(draft: &str) -> Option<String> {
    if Json::parse(draft).is_ok() {
        return Some(draft.to_owned());
    }
    let mended = draft.replace(TYPOGRAPHIC, "\"");
    Json::parse(&mended).is_ok().then_some(mended)
}

/// Says where and why a text is no strict JSON, with a hint if its quotes are why.
pub(crate) fn explain(code: Code, text: &str, error: &JsonError) -> Flaw {
    let (line, column) = error.line_and_column();
    let hint = match text.find(TYPOGRAPHIC) {
        Some(_) if fix(text).is_some() => {
            "; its quotes are typographic, JSON takes only \": `hallmark lineage lint --fix` mends a draft"
        }
        _ => "",
    };
    let what = error.what();
    Flaw::new(code, "", format!("not strict JSON at line {line}, column {column}: {what}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_mended_and_a_string_is_left_alone() {
        assert_eq!(fix("{“v”:„1‟}").unwrap(), r#"{"v":"1"}"#);
        assert_eq!(fix(r#"{"v":"“1”"}"#).unwrap(), r#"{"v":"“1”"}"#);
        assert_eq!(fix("{“v”:"), None);
        let error = Json::parse("{“v”:1}").unwrap_err();
        let flaw = explain(Code::EItem, "{“v”:1}", &error);
        assert!(flaw.text.contains("column 2") && flaw.text.contains("--fix"), "{}", flaw.text);
    }
}
