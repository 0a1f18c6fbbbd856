use proptest::prelude::*;
use serde_json::json;

use super::*;

fn edit(text: &str, entry: &Value) -> Edited {
    put(text.as_bytes(), entry.as_object().unwrap(), &Contract::ours()).unwrap()
}

fn ours() -> (&'static str, Value) {
    let text = include_str!("../../../../index.json");
    (text, serde_json::from_str(text).unwrap())
}

#[test]
fn a_new_entry_is_laid_out_as_the_one_before_it_and_nothing_else_moves() {
    let entry = json!({"version": "1.0.0", "id": "ajna-b-v1", "zeta": 1, "semanticTags": ["x", "y"],
        "geometry": {"dimensions": 3, "pattern": "cube"}, "notes": "é\n", "empty": {}});
    let check = |text: &str, expected: &str| {
        let edited = edit(text, &entry);
        assert_eq!((edited.text.as_str(), &edited.change), (expected, &Change::Added));
    };
    check(
        "{\n  \"models\": [\n    {\n      \"id\": \"a\",\n      \"semanticTags\": [\"q\"],\n      \"geometry\": { \"pattern\": \"p\" }\n    }\n  ]\n}\n",
        "{\n  \"models\": [\n    {\n      \"id\": \"a\",\n      \"semanticTags\": [\"q\"],\n      \"geometry\": { \"pattern\": \"p\" }\n    },\n    \
         {\n      \"id\": \"ajna-b-v1\",\n      \"version\": \"1.0.0\",\n      \"geometry\": { \"pattern\": \"cube\", \"dimensions\": 3 },\n      \
         \"semanticTags\": [\"x\", \"y\"],\n      \"notes\": \"é\\n\",\n      \"empty\": {},\n      \"zeta\": 1\n    }\n  ]\n}\n",
    );
    let minified = r#","version":"1.0.0","geometry":{"pattern":"cube","dimensions":3},"semanticTags":["x","y"],"notes":"é\n","empty":{},"zeta":1}]}"#;
    check(r#"{"models":[]}"#, &format!(r#"{{"models":[{{"id":"ajna-b-v1"{minified}"#));
    check(r#"{"models":[{"id":"a"}]}"#, &format!(r#"{{"models":[{{"id":"a"}},{{"id":"ajna-b-v1"{minified}"#));
    let lines = minified.replace("]}", "").replace(':', ": ").replace(',', ", ");
    check(
        "{\"models\": [\r\n{\"id\": \"a\"}\r\n]}",
        &format!("{{\"models\": [\r\n{{\"id\": \"a\"}},\r\n{{\"id\": \"ajna-b-v1\"{lines}\r\n]}}"),
    );
}

#[test]
fn the_first_entry_of_an_index_takes_the_texts_own_indentation() {
    let edited = edit("{\r\n\t\"models\": []\r\n}", &json!({"id": "abc", "version": "1.0.0"}));
    assert_eq!(
        edited.text,
        "{\r\n\t\"models\": [\r\n\t\t{\r\n\t\t\t\"id\": \"abc\",\r\n\t\t\t\"version\": \"1.0.0\"\r\n\t\t}\r\n\t]\r\n}"
    );
}

#[test]
fn our_own_index_grows_by_lines_alone() {
    let (text, value) = ours();
    let mut entry = value["models"][1].clone();
    entry["id"] = json!("manipura-other-v1");
    let edited = edit(text, &entry).text;
    let (old, new) = (text.lines().collect::<Vec<_>>(), edited.lines().collect::<Vec<_>>());
    // All old lines stand as they stood but the brace behind which there is a comma now.
    assert_eq!(old[..old.len() - 3], new[..old.len() - 3]);
    assert_eq!(new[old.len() - 3], "    },");
    assert!(edited.ends_with("    }\n  ]\n}\n"));
}

#[test]
fn an_entry_is_revised_field_by_field_and_numbers_stay_as_they_were_written() {
    let text = r#"{"models": [
    {"id": "abc", "version": "1.0.0",  "frequencyHz": 741.0,
      "provenance": {
        "metrics": {"loss": 2.50, "seed": 12345678901234567890123}
      }, "notes": "caf\u00e9" }, {"id": "other"}
]}"#;
    let mut entry = find(text.as_bytes(), "abc").unwrap().unwrap();
    assert_eq!(
        edit(text, &Value::Object(entry.clone())),
        Edited { text: text.to_owned(), change: Change::Nothing }
    );
    entry["version"] = json!("1.1.0");
    entry["provenance"]["metrics"]["accuracy"] = json!(0.5);
    entry["provenance"]["runId"] = json!("r1");
    entry.remove("notes");
    let edited = edit(text, &Value::Object(entry));
    assert_eq!(
        edited.text,
        r#"{"models": [
    {"id": "abc", "version": "1.1.0",  "frequencyHz": 741.0,
      "provenance": {
        "runId": "r1",
        "metrics": {"loss": 2.50,"accuracy": 0.5, "seed": 12345678901234567890123}
      } }, {"id": "other"}
]}"#
    );
    let Change::Revised(revisions) = edited.change else { panic!("revised") };
    let pointers = revisions.iter().map(|it| it.pointer.as_str()).collect::<Vec<_>>();
    assert_eq!(pointers, ["/version", "/provenance/metrics/accuracy", "/provenance/runId", "/notes"]);
}

