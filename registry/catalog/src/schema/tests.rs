use proptest::prelude::*;

use super::*;

/// An entry with every property that the schema knows.
fn whole_entry() -> Value {
    json!({
        "id": "ajna-insight-v2",
        "version": "2.1.0-rc.1",
        "description": "What it does, with \"quotes\".",
        "chakra": "ajna",
        "frequencyHz": 852.5,
        "geometry": { "pattern": "hexagon", "dimensions": 6, "coordinates": [0.5, -1, 2e-06] },
        "temporalScope": "eternal",
        "semanticTags": ["insight", "432hz"],
        "dataset": { "id": "d", "url": "https://example.org/d", "commit": "abcdef1" },
        "training": { "repo": "https://example.org/t", "command": "train", "commit": "abcdef1", "duration": "1h", "hardware": "h" },
        "artifact": {
            "filename": "ajna-insight-v2.gguf",
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sizeBytes": 3,
            "format": "gguf",
            "downloadUrl": "https://huggingface.co/o/r/resolve/main/ajna-insight-v2.gguf",
            "revision": "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
            "files": [{ "path": "a/b", "sha256": "aa".repeat(32), "sizeBytes": 7, "downloadUrl": "https://h.example/a/b" }]
        },
        "license": "MIT",
        "provenance": {
            "runId": "r",
            "timestamp": "2024-11-08T12:00:00Z",
            "creator": "c",
            "metrics": { "loss": 0.5, "accuracy": 0.9, "perplexity": 3, "mnli": { "matched": 0.8 } },
            "reproducibility": { "seed": 42, "environment": "e" }
        },
        "notes": "n"
    })
}

fn verdicts(contract: &Contract, text: &str) -> (bool, bool) {
    let document = Document::parse(text.as_bytes()).unwrap();
    let root = document.root();
    let surely = contract.shapes.as_ref().unwrap().entry.surely_fits(root);
    assert!(surely || !is_skimmed(contract, text), "{text}");
    (surely, contract.judges().entry.is_valid(View::InDocument(root)))
}

/// Says whether an entry is passed without being parsed, behind one that is laid out alike.
fn is_skimmed(contract: &Contract, text: &str) -> bool {
    let first = whole_entry().to_string();
    let both = format!("{first}{text}");
    let mut steps = Steps::default();
    let mut skim = contract.skim(&both, &mut steps).unwrap();
    assert_eq!(skim.entry(0).map(|it| it.1), Some(first.len()));
    skim.entry(first.len()).is_some_and(|it| it.1 == both.len())
}

#[test]
fn our_schema_compiles_and_a_whole_entry_is_seen_to_fit_at_once() {
    assert_eq!(verdicts(&Contract::ours(), &whole_entry().to_string()), (true, true));
}

#[test]
fn an_entry_is_passed_without_being_parsed_however_it_is_laid_out() {
    let contract = Contract::ours();
    let mut short = whole_entry();
    for (object, member) in
        [("", "notes"), ("", "description"), ("/artifact", "files"), ("/training", "hardware")]
    {
        short.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(member);
    }
    for entry in [whole_entry(), short] {
        assert!(is_skimmed(&contract, &entry.to_string()), "{entry}");
        assert!(is_skimmed(&contract, &serde_json::to_string_pretty(&entry).unwrap()), "{entry:#}");
    }
}

#[test]
fn a_key_that_stands_twice_is_not_passed_over() {
    let contract = Contract::ours();
    let whole = whole_entry().to_string();
    for (key, twice) in [
        ("\"license\":\"MIT\"", "\"license\":\"MIT\",\"license\":\"MIT\""),
        ("\"loss\":0.5", "\"loss\":0.5,\"loss\":0.5"),
        ("\"loss\":0.5", "\"f1\":0.5,\"loss\":0.5,\"f1\":0.5"),
        ("\"loss\":0.5", "\"f1\":0.5,\"\\u00661\":0.5"),
        ("\"loss\":0.5", "\"f1\":{\"a\":1,\"a\":1}"),
    ] {
        let entry = whole.replace(key, twice);
        assert!(entry != whole && !is_skimmed(&contract, &entry), "{entry}");
    }
}

