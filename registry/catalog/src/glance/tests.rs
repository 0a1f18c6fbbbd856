use std::{fs, path::Path};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::check::examine_text;

const REVISION: &str = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41";

fn entry(number: usize) -> Value {
    let hub = format!("https://hub.example/o/r{number}/resolve/{REVISION}");
    json!({
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
            "sha256": format!("{:064x}", number + 1).chars().rev().collect::<String>(),
            "sizeBytes": 3 + number,
            "downloadUrl": format!("{hub}/ajna-insight-{number}-v2.gguf"),
            "revision": REVISION,
            "files": (0..number % 4).map(|file| json!({
                "path": format!("parts/{file}.json"),
                "sha256": format!("{:064x}", file + 1),
                "sizeBytes": 7,
                "downloadUrl": format!("{hub}/parts/{file}.json"),
            })).collect::<Value>(),
        },
        "license": if number.is_multiple_of(2) { "MIT" } else { "Apache-2.0 OR LicenseRef-ours" },
        "provenance": {
            "runId": "r",
            "timestamp": "2024-11-08T12:00:00Z",
            "metrics": { "loss": 0.5, "accuracy": 0.9, "f1": 0.8 },
            "reproducibility": { "seed": 1 },
        },
        "notes": "नोट".repeat(number % 50)
    })
}

fn entries(count: usize) -> Vec<Value> {
    (0..count).map(entry).collect()
}

/// Counts the entries by a glance, and holds the answer against the report.
fn count(text: &str) -> Option<usize> {
    thread_local!(static OURS: Contract = Contract::ours());
    OURS.with(|contract| {
        let count = glance(text.as_bytes(), contract, |_, _| Some(())).map(|it| it.len())?;
        let report = examine_text(text.as_bytes(), contract);
        assert_eq!((count, &[][..]), (report.models, &report.flaws[..]), "{text}");
        Some(count)
    })
}

#[test]
fn a_plain_index_is_recognised_however_it_is_laid_out() {
    for number in [0, 1, 2, 3_000] {
        let index = json!({ "$schema": "./schema.json", "models": entries(number), "STUBS_TO_REVISIT": {} });
        assert_eq!(count(&index.to_string()), Some(number));
        assert_eq!(count(&serde_json::to_string_pretty(&index).unwrap()), Some(number));
    }
}

#[test]
fn entries_are_handed_over_in_order_with_their_places() {
    let text = serde_json::to_string_pretty(&json!({ "models": entries(3_000) })).unwrap();
    let keep = |text: &str, place: u64| Some((place, text.to_owned()));
    let kept = glance(text.as_bytes(), &Contract::ours(), keep).unwrap();
    assert!(text.len() as u64 > 5 * STRETCH_BYTES);
    for (number, (place, source)) in kept.iter().enumerate() {
        assert!(text[usize::try_from(*place).unwrap()..].starts_with(source));
        assert_eq!(serde_json::from_str::<Value>(source).unwrap(), entry(number));
    }
}

#[test]
fn a_flaw_anywhere_keeps_the_index_from_being_plain() {
    let text = json!({ "$schema": "./schema.json", "models": entries(3_000) }).to_string();
    assert!(count(&text).is_some());
    let last = text.rfind("ajna-insight-2999-v2\"").unwrap();
    let seventh = "{\"artifact\":{\"downloadUrl\":\"https://hub.example/o/r7/";
    let flawed = [
        text.replacen("\"MIT\"", "\"no licence\"", 1),
        text.replace("ajna-insight-2999-v2\"", "ajna-insight-0-v2\""),
        text.replace("\"sizeBytes\":3002", "\"sizeBytes\":\"3002\""),
        text.replace("\"$schema\"", "\"$scheme\""),
        text.replace(&format!("}},{seventh}"), &format!("}} {seventh}")),
        text.replace(&format!("}},{seventh}"), &format!("}},,{seventh}")),
        text.replace(":\"r\"", ":\"TODO-STUB\""),
        text.trim_end_matches('}').to_owned(),
        text.trim_end_matches("]}").to_owned() + ",]}",
        text.clone() + "x",
        text[..last].to_owned(),
        format!("\u{feff}{text}"),
        text.replace("\"models\":", "\"models\":[],\"models\":"),
    ];
    for (number, flawed) in flawed.iter().enumerate() {
        assert_ne!(*flawed, text, "{number}");
        assert_eq!(count(flawed), None, "{number}");
    }
}

