use proptest::{prelude::*, sample::Index as Anywhere};
use serde_json::{Value, json};

use super::*;
use crate::{Hashed, check, check::Checked, check_again, diff};

fn entry(number: usize, flavour: usize) -> Value {
    let digest = format!("{:064x}", number + 1).chars().rev().collect::<String>();
    let mut entry = json!({
        "id": format!("ajna-insight-{number}-v2"),
        "version": "2.1.0",
        "chakra": "ajna",
        "frequencyHz": 852,
        "geometry": { "pattern": "hexagon", "dimensions": 6, "coordinates": [1e-06, 0.5] },
        "temporalScope": "eternal",
        "semanticTags": ["insight", "432hz"],
        "dataset": { "id": "d", "url": "https://example.org/d", "commit": "abcdef1" },
        "training": { "repo": "https://example.org/t", "command": "train", "commit": "abcdef1" },
        "artifact": {
            "filename": format!("ajna-insight-{number}-v2.gguf"),
            "sha256": digest,
            "sizeBytes": 3 + number,
            "files": [{ "path": "config.json", "sha256": "ab".repeat(32), "sizeBytes": 7 }]
        },
        "license": "MIT",
        "provenance": { "runId": "r", "metrics": { "loss": 0.5 } },
        "notes": "नोट \" [ { ] }".repeat(number % 3)
    });
    match flavour {
        0 => entry["id"] = json!(format!("model-{number}")),
        1 => entry["training"] = json!({ "repo": "https://example.org/t", "command": "TODO-STUB" }),
        2 => entry["version"] = json!("3.0.0"),
        3 => entry["provenance"]["TODO-STUB/ключ\n"] = json!("TODO-STUB"),
        _ => {}
    }
    entry
}

/// A document, and how it is written.
#[derive(Clone, Debug)]
struct Draft {
    entries: Vec<Value>,
    stubs: Option<bool>,
    style: usize,
}

impl Draft {
    fn text(&self) -> String {
        let write = |value: &Value| match self.style {
            0 => value.to_string(),
            _ => serde_json::to_string_pretty(value).unwrap(),
        };
        let (gap, comma) = [("", ","), ("\n", ",\n"), (" \t", "\r\n , ")][self.style];
        let entries = self.entries.iter().map(write).collect::<Vec<_>>().join(comma);
        let stubs = "\"STUBS_TO_REVISIT\": [{\"models\": [1, \"é\"]}]";
        match self.stubs {
            None => format!("{{{gap}\"models\":{gap}[{gap}{entries}{gap}]{gap}}}{gap}"),
            Some(true) => format!("{{{stubs},{gap}\"models\": [{entries}]}}"),
            Some(false) => format!("{{\"models\":{gap}[{entries}]{gap},{stubs}}}"),
        }
    }
}

