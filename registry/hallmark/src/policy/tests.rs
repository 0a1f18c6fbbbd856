use super::*;

fn entry(license: &str) -> std::sync::Arc<catalog::Listed> {
    let text = serde_json::json!({ "models": [{
        "id": "ajna-one-v1", "version": "1.0.0", "chakra": "ajna", "frequencyHz": 396,
        "geometry": { "pattern": "cube", "dimensions": 3 },
        "temporalScope": "eternal", "semanticTags": ["test"],
        "dataset": { "id": "example/corpus", "commit": "1".repeat(40), "url": "https://example.org/corpus" },
        "training": { "repo": "https://example.org/training", "commit": "2".repeat(40), "command": "train" },
        "artifact": {
            "filename": "model.safetensors", "sha256": "a".repeat(64), "sizeBytes": 10,
            "downloadUrl": "https://huggingface.co/org/one/resolve/main/model.safetensors"
        },
        "license": license, "provenance": { "runId": "run-1", "metrics": { "loss": 0.5 } }
    }] });
    let checked = catalog::check(text.to_string().as_bytes(), &catalog::Contract::ours());
    let index = checked.index.expect("an index that holds");
    index.entries().next().expect("an entry").clone()
}

fn policy(text: &str) -> PolicyConfig {
    toml::from_str(text).unwrap()
}

/// Asks the policy about a model with these files inside, and compares the rules that object.
fn check(policy_text: &str, license: &str, formats: &[(&str, Format)], objecting: &[&str]) {
    let listed = entry(license);
    let formats = formats.iter().map(|(path, it)| ((*path).to_owned(), *it)).collect::<BTreeMap<_, _>>();
    let sources = [Source::Web("https://models.example.org/one".parse().unwrap())];
    let facts = Facts {
        entry: &listed.entry,
        size_bytes: 10,
        sources: vec![("ajna-one-v1/model.safetensors", &sources)],
        formats: Some(&formats),
        descent: Descent::NotYet,
    };
    let ruling = policy(policy_text).judge(&facts);
    let rules = ruling.objections.iter().map(|it| it.rule.as_str()).collect::<Vec<_>>();
    assert_eq!(rules, objecting, "{policy_text} for {license}");
    assert_eq!(ruling.forbids_fetch, rules.iter().any(|it| ["size_bytes_max", "sources"].contains(it)));
}

#[test]
fn what_is_not_set_is_not_asked_about() {
    check("", "GPL-3.0-only", &[("model.safetensors", Format::Pickle)], &[]);
}

#[test]
fn a_licence_expression_has_to_be_satisfied_by_the_list() {
    let list = r#"licenses = ["Apache-2.0", "MIT", "GPL-2.0-only WITH Classpath-exception-2.0"]"#;
    check(list, "Apache-2.0", &[], &[]);
    check(list, "GPL-3.0-only OR MIT", &[], &[]);
    check(list, "Apache-2.0 AND MIT", &[], &[]);
    check(list, "Apache-2.0 AND GPL-3.0-only", &[], &["licenses"]);
    check(list, "GPL-2.0-only", &[], &["licenses"]);
    check(list, "GPL-2.0-only WITH Classpath-exception-2.0", &[], &[]);
    check("licenses = []", "MIT", &[], &["licenses"]);
}

#[test]
fn what_a_file_is_inside_counts_and_a_tokenizer_is_no_weights() {
    let list = r#"formats = ["safetensors"]"#;
    check(list, "MIT", &[("model.safetensors", Format::Safetensors)], &[]);
    check(list, "MIT", &[("model.safetensors", Format::Pickle)], &["formats"]);
    check(list, "MIT", &[("model.safetensors", Format::Unknown)], &["formats"]);
    let main = ("model.safetensors", Format::Safetensors);
    check(list, "MIT", &[main, ("tokenizer.json", Format::Json)], &[]);
    check(list, "MIT", &[main, ("extra.bin", Format::PytorchZip)], &["formats"]);
    check(r#"formats = ["pytorch"]"#, "MIT", &[("model.safetensors", Format::PytorchZip)], &[]);
}

#[test]
fn size_and_sources_forbid_even_the_fetch() {
    check("size_bytes_max = 10", "MIT", &[], &[]);
    check("size_bytes_max = 9", "MIT", &[], &["size_bytes_max"]);
    check(r#"sources = ["https://models.example.org"]"#, "MIT", &[], &[]);
    check(r#"sources = ["https://models.example.org:8443"]"#, "MIT", &[], &["sources"]);
    check(r#"sources = ["http://models.example.org"]"#, "MIT", &[], &["sources"]);
    check(
        "size_bytes_max = 9\nsources = []\nlicenses = []",
        "MIT",
        &[],
        &["licenses", "size_bytes_max", "sources"],
    );
}

#[test]
fn a_folder_of_this_machine_is_always_allowed() {
    let strict = policy("sources = []");
    assert!(strict.allows(&Source::Seeds("/var/seeds".into())));
    assert!(!strict.allows(&Source::Web("https://huggingface.co/x".parse().unwrap())));
}

#[test]
fn what_is_no_licence_no_format_and_no_origin_is_refused() {
    let wrong = |text: &str, part: &str| {
        let error = toml::from_str::<PolicyConfig>(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    wrong(r#"licenses = ["Apache 2"]"#, "is no SPDX licence id");
    wrong(r#"formats = ["pickle"]"#, "unknown variant");
    wrong(r#"sources = ["huggingface.co"]"#, "is no origin");
    wrong(r#"sources = ["https://huggingface.co/org"]"#, "is no origin");
    wrong(r#"sources = ["https://me@huggingface.co"]"#, "is no origin");
    wrong("license = []", "unknown field");
}