#[test]
fn a_list_of_another_name_or_place_is_not_taken_for_the_models() {
    let hidden = json!({ "STUBS_TO_REVISIT": { "models": entries(2) }, "models": [{}] }).to_string();
    assert!(hidden.find("STUBS") < hidden.rfind("\"models\""));
    assert_eq!(count(&hidden), None);
    assert_eq!(count(&json!({ "$schema": "\"models\": [", "models": entries(1) }).to_string()), Some(1));
    assert_eq!(count(&json!([{ "models": entries(2) }]).to_string()), None);
}

#[test]
fn a_start_that_was_guessed_wrongly_is_not_believed() {
    let mut entries = entries(3_000);
    // Around the middle, nearly every place that looks like one between two entries is inside of one.
    let nested = json!(entries[..30].to_vec());
    entries[1_400..1_600].iter_mut().for_each(|it| it["geometry"]["more"] = nested.clone());
    assert_eq!(count(&json!({ "models": entries }).to_string()), Some(3_000));
    entries[1_400]["license"] = json!("");
    assert_eq!(count(&json!({ "models": entries }).to_string()), None);
}

#[test]
fn a_guess_behind_the_list_changes_nothing() {
    let models = json!(entries(2_000));
    let index = |stubs: &str| format!("{{\"models\":{models},\"STUBS_TO_REVISIT\":{stubs}}}");
    let stubs = json!(entries(300)).to_string();
    assert!((STRETCH_BYTES / 2..STRETCH_BYTES).contains(&(stubs.len() as u64)), "{}", stubs.len());
    assert_eq!(count(&index(&stubs)), Some(2_000));
    assert_eq!(count(&index(&stubs.replace("\"sizeBytes\":", "\"size\":"))), Some(2_000));
    // It ends where the list does.
    assert_eq!(count(&format!("{{\"models\":{models}],\"STUBS_TO_REVISIT\":{stubs}}}")), None);
}

#[test]
fn no_entry_is_passed_over_by_a_guess() {
    // A blank hides where most of them begin.
    let hidden = |(number, it): (usize, &Value)| match number % 50 {
        0 => it.to_string(),
        _ => it.to_string().replacen('{', "{ ", 1),
    };
    let all = entries(3_000).iter().enumerate().map(hidden).collect::<Vec<_>>();
    let text = format!("{{\"models\":[{}]}}", all.join(","));
    assert!(text.len() as u64 > 5 * STRETCH_BYTES);
    assert_eq!(count(&text), Some(3_000));
}

#[test]
fn stretches_in_which_no_entry_begins_are_passed() {
    let mut entries = entries(400);
    let long = |bytes: usize| json!("नोट".repeat(bytes / 9));
    for at in [0, 1, 2, 200, 398] {
        entries[at]["notes"] = long(520_000);
    }
    assert_eq!(count(&json!({ "models": entries }).to_string()), Some(400));
    entries[399]["notes"] = json!("TODO-STUB");
    assert_eq!(count(&json!({ "models": entries }).to_string()), None);
    // Not even the window is wide enough.
    entries[399]["notes"] = long(600_000);
    assert_eq!(count(&json!({ "models": entries }).to_string()), None);
}

#[test]
fn one_digest_with_two_sizes_is_left_to_be_examined_and_with_one_size_it_is_fine() {
    let mut twins = entries(2_000);
    twins[1_999]["artifact"] = json!({ "filename": "other.gguf" });
    for same in ["sha256", "sizeBytes"] {
        twins[1_999]["artifact"][same] = twins[0]["artifact"][same].clone();
    }
    assert_eq!(count(&json!({ "models": twins }).to_string()), Some(2_000));
    twins[1_999]["artifact"]["sizeBytes"] = json!(9);
    assert_eq!(count(&json!({ "models": twins }).to_string()), None);
}