/// A change to a document, or to its text alone.
#[derive(Clone, Debug)]
enum Edit {
    Value(Anywhere, &'static str, Value),
    Add(Anywhere, Value),
    Remove(Anywhere),
    Move(Anywhere, Anywhere),
    Repeat(Anywhere, Anywhere),
    Text { at: Anywhere, at_mark: Option<char>, taken: usize, put: &'static str },
}

const PUT: &[&str] = &[
    "",
    " ",
    "\n",
    "\n\n",
    "é",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "0",
    "{}",
    "{},",
    ",{}",
    "[],",
    "},{",
    "],[",
    "{\"a\": [",
    "]}",
    "\"x\": [",
    "],\"STUBS_TO_REVISIT\":[",
    "],\"models\":[",
    "]},{\"models\":[",
    "\u{feff}",
    "\0",
    "v3",
    "TODO-STUB",
];

fn any_entry() -> impl Strategy<Value = Value> {
    (0_usize..60, 0_usize..12).prop_map(|(number, flavour)| entry(number, flavour))
}

fn any_draft() -> impl Strategy<Value = Draft> {
    let entries = proptest::collection::vec(0_usize..12, 0..14)
        .prop_map(|it| it.iter().enumerate().map(|(number, flavour)| entry(number, *flavour)).collect());
    (entries, any::<Option<bool>>(), 0_usize..3).prop_map(|(entries, stubs, style)| Draft {
        entries,
        stubs,
        style,
    })
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let values = vec![
        ("/license", json!("Apache-2.0")),
        ("/license", json!("none")),
        ("/notes", json!("新しい\n")),
        ("/artifact/sizeBytes", json!(4)),
        ("/artifact/files/0/sizeBytes", json!(8)),
        ("/artifact/files/0/sizeBytes", json!(7.0)),
        ("/artifact/sha256", json!("0".repeat(64))),
        ("/artifact/sha256", json!("ab".repeat(32))),
        ("/version", json!("3.0.0")),
        ("/id", json!("ajna-insight-1-v2")),
        ("/id", json!("model")),
        ("/provenance/runId", json!("TODO-STUB")),
        ("/geometry", json!(null)),
    ];
    let at = any::<Anywhere>;
    let mark = proptest::option::of(proptest::sample::select(vec!['{', '}', '[', ']', ',', '"', '\n']));
    prop_oneof![
        4 => (at(), proptest::sample::select(values)).prop_map(|(at, (pointer, it))| Edit::Value(at, pointer, it)),
        2 => (at(), any_entry()).prop_map(|(at, it)| Edit::Add(at, it)),
        2 => at().prop_map(Edit::Remove),
        1 => (at(), at()).prop_map(|(from, to)| Edit::Move(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Edit::Repeat(from, to)),
        6 => (at(), mark, 0_usize..3, proptest::sample::select(PUT))
            .prop_map(|(at, at_mark, taken, put)| Edit::Text { at, at_mark, taken, put }),
    ]
}

impl Edit {
    /// Returns the text after the edit. One to the text alone leaves the document as it was.
    fn apply(&self, draft: &mut Draft) -> String {
        let entries = &mut draft.entries;
        let count = entries.len();
        match self {
            Self::Text { at, at_mark, taken, put } => {
                return edit_text(&draft.text(), *at, *at_mark, *taken, put);
            }
            Self::Add(at, entry) => entries.insert(at.index(count + 1), entry.clone()),
            _ if count == 0 => {}
            Self::Value(at, pointer, value) => {
                if let Some(place) = entries[at.index(count)].pointer_mut(pointer) {
                    place.clone_from(value);
                }
            }
            Self::Remove(at) => drop(entries.remove(at.index(count))),
            Self::Move(from, to) => {
                let entry = entries.remove(from.index(count));
                entries.insert(to.index(count), entry);
            }
            Self::Repeat(from, to) => entries.insert(to.index(count), entries[from.index(count)].clone()),
        }
        draft.text()
    }
}

fn edit_text(text: &str, at: Anywhere, at_mark: Option<char>, taken: usize, put: &str) -> String {
    let places = text.char_indices().filter(|it| at_mark.is_none_or(|mark| it.1 == mark)).map(|it| it.0);
    let places = places.collect::<Vec<_>>();
    let start = if places.is_empty() { 0 } else { places[at.index(places.len())] };
    let end = text[start..].char_indices().nth(taken).map_or(text.len(), |it| start + it.0);
    [&text[..start], put, &text[end..]].concat()
}

/// Checks a text again as [`check_again`] does, however little it has in common with the one before; says as well
/// whether the look at the change was enough.
fn again(text: &str, contract: &Contract, before: &Checked) -> (Checked, bool) {
    let index = before.index.as_ref().unwrap();
    let Some((revision, report)) = Change::between(index, text).check(contract, &before.report) else {
        return (check(text.as_bytes(), contract), false);
    };
    let hashed = Hashed::of(text.as_bytes().to_vec()).into_text().unwrap();
    (Checked { index: Some(index.revised(hashed, revision)), report }, true)
}

fn assert_same(one: &Checked, other: &Checked) {
    assert_eq!(one.report, other.report);
    let (Some(one), Some(other)) = (&one.index, &other.index) else {
        assert_eq!(one.index.is_some(), other.index.is_some());
        return;
    };
    assert_eq!((one.text(), one.digest()), (other.text(), other.digest()));
    assert_eq!((one.listed(), one.spans()), (other.listed(), other.spans()));
    for listed in one.entries() {
        let id = &listed.entry.id;
        assert_eq!((one.entry(id), one.source(id)), (other.entry(id), other.source(id)));
        assert_eq!(one.find(id.as_str()), other.find(id.as_str()));
    }
    assert!(diff(one, other).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_a_look_at_the_change_gives_is_what_a_look_at_the_whole_gives(
        mut draft in any_draft(),
        edits in proptest::collection::vec(any_edit(), 1..8),
    ) {
        let contract = Contract::ours();
        let mut before = check(draft.text().as_bytes(), &contract);
        for edit in &edits {
            let text = edit.apply(&mut draft);
            let whole = check(text.as_bytes(), &contract);
            if before.index.is_some() {
                let (looked, _) = again(&text, &contract, &before);
                assert_same(&looked, &whole);
                let found = Hashed::of(text.clone().into_bytes());
                assert_same(&check_again(found, &contract, Some(&before)), &whole);
                if looked.index.is_some() {
                    // What is remembered comes from looks at changes alone.
                    before = looked;
                }
            } else {
                before = whole;
            }
        }
    }

    #[test]
    fn what_two_texts_share_is_found_whatever_its_length(
        start in 0_usize..9_000, one in "[ab]{0,3}", other in "[ab]{0,3}", end in 0_usize..9_000,
    ) {
        let around = |it: &str| ["a".repeat(start), it.to_owned(), "b".repeat(end)].concat().into_bytes();
        let (one, other) = (around(&one), around(&other));
        let shorter = one.len().min(other.len());
        let prefix = (0..shorter).find(|at| one[*at] != other[*at]).unwrap_or(shorter);
        prop_assert_eq!(common_prefix(&one, &other), prefix);
        let ends = |at: usize| one[one.len() - at - 1] != other[other.len() - at - 1];
        prop_assert_eq!(common_suffix(&one, &other), (0..shorter).find(|at| ends(*at)).unwrap_or(shorter));
    }
}

fn many(count: usize) -> Draft {
    Draft { entries: (0..count).map(|it| entry(it, it % 12)).collect(), stubs: None, style: 1 }
}

/// Makes one edit to an index of forty entries, expects a look at the change to be enough, and returns how many
/// entries stayed the same ones.
fn check_shared(edit: impl Fn(&mut Vec<Value>)) -> usize {
    let contract = Contract::ours();
    let mut draft = many(40);
    let before = check(draft.text().as_bytes(), &contract);
    edit(&mut draft.entries);
    let (after, enough) = again(&draft.text(), &contract, &before);
    assert!(enough);
    assert_same(&after, &check(draft.text().as_bytes(), &contract));
    let (old, new) = (before.index.unwrap(), after.index.unwrap());
    assert!(diff(&old, &new) == diff(&old, &check(draft.text().as_bytes(), &contract).index.unwrap()));
    new.entries().filter(|it| old.entries().any(|other| std::sync::Arc::ptr_eq(it, other))).count()
}

#[test]
fn entries_that_did_not_change_are_the_same_ones() {
    assert_eq!(check_shared(|_| {}), 40);
    assert_eq!(check_shared(|it| it[17]["license"] = json!("Apache-2.0")), 39);
    assert_eq!(check_shared(|it| it[0]["license"] = json!("Apache-2.0")), 39);
    assert_eq!(check_shared(|it| it[39]["license"] = json!("Apache-2.0")), 39);
    assert_eq!(check_shared(|it| it[17]["id"] = json!("model-17")), 39);
    assert_eq!(check_shared(|it| it[17]["artifact"]["sizeBytes"] = json!(99)), 39);
    assert_eq!(check_shared(|it| it.insert(0, entry(50, 2))), 40);
    assert_eq!(check_shared(|it| it.push(entry(50, 2))), 40);
    assert_eq!(check_shared(|it| it.insert(20, entry(50, 2))), 40);
    assert_eq!(check_shared(|it| drop(it.remove(3))), 39);
    assert_eq!(check_shared(|it| drop(it.drain(10..15))), 35);
    assert_eq!(check_shared(|it| it.swap(20, 22)), 37);
}

#[test]
fn what_contradicts_an_entry_that_stayed_is_found() {
    let contract = Contract::ours();
    let check_found = |edit: fn(&mut Vec<Value>), expected: &str| {
        let mut draft = many(40);
        let before = check(draft.text().as_bytes(), &contract);
        edit(&mut draft.entries);
        let (after, enough) = again(&draft.text(), &contract, &before);
        assert!(!enough && after.index.is_none());
        assert_eq!(
            after.report.flaws.iter().find(|it| it.severity == Severity::Error).unwrap().rule,
            expected
        );
    };
    check_found(|it| it[20]["id"] = it[3]["id"].clone(), "id-unique");
    check_found(|it| it[20]["id"] = it[33]["id"].clone(), "id-unique");
    check_found(|it| it[20]["artifact"]["sha256"] = it[3]["artifact"]["sha256"].clone(), "digest-size");
    check_found(|it| it[20]["artifact"]["sha256"] = it[33]["artifact"]["sha256"].clone(), "digest-size");
    check_found(|it| it[20]["artifact"]["files"][0]["sizeBytes"] = json!(8), "digest-size");
}

#[test]
fn a_list_that_is_cut_in_two_keeps_only_what_is_still_in_it() {
    let contract = Contract::ours();
    let text = many(40).text();
    let before = check(text.as_bytes(), &contract);
    let (at, _) = text.match_indices("},\n{").nth(20).unwrap();
    for (added, expected) in [(String::new(), 21), (format!(",{}", entry(50, 9)), 22)] {
        let cut = [&text[..=at], &added, "],\"STUBS_TO_REVISIT\": [", &text[at + 2..]].concat();
        let (after, enough) = again(&cut, &contract, &before);
        assert!(!enough);
        assert_same(&after, &check(cut.as_bytes(), &contract));
        assert_eq!(after.index.unwrap().entries().len(), expected);
    }
}

#[test]
fn more_warnings_than_a_report_lists_are_counted_right() {
    let contract = Contract::ours();
    let same = |old: &Draft, new: &Draft| {
        let before = check(old.text().as_bytes(), &contract);
        let (after, _) = again(&new.text(), &contract, &before);
        assert_same(&after, &check(new.text().as_bytes(), &contract));
    };
    let draft = |warned| Draft { entries: (0..1_500).map(|it| entry(it, warned)).collect(), ..many(0) };
    let mut fewer = draft(0);
    fewer.entries.drain(3..600);
    same(&draft(0), &fewer);
    let mut more = draft(12);
    more.entries[3..1_400].iter_mut().for_each(|it| it["version"] = json!("3.0.0"));
    same(&draft(12), &more);
}

#[test]
fn what_two_texts_share_at_both_ends_does_not_overlap() {
    let schema =
        json!({ "$schema": "http://json-schema.org/draft-07/schema#", "definitions": { "model": {} } });
    let contract = Contract::of(&schema.to_string()).unwrap();
    let (mut first, last) = (entry(1, 9), entry(2, 9));
    // The first entry ends as the document does.
    first["zones"] = json!([last.clone()]);
    let first = first.to_string();
    let text = format!("{{\"models\":[{first},{last}]}}");
    let before = check(text.as_bytes(), &contract).index.unwrap();
    let cut = &text[.."{\"models\":[".len() + first.len()];
    let change = Change::between(&before, cut);
    assert_eq!((change.kept, change.middle.len()), (Kept { head: 1, tail: 0 }, 0));
    assert!(change.middle.start <= change.middle.end);
}
