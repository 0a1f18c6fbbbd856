use catalog::{Contract, check};
use serde_json::{Value, json};

use super::*;

fn index(models: &[Value]) -> Index {
    let text = serde_json::to_string(&json!({ "models": models })).unwrap();
    let checked = check(text.as_bytes(), &Contract::ours());
    checked.index.unwrap_or_else(|| panic!("{:?}", checked.report))
}

fn entry(id: &str, version: &str, metrics: &Value) -> Value {
    json!({
        "id": id, "version": version, "chakra": "ajna", "frequencyHz": 852,
        "geometry": { "pattern": "merkaba", "dimensions": 3 },
        "temporalScope": "eternal", "semanticTags": ["insight"],
        "description": "Answers @everyone <script>",
        "dataset": { "id": "org/corpus", "commit": "1".repeat(40), "url": "https://example.org/corpus" },
        "training": {
            "repo": "https://example.org/code", "commit": "2".repeat(40), "command": "train | tee log", "hardware": "one GPU"
        },
        "artifact": {
            "filename": "model.safetensors", "sha256": "ab".repeat(32), "sizeBytes": 91_234_567,
            "downloadUrl": "https://huggingface.co/org/ajna/resolve/main/model.safetensors",
            "files": [{ "path": "config.json", "sha256": "cd".repeat(32), "sizeBytes": 612 }]
        },
        "license": "Apache-2.0",
        "provenance": {
            "runId": "run-7", "timestamp": "2026-11-08T12:00:00Z", "creator": "Ada", "metrics": metrics,
            "reproducibility": { "seed": 42 }
        }
    })
}

fn described(models: &[Value], id: &str, base: &[Value], checks: &[Check]) -> String {
    let (new, base) = (index(models), index(base));
    let id = ModelId::parse(id).unwrap();
    let (entry, source) = (&new.entry(&id).unwrap().entry, new.source(&id).unwrap());
    let vote = Vote { name: format!("{id}@{}+abab", entry.version), signer: "0xab".to_owned() };
    let vote = checks.first().map(|_| &vote);
    describe(&Review { entry, source, previous: previous(&base, &id), checks, vote })
}

#[test]
fn a_first_version_is_described() {
    let metrics = json!({ "loss": 0.41, "accuracy": 0.9, "evalF1": 0.5 });
    let checks = [
        Check::new("schema and rules", Verdict::Passed, "no flaw, no warning"),
        Check::new("checksum", Verdict::Skipped, "by --no-fetch"),
    ];
    let text = described(&[entry("ajna-insight-v1", "1.0.0", &metrics)], "ajna-insight-v1", &[], &checks);
    insta::assert_snapshot!(text);
}

#[test]
fn a_later_version_stands_beside_the_one_before() {
    let old = entry("ajna-insight-v1", "1.2.0", &json!({ "loss": 0.5, "perplexity": 12.5 }));
    let mut new =
        entry("ajna-insight-v2", "2.0.0", &json!({ "loss": 0.413, "accuracy": 0.875, "perplexity": 12.5 }));
    new["artifact"]["sha256"] = json!("ef".repeat(32));
    new["artifact"]["files"][0]["sha256"] = json!("ee".repeat(32));
    new["training"]["hardware"] = Value::Null;
    new["training"].as_object_mut().unwrap().remove("hardware");
    new["training"]["treeClean"] = json!(false);
    let checks = [Check::new("checksum", Verdict::Failed, "other bytes came")];
    insta::assert_snapshot!(described(&[new], "ajna-insight-v2", &[old], &checks));
}

#[test]
fn what_to_compare_with_is_the_same_model_or_the_highest_version_below() {
    let of = |id: &str| entry(id, "1.0.0", &json!({}));
    let base =
        index(&[of("ajna-insight-v1"), of("ajna-insight-v3"), of("ajna-insight-v9"), of("ajna-other-v3")]);
    let check = |id: &str, expected: Option<&str>| {
        let found = previous(&base, &ModelId::parse(id).unwrap());
        assert_eq!(found.map(|it| it.id.as_str()), expected, "{id}");
    };
    check("ajna-insight-v3", Some("ajna-insight-v3"));
    check("ajna-insight-v4", Some("ajna-insight-v3"));
    check("ajna-insight-v10", Some("ajna-insight-v9"));
    check("ajna-other-v1", None);
    check("muladhara-foundation-v1", None);
}

#[test]
fn long_lists_are_cut_and_counted() {
    let metrics = (0..80).map(|it| (format!("metric{it:02}"), json!(it))).collect::<serde_json::Map<_, _>>();
    let text =
        described(&[entry("ajna-insight-v1", "1.0.0", &Value::Object(metrics))], "ajna-insight-v1", &[], &[]);
    assert!(text.contains("30 more are not shown.") && text.ends_with("None ran.\n"), "{text}");
}
