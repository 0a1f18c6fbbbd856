//! What a file's name says in headers: its type, and what to call it once it is saved. Pure.

use axum::http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 5987 lets stand as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Returns a type that no browser takes for a page or a program.
pub(super) fn content_type(path: &str) -> HeaderValue {
    let extension = path.rsplit_once('.').map_or("", |(_, it)| it).to_ascii_lowercase();
    HeaderValue::from_static(match extension.as_str() {
        "json" => "application/json",
        "txt" | "md" | "jinja" | "py" | "yaml" | "yml" | "csv" | "jsonl" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}

/// Returns the name to save a file under: as far as ASCII goes, and in full where that is not all (RFC 6266).
pub(super) fn disposition(path: &str) -> HeaderValue {
    let name = path.rsplit('/').next().unwrap_or_default();
    let safe = |it: char| {
        if it.is_ascii_alphanumeric() || " !#$&+-.^_`|~()@[]{},;='".contains(it) { it } else { '_' }
    };
    let ascii = name.chars().map(safe).collect::<String>();
    let text = if ascii == name {
        format!("attachment; filename=\"{ascii}\"")
    } else {
        format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{}", utf8_percent_encode(name, PLAIN))
    };
    // All that is left in it may stand in a header.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_given_in_ascii_and_where_that_is_not_all_in_full() {
        let check = |path: &str, expected: &str| assert_eq!(disposition(path), expected, "{path}");
        check("model.bin", "attachment; filename=\"model.bin\"");
        check("sub/a b.json", "attachment; filename=\"a b.json\"");
        check("modèle.bin", "attachment; filename=\"mod_le.bin\"; filename*=UTF-8''mod%C3%A8le.bin");
        check("a\"; x=\"b", "attachment; filename=\"a_; x=_b\"; filename*=UTF-8''a%22%3B%20x%3D%22b");
        check(
            "a\r\nX-Evil: 1",
            "attachment; filename=\"a__X-Evil_ 1\"; filename*=UTF-8''a%0D%0AX-Evil%3A%201",
        );
        check("50%.bin", "attachment; filename=\"50_.bin\"; filename*=UTF-8''50%25.bin");
    }

    #[test]
    fn only_harmless_types_are_told() {
        let check = |path: &str, expected: &str| assert_eq!(content_type(path), expected, "{path}");
        check("config.json", "application/json");
        check("vocab.TXT", "text/plain; charset=utf-8");
        check("page.html", "application/octet-stream");
        check("model.safetensors", "application/octet-stream");
        check("no-extension", "application/octet-stream");
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_quotes(path: String) {
            let value = disposition(&path);
            let text = value.to_str().unwrap();
            let rest = text.strip_prefix("attachment; filename=\"").unwrap();
            let (name, rest) = rest.split_once('"').unwrap();
            prop_assert!(!name.contains('\\'));
            prop_assert!(rest.is_empty() || rest.starts_with("; filename*=UTF-8''"));
            prop_assert!(rest.chars().skip(19).all(|it| it.is_ascii_alphanumeric() || "!#$&+-.^_`|~%".contains(it)));
        }
    }
}
