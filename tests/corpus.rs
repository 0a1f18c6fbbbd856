//! One corpus, three judges: `hallmark validate`, ajv, and the typed structs. They agree on every document.
//!
//! - `good`: everybody accepts.
//! - `bad`: JSON that breaks the schema; everybody refuses.
//! - `broken`: no JSON at all; everybody refuses.
//! - `rules`: what a schema cannot say, or ajv reads more loosely: ajv accepts, hallmark refuses.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::support::peers;

const AJV: &str = "npm/node_modules/.bin/ajv";

#[test]
fn hallmark_accepts_every_good_document() {
    for document in corpus("good") {
        let report = validate(&document);
        let errors: Vec<_> = report.flaws.iter().filter(|it| it["severity"] == "error").collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", document.display());
        assert_eq!((report.code, report.valid), (0, true), "{}", document.display());
    }
}

#[test]
fn hallmark_refuses_every_bad_document_and_says_where() {
    for folder in ["bad", "broken", "rules"] {
        for document in corpus(folder) {
            let report = validate(&document);
            assert_eq!((report.code, report.valid), (1, false), "{}", document.display());
            let errors = report.flaws.iter().filter(|it| it["severity"] == "error");
            assert!(errors.clone().count() > 0, "{}: refused without a reason", document.display());
            for flaw in errors {
                check_place(&document, flaw);
            }
        }
    }
}

