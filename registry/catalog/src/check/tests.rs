use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Contract, diff, flaw::Severity};

fn good() -> Value {
    json!({
        "$schema": "./schema.json",
        "models": [{
            "id": "ajna-insight-v2",
            "version": "2.1.0",
            "chakra": "ajna",
            "frequencyHz": 852,
            "geometry": { "pattern": "hexagon", "dimensions": 6 },
            "temporalScope": "eternal",
            "semanticTags": ["insight", "432hz"],
            "dataset": { "id": "d", "url": "https://example.org/d", "commit": "abcdef1" },
            "training": { "repo": "https://example.org/t", "command": "train", "commit": "abcdef1" },
            "artifact": {
                "filename": "ajna-insight-v2.gguf",
                "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "sizeBytes": 3,
                "downloadUrl": "https://huggingface.co/o/r/resolve/main/ajna-insight-v2.gguf",
                "revision": "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
                "files": [{
                    "path": "1_Pooling/config.json",
                    "sha256": "aa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                    "sizeBytes": 7
                }]
            },
            "license": "Apache-2.0 OR MIT",
            "provenance": { "runId": "r", "metrics": { "loss": 0.5, "mnli": { "matched": 0.8 } } }
        }]
    })
}

fn report(document: &Value) -> Report {
    validate(serde_json::to_string_pretty(document).unwrap().as_bytes(), &Contract::ours())
}

/// Changes one value of a good index and expects these flaws, each as `rule pointer`.
fn check_flaws(pointer: &str, value: &Value, expected: &[&str]) {
    let mut document = good();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[name] = value.clone();
    let report = report(&document);
    let found = report.flaws.iter().map(|it| format!("{} {}", it.rule, it.pointer)).collect::<Vec<_>>();
    assert_eq!(found, expected, "{pointer} = {value}");
    assert!(report.flaws.iter().all(|it| it.place.line > 0 && it.help.is_some()), "{report:?}");
}

#[test]
fn the_id_that_was_meant_is_found_at_both_ends_of_a_large_index() {
    let entry = good()["models"][0].clone();
    let models = (0..3_000).map(|number| {
        let mut entry = entry.clone();
        let id = format!("ajna-model-{number:04}-v2");
        entry["artifact"]["filename"] = json!(format!("{id}.gguf"));
        entry["artifact"]["downloadUrl"] =
            json!(format!("https://huggingface.co/o/r/resolve/main/{id}.gguf"));
        entry["id"] = json!(id);
        entry
    });
    let text = json!({ "models": models.collect::<Vec<_>>() }).to_string();
    let index = check(text.as_bytes(), &Contract::ours()).index.unwrap();
    let check = |id: &str, meant: Option<&str>| {
        let found = index.find(id).unwrap_err().nearest;
        assert_eq!(found.as_ref().map(base::ModelId::as_str), meant, "{id}");
    };
    check("ajna-model-0000-v3", Some("ajna-model-0000-v2"));
    check("ajna-model-1700-v3", Some("ajna-model-1700-v2"));
    check("ajna-model-2999-v3", Some("ajna-model-2999-v2"));
    check("something-else-entirely", None);
}

#[test]
fn a_good_index_has_no_flaw_and_its_entry_can_be_found() {
    let text = good().to_string();
    let checked = check(text.as_bytes(), &Contract::ours());
    assert_eq!(checked.report.flaws, []);
    let index = checked.index.unwrap();
    let listed = index.find("ajna-insight-v2").unwrap();
    assert_eq!(listed.entry.artifact.files.len(), 1);
    assert_eq!(
        serde_json::from_str::<Value>(index.source(&listed.entry.id).unwrap()).unwrap(),
        good()["models"][0]
    );
    let missing = index.find("ajna-insight-v3").unwrap_err();
    assert_eq!(missing.to_string(), "Model 'ajna-insight-v3' not found in index");
    assert_eq!(missing.nearest.unwrap().as_str(), "ajna-insight-v2");
}

