use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn wrong(text: &str) -> Vec<SyntaxError> {
    Document::parse(text.as_bytes()).unwrap_err()
}

#[test]
fn a_text_that_is_no_json_is_refused_with_its_place_and_a_remedy() {
    let check = |text: &str, message: &str, start: usize| {
        let error = &wrong(text)[0];
        assert_eq!((error.message.as_str(), error.span.start), (message, start), "{text:?}");
    };
    check("", "the file is empty", 0);
    check(" \n\t", "the file is empty", 0);
    check("\u{feff}{}", "the file starts with a byte order mark", 0);
    check("{\"a\": 1,}", "trailing comma", 8);
    check("{\"a\" 1}", "expected `:`", 5);
    check("[1 2]", "expected `,` or `]`", 3);
    check("{} {}", "trailing characters", 3);
    check("nope", "expected ident", 1);
    check("{\"a\": \"x\ny\"}", "control character (\\u0000-\\u001F) found while parsing a string", 8);
    check("{\"a\0\": 1}", "control character (\\u0000-\\u001F) found while parsing a string", 3);
    check("1e999", "this number is larger than any double", 0);
    let deep = "[".repeat(50_000_000);
    check(&deep, "nested deeper than 128 levels", 128);
    assert_eq!(Document::parse(b"{\"a\": \"\xff\"}").unwrap_err()[0].span, 7..8);
    assert_eq!(Document::parse(b"\xff\xfe{\0}\0").unwrap_err()[0].message, "the file is UTF-16, not UTF-8");
}

#[test]
fn a_repeated_key_is_refused_with_both_places_however_it_is_spelt() {
    let check = |text: &str, pointer: &str, first: &str, second: &str| {
        let error = &wrong(text)[0];
        let related = error.related.clone().unwrap().0;
        assert_eq!(error.pointer, pointer, "{text}");
        assert_eq!((&text[related], &text[error.span.clone()]), (first, second), "{text}");
    };
    check(r#"{"a": 1, "b": 2, "a": 3}"#, "", r#""a""#, r#""a""#);
    check(r#"{"x": [{"a": {}, "\u0061": 3}]}"#, "/x/0", r#""a""#, r#""\u0061""#);
    let many = (0..100).fold(String::new(), |text, it| text + &format!("\"k{it}\": 0, "));
    check(&format!("{{{many}\"k7\": 1}}"), "", "\"k7\"", "\"k7\"");
    assert_eq!(wrong(r#"{"a": 1, "a": 2, "b": {"c": 1, "c": 2}, "a": 3}"#).len(), 3);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("a fraction, since 6.0 is read as 6", |it| it.is_finite() && it.fract() != 0.0)
            .prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(".{0,4}", inner, 0..5)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

fn nodes<'d>(node: Node<'d>, found: &mut Vec<Node<'d>>) {
    found.push(node);
    node.elements().chain(node.members().map(|it| it.1)).for_each(|child| nodes(child, found));
}

proptest! {
    #[test]
    fn the_tree_says_what_the_json_crate_says(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.unwrap();
        let document = Document::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(document.root().read::<Value>().unwrap(), value.clone());
        let mut all = Vec::new();
        nodes(document.root(), &mut all);
        for node in all {
            let pointer = node.pointer();
            prop_assert_eq!(Some(&node.to_value()), value.pointer(&pointer), "{}", pointer);
            prop_assert_eq!(document.root().at(&pointer).map(Node::span), Some(node.span()));
        }
    }

    #[test]
    fn the_first_of_several_values_is_read_as_if_it_stood_alone(value in any_json(), rest in "[ ,x\"]{0,4}") {
        let text = value.to_string();
        let bytes = format!("{text} {rest}").into_bytes();
        let mut room = Slots::default();
        let Some((document, end)) = Document::first(&bytes, 0, &mut room) else {
            // An escape in a key takes a second look.
            prop_assert!(text.contains('\\'), "{}", text);
            return Ok(());
        };
        prop_assert_eq!((document.root().to_value(), end), (value, text.len()));
    }

    #[test]
    fn any_bytes_give_a_tree_or_a_place_inside_the_text(bytes: Vec<u8>) {
        judge(&bytes);
    }

    #[test]
    fn any_likely_text_gives_a_tree_or_a_place_inside_it(text in r#"[\[\]{}",:\\u0-9eE.tfn \n-]{0,40}"#) {
        judge(text.as_bytes());
    }
}

fn judge(bytes: &[u8]) {
    match Document::parse(bytes) {
        // Where we take a text, the JSON crate takes it too; it takes more, such as repeated keys.
        Ok(document) => assert!(serde_json::from_str::<Value>(document.text()).is_ok()),
        Err(errors) => {
            assert!(errors.iter().all(|it| it.span.start <= it.span.end && it.span.end <= bytes.len()));
        }
    }
}