#[test]
fn a_bad_document_breaks_the_schema_and_a_broken_one_the_syntax() {
    for (folder, rule_starts_with) in [("bad", "schema"), ("broken", "syntax")] {
        for document in corpus(folder) {
            let flaws = validate(&document).flaws;
            let rules = flaws.iter().filter_map(|flaw| flaw["rule"].as_str());
            let mut fitting = rules.clone().filter(|rule| rule.starts_with(rule_starts_with));
            // A number beyond all numbers is a flaw of the syntax for whoever reads numbers first.
            let beyond_numbers = document.ends_with("frequency-beyond-numbers.json");
            assert!(
                beyond_numbers || fitting.next().is_some(),
                "{}: expected a flaw of {rule_starts_with}, found {:?}",
                document.display(),
                rules.collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn the_typed_structs_agree_with_the_schema() {
    let mut strays = Vec::new();
    for (folder, expected) in [("good", true), ("bad", false), ("broken", false)] {
        strays.extend(corpus(folder).into_iter().filter(|it| catalog::check_typed(&read(it)) != expected));
    }
    assert!(strays.is_empty(), "the types disagree about {strays:#?}");
}

#[test]
fn what_holds_becomes_an_index_and_what_does_not_becomes_none() {
    let contract = catalog::Contract::ours();
    for (folder, expected) in [("good", true), ("bad", false), ("broken", false), ("rules", false)] {
        for document in corpus(folder) {
            let checked = catalog::check(&read(&document), &contract);
            let found = checked.index.is_some();
            assert_eq!(found, expected, "{}: {:#?}", document.display(), checked.report.flaws);
        }
    }
}

#[test]
fn ajv_agrees_with_hallmark_about_the_schema() {
    let Some(ajv) = peers::require(AJV, "what ajv says about the corpus") else { return };
    for (folder, expected) in [("good", true), ("bad", false), ("rules", true)] {
        let verdicts = judge(&ajv, &root().join("tests/corpus").join(folder).join("*.json"));
        for document in corpus(folder) {
            let name = file_name(&document);
            let verdict = verdicts.get(&name).unwrap_or_else(|| panic!("ajv says nothing about {name}"));
            assert_eq!(*verdict, expected, "ajv about {folder}/{name}: valid is {verdict}");
        }
    }
}

#[test]
fn ajv_cannot_read_what_is_no_json() {
    let Some(ajv) = peers::require(AJV, "what ajv says about documents that are no JSON") else { return };
    let broken = corpus("broken");
    // It gives up on the first such file. One shows that; the parser under it reads the others in one go.
    let output = run_ajv(&ajv, &broken[0]);
    assert_eq!(output.status.code(), Some(2), "ajv about {}: {output:?}", broken[0].display());
    let read_all = "for (const file of process.argv.slice(1))
        try { JSON.parse(require('fs').readFileSync(file)); console.log(file) } catch {}";
    let output = Command::new("node").args(["-e", read_all]).args(&broken).output().expect("node runs");
    assert!(output.status.success() && output.stdout.is_empty(), "read after all: {output:?}");
}

#[test]
fn our_own_index_holds_for_hallmark_and_for_ajv() {
    let index = root().join("index.json");
    let report = validate(&index);
    assert!(report.valid && report.code == 0, "{:#?}", report.flaws);
    if let Some(ajv) = peers::require(AJV, "what ajv says about index.json") {
        let output = run_ajv(&ajv, &index);
        assert!(output.status.success(), "{output:?}");
        // Strict mode complains on standard error about a schema that it finds doubtful.
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn our_own_index_is_no_draft() {
    let index = fs::read_to_string(root().join("index.json")).expect("index.json can be read");
    assert!(!index.contains("TODO-STUB-") && !index.contains("STUBS_TO_REVISIT"), "index.json holds stubs");
}

/// What `hallmark validate --format json` said.
struct Report {
    code: i32,
    valid: bool,
    flaws: Vec<Value>,
}

fn validate(document: &Path) -> Report {
    let output = Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(["validate", "--format", "json"])
        .arg(document)
        .output()
        .expect("hallmark runs");
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|fault| panic!("{}: {fault} in {output:?}", document.display()));
    Report {
        code: output.status.code().unwrap_or(-1),
        valid: said["valid"].as_bool().expect("valid is said"),
        flaws: said["flaws"].as_array().expect("flaws are listed").clone(),
    }
}

/// A flaw's place lies inside the document, and its pointer leads to a value there or to where one is missing.
fn check_place(document: &Path, flaw: &Value) {
    let text = String::from_utf8_lossy(&read(document)).into_owned();
    let place = |name: &str| flaw[name].as_u64().and_then(|it| usize::try_from(it).ok()).unwrap_or_default();
    let line = text.split('\n').nth(place("line").wrapping_sub(1));
    let columns =
        line.unwrap_or_else(|| panic!("{}: no such line: {flaw}", document.display())).chars().count();
    assert!((1..=columns + 1).contains(&place("column")), "{}: no such column: {flaw}", document.display());
    assert!(flaw["message"].as_str().is_some_and(|it| !it.is_empty()), "{}: {flaw}", document.display());
    if let Ok(parsed) = serde_json::from_str::<Value>(&text) {
        let pointer = flaw["pointer"].as_str().expect("a pointer is given");
        assert!(parsed.pointer(pointer).is_some(), "{}: {pointer} leads nowhere", document.display());
    }
}

/// Asks ajv about all files that a pattern names, in one process, and returns its verdict for each.
fn judge(ajv: &Path, pattern: &Path) -> BTreeMap<String, bool> {
    let output = run_ajv(ajv, pattern);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let verdicts = said.lines().filter_map(|line| {
        let (file, verdict) = line.trim_end().rsplit_once(' ')?;
        let valid = match verdict {
            "valid" => true,
            "invalid" => false,
            _ => return None,
        };
        Some((file_name(Path::new(file)), valid))
    });
    verdicts.collect()
}

/// Runs the very command that the document on artifacts gives.
fn run_ajv(ajv: &Path, data: &Path) -> Output {
    Command::new(ajv)
        .args(["validate", "-c", "ajv-formats", "--errors=no", "-s"])
        .arg(root().join("schema/schema.json"))
        .arg("-d")
        .arg(data)
        .output()
        .expect("ajv runs")
}

fn corpus(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("tests/corpus").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()));
    let mut documents: Vec<_> =
        entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    documents.sort();
    assert!(documents.len() >= 15, "{} lost its documents", folder.display());
    documents
}

fn read(document: &Path) -> Vec<u8> {
    fs::read(document).unwrap_or_else(|fault| panic!("{}: {fault}", document.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