#[test]
fn each_rule_reports_its_own_place() {
    let entry = |field: &str| format!("/models/0/{field}");
    let cases: &[(&str, Value, &[&str])] = &[
        ("version", json!("2.01.0"), &["version /models/0/version"]),
        ("version", json!("3.0.0"), &["id-version /models/0/id"]),
        ("chakra", json!("soma"), &["id-chakra /models/0/id"]),
        ("id", json!("ajna-insight"), &["id-form /models/0/id"]),
        ("id", json!("Ajna-insight-v2"), &["schema/pattern /models/0/id"]),
        ("license", json!("Apache 2"), &["license /models/0/license"]),
        ("license", json!("LicenseRef-llama3"), &[]),
        (
            "dataset",
            json!({"id": "d", "url": "https://example.org"}),
            &["commit-recommended /models/0/dataset"],
        ),
        (
            "artifact/filename",
            json!("../x"),
            &["url-filename /models/0/artifact/downloadUrl", "path /models/0/artifact/filename"],
        ),
        (
            "artifact/revision",
            json!("0000000000000000000000000000000000000000"),
            &["stub /models/0/artifact/revision"],
        ),
        ("artifact/sizeBytes", json!(0), &["stub /models/0/artifact/sizeBytes"]),
        ("artifact/sha256", json!("0".repeat(64)), &["stub /models/0/artifact/sha256"]),
        ("training/command", json!("TODO-STUB: x"), &["stub /models/0/training/command"]),
        ("provenance/creator", json!(7), &["schema/type /models/0/provenance/creator"]),
        ("frequencyhz", json!(1), &["schema/additionalProperties /models/0/frequencyhz"]),
    ];
    for (field, value, expected) in cases {
        check_flaws(&entry(field), value, expected);
    }
}

#[test]
fn a_download_url_is_safe_to_follow_and_pinned() {
    let url = |url: &str, expected: &[&str]| {
        let expected =
            expected.iter().map(|it| format!("{it} /models/0/artifact/downloadUrl")).collect::<Vec<_>>();
        let expected = expected.iter().map(String::as_str).collect::<Vec<_>>();
        check_flaws("/models/0/artifact/downloadUrl", &json!(url), &expected);
    };
    url("https://h.example/o/r/resolve/1110a243fdf4706b3f48f1d95db1a4f5529b4d41/ajna-insight-v2.gguf", &[]);
    url("http://127.0.0.1:99/ajna-insight-v2.gguf", &[]);
    url("http://[::1]/ajna-insight-v2.gguf", &[]);
    url("http://h.example/ajna-insight-v2.gguf", &["url-scheme"]);
    url("ftp://h.example/ajna-insight-v2.gguf", &["url-scheme"]);
    url("file:///ajna-insight-v2.gguf", &["url-scheme"]);
    url("https://me:pw@h.example/ajna-insight-v2.gguf", &["url-secret"]);
    url("https://h.example/ajna%2Dinsight-v2.gguf", &[]);
    url("https://h.example/other.gguf", &["url-filename"]);
    let other = "https://h.example/o/r/resolve/2210a243fdf4706b3f48f1d95db1a4f5529b4d41/ajna-insight-v2.gguf";
    url(other, &["revision"]);
    let mut document = good();
    document["models"][0]["artifact"].as_object_mut().unwrap().remove("revision");
    assert_eq!(report(&document).flaws[0].rule, "unpinned");
}

#[test]
fn files_of_one_model_do_not_meet() {
    let files = |names: &[&str], expected: &[&str]| {
        let file = |it: &&str| json!({"path": it, "sha256": "ab".repeat(32), "sizeBytes": 1});
        let files = names.iter().map(file).collect::<Vec<_>>();
        check_flaws("/models/0/artifact/files", &Value::from(files), expected);
    };
    files(&["a", "b/a", "b/c"], &[]);
    files(&["a", "a"], &["path-unique /models/0/artifact/files/1/path"]);
    files(&["a/b", "a"], &["path-unique /models/0/artifact/files/1/path"]);
    files(&["a", "a-b", "a/b"], &["path-unique /models/0/artifact/files/2/path"]);
    files(&["A", "a"], &["path-case /models/0/artifact/files/1/path"]);
    files(&["ajna-insight-v2.gguf"], &["path-unique /models/0/artifact/files/0/path"]);
}