#[test]
fn a_schema_that_says_something_unknown_has_no_shape() {
    let shapes = |change: &dyn Fn(&mut Value)| {
        let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
        change(&mut schema["definitions"]["model"]["properties"]["license"]);
        Contract::new(schema, "".into(), None).shapes
    };
    assert!(shapes(&|it| it["minLength"] = json!(2)).is_some());
    for (keyword, value) in
        [("pattern", json!("^a")), ("format", json!("email")), ("not", json!({})), ("enum", json!([1]))]
    {
        assert!(shapes(&|it| it[keyword] = value.clone()).is_none(), "{keyword}");
    }
}

/// Every place in a value, and one more in each object.
fn places(at: &str, value: &Value, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, it)| places(&format!("{at}/{name}"), it, found));
            found.push(format!("{at}/unheard-of"));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, it)| places(&format!("{at}/{n}"), it, found));
        }
        _ => {}
    }
}

fn all_places() -> Vec<String> {
    let mut found = Vec::new();
    places("", &whole_entry(), &mut found);
    found
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,4})?(e-?[0-9]{1,2})?",
        "\"[a-zA-Z0-9:/.?#@%ä_ -]{0,12}\"",
        "\"https?://[a-zA-Z0-9:/.?#@%ä_~-]{0,12}\"",
        "\"[a-z0-9-]{0,66}\"",
        "\"[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}[a-z.+-]{0,5}\"",
        "\"[a-f0-9]{39,41}\"",
        "\"[a-fA-F0-9]{63,65}\"",
        "\"[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](Z|\\+01:00)\"",
        "\"\\\\u00[46][1-9a-f]\"",
        proptest::sample::select(vec![
            "[]",
            "{}",
            "[\"ab\"]",
            "[\"ab\", \"ab\"]",
            "[\"ab\", \"cd\"]",
            "[1]",
            "\"ajna\"",
            "\"daily\"",
            "10000.000000000000001"
        ])
        .prop_map(str::to_owned),
    ]
}

#[test]
fn one_character_more_less_or_other_never_makes_a_text_surely_fit_that_is_not_valid() {
    let ours = Contract::ours();
    let texts = [
        ("/id", "ajna-v2"),
        ("/version", "2.1.0-rc.1"),
        ("/semanticTags/0", "ab"),
        ("/dataset/commit", "abcdef1"),
        ("/dataset/url", "https://h.example/d"),
        ("/artifact/sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("/artifact/revision", "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"),
        ("/provenance/timestamp", "2024-12-28T23:59:59Z"),
    ];
    for (pointer, text) in texts {
        for at in 0..=text.len() {
            let (before, after) = text.split_at(at);
            let rest = after.get(1..).unwrap_or_default();
            for other in [
                "", "0", "3", "6", "9", "a", "g", "Z", "-", ".", "/", ":", "+", "~", "_", " ", "%", "@", "[",
                "ä", "\n",
            ] {
                for changed in [format!("{before}{other}{after}"), format!("{before}{other}{rest}")] {
                    let mut entry = whole_entry();
                    *entry.pointer_mut(pointer).unwrap() = json!(changed);
                    let (surely, valid) = verdicts(&ours, &entry.to_string());
                    assert!(valid || !surely, "{pointer} {changed:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_surely_fits_is_valid(changes in proptest::collection::vec((proptest::sample::select(all_places()), any_value()), 1..3)) {
        thread_local!(static OURS: Contract = Contract::ours());
        let mut entry = whole_entry();
        for (number, (pointer, _)) in changes.iter().enumerate() {
            let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", ""));
            match entry.pointer_mut(parent) {
                Some(Value::Object(members)) => drop(members.insert(name.to_owned(), json!(format!("@{number}@")))),
                Some(Value::Array(items)) => items[name.parse::<usize>().unwrap()] = json!(format!("@{number}@")),
                _ => {}
            }
        }
        // Put in as text, so that numbers and escapes stay as they are written.
        let text = changes.iter().enumerate().fold(entry.to_string(), |text, (number, (_, value))| {
            text.replace(&format!("\"@{number}@\""), value)
        });
        let (surely, valid) = OURS.with(|it| verdicts(it, &text));
        prop_assert!(valid || !surely, "{}", text);
    }
}