#[test]
fn companions_are_told_apart_by_their_path() {
    let (text, value) = ours();
    let mut entry = value["models"][0].clone();
    let files = entry["artifact"]["files"].as_array_mut().unwrap();
    files.remove(0);
    files[1]["sizeBytes"] = json!(1);
    files.push(json!({"path": "new.txt", "sha256": "0".repeat(64), "sizeBytes": 3}));
    let edited = edit(text, &entry);
    let Change::Revised(revisions) = &edited.change else { panic!("revised") };
    assert_eq!(revisions.len(), 3, "{revisions:?}");
    assert_eq!(serde_json::from_str::<Value>(&edited.text).unwrap()["models"][0], entry);
    assert!(edited.text.contains("          {\n            \"path\": \"new.txt\",\n"));
}

#[test]
fn what_cannot_be_edited_says_why() {
    let entry = json!({"id": "abc"});
    let put = |text: &str| {
        put(text.as_bytes(), entry.as_object().unwrap(), &Contract::ours()).unwrap_err().to_string()
    };
    assert_eq!(put("{\"models\": [}"), "the index is not JSON: expected value, line 1, column 13");
    assert!(put("{}").contains("no list \"models\""));
    assert!(
        put("{\"models\": [{\"id\": \"abc\"}, {\"id\": \"abc\"}]}").contains("2 entries with the id 'abc'")
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e9..1.0e9).prop_map(|it: f64| Value::from(it)),
        "[a-zé\"\\\\\n/~]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d/~]{1,2}|path|version", inner, 0..4)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

fn any_entry() -> impl Strategy<Value = Map<String, Value>> {
    let members = prop::collection::btree_map("[a-d]{1,2}|version|artifact|notes", any_value(), 0..5);
    members.prop_map(|it| it.into_iter().chain([("id".to_owned(), json!("abc"))]).collect())
}

proptest! {
    /// Whatever stood there and however it was written, afterwards the entry says what was asked for, the rest what
    /// it said before, and a repeat changes nothing.
    #[test]
    fn an_edit_says_what_was_asked_for(old in any_entry(), new in any_entry(), pretty: bool, known: bool, around in any_value()) {
        let models = if known { json!([1, old, {"id": "z"}]) } else { json!([]) };
        let document = json!({"a": around, "models": models});
        let text = if pretty { serde_json::to_string_pretty(&document).unwrap() } else { document.to_string() };
        let edited = edit(&text, &Value::Object(new.clone()));
        let mut expected = document;
        if known { expected["models"][1] = Value::Object(new.clone()) } else { expected["models"] = json!([new]) }
        prop_assert_eq!(serde_json::from_str::<Value>(&edited.text).unwrap(), expected);
        prop_assert_eq!(edit(&edited.text, &Value::Object(new)), Edited { text: edited.text, change: Change::Nothing });
    }
}