#[test]
fn nesting_is_bounded_as_it_is_in_the_whole_text() {
    let nested = |levels: usize| {
        let mut index = json!({ "models": entries(2) });
        index["models"][1]["geometry"]["more"] = json!("@");
        let levels = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        index.to_string().replace("\"@\"", &levels)
    };
    // The index, its list, the entry and its geometry are four levels.
    assert_eq!(count(&nested(124)), Some(2));
    assert_eq!(count(&nested(125)), None);
}

#[test]
fn what_stands_far_behind_the_list_is_seen() {
    let text = json!({ "models": entries(2) }).to_string();
    for blanks in [1 << 10, 300 << 10, 511 << 10, 512 << 10, 600 << 10, 2 << 20] {
        count(&(text.clone() + &" ".repeat(blanks)));
        assert_eq!(count(&(text.clone() + &" ".repeat(blanks) + "x")), None);
    }
}

#[test]
fn entries_as_long_as_they_may_be_are_read_wherever_they_end() {
    let long = |bytes: usize| {
        let mut entries = entries(40);
        for it in &mut entries {
            it["notes"] = json!("नोट".repeat(bytes / 9));
        }
        json!({ "models": entries }).to_string()
    };
    for bytes in [20_000, 60_000, 100_001] {
        assert_eq!(count(&long(bytes)), Some(40));
    }
}

/// Changes a place in a text, and looks at it behind entries that are laid out alike.
fn look_at_changes(text: &str, places: impl Iterator<Item = usize>, with: &[u8]) {
    for at in places {
        for (with, rest) in
            with.iter().flat_map(|it| [(Some(*it), at), (Some(*it), at + 1)]).chain([(None, at + 1)])
        {
            let bytes = text.as_bytes();
            let changed = bytes[..at].iter().chain(&with).chain(&bytes[rest..]).copied().collect();
            if let Ok(changed) = String::from_utf8(changed) {
                count(&changed);
            }
        }
    }
}

#[test]
fn one_byte_more_less_or_other_in_a_later_entry_is_seen() {
    let index = json!({ "models": entries(3) });
    for text in [index.to_string(), serde_json::to_string_pretty(&index).unwrap()] {
        let last = text.rfind("ajna-insight-2-v2\"").unwrap();
        let begin = text[..last].rfind("dimensions").unwrap_or(last);
        look_at_changes(&text, (begin..text.len()).step_by(5), b"\"\\,:0a }]\n-");
    }
}

#[test]
fn nothing_in_the_corpus_is_passed_that_has_a_flaw() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let mut passed = 0;
    for folder in ["good", "bad", "broken", "rules"] {
        for document in fs::read_dir(corpus.join(folder)).unwrap() {
            let bytes = fs::read(document.unwrap().path()).unwrap();
            let Ok(text) = String::from_utf8(bytes) else { continue };
            passed += usize::from(count(&text).is_some());
            // The document's own entry once more, behind itself.
            if let Some((head, tail)) = text.rsplit_once(']').filter(|it| it.0.contains("\"models\": [")) {
                let entry = head.split_once("\"models\": [").unwrap().1;
                count(&format!("{head},{entry}]{tail}"));
            }
            let step = 1 + text.len() / 25;
            look_at_changes(&text, (0..text.len().min(40_000)).step_by(step), b"\"0 ");
        }
    }
    assert!(passed > 10, "{passed}");
}

proptest! {
    #[test]
    fn a_glance_never_passes_what_has_a_flaw(at in 0usize..100_000, with: u8, cut: bool) {
        let mut bytes = json!({ "$schema": "s", "models": entries(4) }).to_string().into_bytes();
        let at = at % bytes.len();
        if cut { bytes.remove(at); } else { bytes[at] = with; }
        if let Ok(text) = String::from_utf8(bytes) {
            count(&text);
        }
    }
}