#[test]
fn what_two_entries_say_together_is_looked_at_too() {
    let mut document = good();
    let mut twin = document["models"][0].clone();
    twin["artifact"]["sizeBytes"] = json!(4);
    document["models"].as_array_mut().unwrap().push(twin);
    let report = report(&document);
    let found = report.flaws.iter().map(|it| (it.rule.as_ref(), it.related.len())).collect::<Vec<_>>();
    assert_eq!(found, [("digest-size", 1), ("id-unique", 1)]);
}

#[test]
fn the_words_of_the_documentation_are_in_the_report() {
    let mut document = good();
    document["models"][0]["artifact"]["sha256"] = json!("A1B2");
    document["models"][0].as_object_mut().unwrap().remove("frequencyHz");
    let report = report(&document);
    let messages = report.flaws.iter().map(|it| it.message.as_str()).collect::<Vec<_>>();
    assert!(
        messages.contains(&r#"data.artifact.sha256 should match pattern "^[a-f0-9]{64}$""#),
        "{messages:?}"
    );
    assert!(messages.contains(&"data should have required property 'frequencyHz'"), "{messages:?}");
}

#[test]
fn warnings_refuse_an_index_only_when_asked_to() {
    let mut document = good();
    document["models"][0]["provenance"]["runId"] = json!("TODO-STUB-RUN");
    let checked = check(document.to_string().as_bytes(), &Contract::ours());
    assert!(checked.report.holds(false) && !checked.report.holds(true));
    assert_eq!(checked.report.stubs, 1);
    assert!(checked.index.unwrap().find("ajna-insight-v2").unwrap().is_stub);
}

#[test]
fn another_schema_replaces_the_taxonomy_and_nothing_else() {
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": { "models": { "type": "array", "items": { "$ref": "#/definitions/model" } } },
        "definitions": { "model": { "type": "object", "required": ["team"], "properties": { "team": { "type": "string" } } } }
    });
    let contract = Contract::of(&schema.to_string()).unwrap();
    let mut entry = good()["models"][0].clone();
    let fields = entry.as_object_mut().unwrap();
    fields
        .retain(|name, _| matches!(name.as_str(), "id" | "version" | "artifact" | "license" | "provenance"));
    fields.insert("team".to_owned(), json!("vision"));
    let checked = check(json!({ "models": [entry.clone()] }).to_string().as_bytes(), &contract);
    assert_eq!(checked.report.flaws, []);
    assert_eq!(checked.index.unwrap().find("ajna-insight-v2").unwrap().entry.chakra(), None);

    entry["team"] = json!(7);
    entry.as_object_mut().unwrap().remove("license");
    let report = validate(json!({ "models": [entry] }).to_string().as_bytes(), &contract);
    let found = report.flaws.iter().map(|it| format!("{} {}", it.rule, it.pointer)).collect::<Vec<_>>();
    assert_eq!(found, ["schema/required /models/0", "schema/type /models/0/team"]);
    assert!(matches!(Contract::of("{}"), Err(crate::ContractError::NoEntry)));
}

#[test]
fn after_a_thousand_flaws_the_rest_is_counted_not_listed() {
    let report = report(&json!({ "models": vec![json!({}); 20_000] }));
    assert_eq!(report.flaws.len(), 1_000);
    assert!(report.left_out() > 0 && report.unexamined > 15_000);
    assert_eq!(report.models, 20_000);
    assert!(!report.holds(false));
}

#[test]
fn thousands_of_warnings_leave_no_entry_out_and_hide_no_error() {
    let entry = |number: usize| {
        let mut entry = good()["models"][0].clone();
        entry["id"] = json!(format!("model-{number}"));
        entry
    };
    let mut document = json!({ "models": (0..6_000).map(entry).collect::<Vec<_>>() });
    let checked = check(document.to_string().as_bytes(), &Contract::ours());
    assert_eq!(checked.index.unwrap().entries().len(), 6_000);
    let Report { models, warnings, unexamined, .. } = checked.report;
    assert_eq!((models, warnings, unexamined), (6_000, 6_000, 0));
    let listed = checked.report.flaws.iter().map(|it| it.pointer.clone()).collect::<Vec<_>>();
    assert_eq!(listed, (0..1_000).map(|it| format!("/models/{it}/id")).collect::<Vec<_>>());

    document["models"][5_999]["license"] = json!("none");
    let report = report(&document);
    assert_eq!((report.errors, report.flaws.last().unwrap().rule.as_ref()), (1, "license"));
}

#[test]
fn a_difference_names_what_was_added_removed_and_revised() {
    let index = |document: &Value| check(document.to_string().as_bytes(), &Contract::ours()).index.unwrap();
    let mut newer = good();
    newer["models"][0]["artifact"]["sizeBytes"] = json!(9);
    let mut another = good()["models"][0].clone();
    another["id"] = json!("ajna-other-v2");
    another["artifact"]["sha256"] = json!("cd".repeat(32));
    another["artifact"]["files"] = json!([]);
    newer["models"].as_array_mut().unwrap().push(another);
    let changes = diff(&index(&good()), &index(&newer));
    assert_eq!(changes.added[0].as_str(), "ajna-other-v2");
    let field = &changes.revised[0].fields[0];
    assert_eq!(
        (field.pointer.as_str(), field.old.clone(), field.new.clone()),
        ("/artifact/sizeBytes", Some(json!(3)), Some(json!(9)))
    );
    assert_eq!(diff(&index(&newer), &index(&good())).removed, changes.added);
    assert!(diff(&index(&good()), &index(&good())).is_empty());
}

proptest! {
    #[test]
    fn breaking_one_character_never_panics_and_always_names_a_place(at in 0usize..1200, with: u8) {
        let mut bytes = good().to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = with;
        let Checked { index, report } = check(&bytes, &Contract::ours());
        prop_assert_eq!(index.is_some(), report.holds(false));
        prop_assert!(report.flaws.iter().all(|it| it.place.line > 0 && it.place.span.end <= bytes.len()));
        prop_assert!(report.flaws.iter().all(|it| it.rule != "type"), "schema and types disagree: {:?}", report);
    }

    #[test]
    fn schema_and_types_agree_on_any_value_in_any_place(
        pointer in proptest::sample::select(places()),
        value in proptest::sample::select(values()),
    ) {
        let mut document = good();
        *document.pointer_mut(&pointer).unwrap() = value;
        let text = document.to_string();
        let schema_errors = validate(text.as_bytes(), &Contract::ours());
        let of_schema = |it: &&Flaw| it.rule.starts_with("schema/") && it.severity == Severity::Error;
        let refused = schema_errors.flaws.iter().find(of_schema);
        // The types know semantic versions, which the schema's pattern only approaches.
        let version = pointer.ends_with("/version");
        prop_assert!(version || check_typed(text.as_bytes()) == refused.is_none(), "{} {:?}", text, refused);
    }
}

fn places() -> Vec<String> {
    fn walk(at: &str, value: &Value, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, it)| walk(&format!("{at}/{name}"), it, found));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, it)| walk(&format!("{at}/{n}"), it, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk("/models", &good()["models"], &mut found);
    found
}

fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(6.0),
        json!(6.5),
        json!(14),
        json!(10_001),
        json!(9_007_199_254_740_992_u64),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("ab"),
        json!("a-"),
        json!("Ab"),
        json!("https://example.org/x"),
        json!("a b"),
        json!("2024-11-08T12:00:00Z"),
        json!("abcdef1"),
        json!([]),
        json!(["ab"]),
        json!(["ab", "ab"]),
        json!([1.5]),
        json!({}),
        json!({"loss": "x"}),
        json!({"accuracy": 2}),
        json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        json!("ajna"),
        json!("daily"),
    ]
}
