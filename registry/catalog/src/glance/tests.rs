use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::check::examine_text;

fn entry(number: usize) -> Value {
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
        },
        "license": "MIT",
        "provenance": { "runId": "r", "metrics": { "loss": 0.5 } },
        "notes": "नोट".repeat(number % 50)
    })
}

fn entries(count: usize) -> Vec<Value> {
    (0..count).map(entry).collect()
}

/// Counts the entries by a glance, and holds the answer against the report.
fn count(text: &str) -> Option<usize> {
    let contract = Contract::ours();
    let counted = glance(text.as_bytes(), &contract, |_, _| Some(())).map(|it| it.len());
    let report = examine_text(text.as_bytes(), &contract);
    if let Some(count) = counted {
        assert_eq!((count, &report.flaws[..]), (report.models, &[][..]), "{text}");
    }
    counted
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
    let keep = |node: Node<'_>, place: u64| Some((place, node.source().to_owned()));
    let kept = glance(text.as_bytes(), &Contract::ours(), keep).unwrap();
    assert!(text.len() as u64 > 2 * SHARE_BYTES_MIN);
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
    let flawed = [
        text.replacen("\"MIT\"", "\"no licence\"", 1),
        text.replace("ajna-insight-2999-v2\"", "ajna-insight-0-v2\""),
        text.replace("\"sizeBytes\":3002", "\"sizeBytes\":\"3002\""),
        text.replace("\"$schema\"", "\"$scheme\""),
        text.replace(
            "},{\"artifact\":{\"filename\":\"ajna-insight-7-",
            "} {\"artifact\":{\"filename\":\"ajna-insight-7-",
        ),
        text.replace(
            "},{\"artifact\":{\"filename\":\"ajna-insight-7-",
            "},,{\"artifact\":{\"filename\":\"ajna-insight-7-",
        ),
        text.replace(":\"r\"", ":\"TODO-STUB\""),
        text.trim_end_matches('}').to_owned(),
        text.trim_end_matches("]}").to_owned() + ",]}",
        text.clone() + "x",
        text[..last].to_owned(),
        format!("\u{feff}{text}"),
        text.replace("\"models\":", "\"models\":[],\"models\":"),
    ];
    for (number, text) in flawed.iter().enumerate() {
        assert_eq!(count(text), None, "{number}");
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
fn one_digest_with_two_sizes_is_left_to_be_examined_and_with_one_size_it_is_fine() {
    let mut twins = entries(2_000);
    twins[1_999]["artifact"] = twins[0]["artifact"].clone();
    twins[1_999]["artifact"]["filename"] = json!("other.gguf");
    assert_eq!(count(&json!({ "models": twins }).to_string()), Some(2_000));
    twins[1_999]["artifact"]["sizeBytes"] = json!(9);
    assert_eq!(count(&json!({ "models": twins }).to_string()), None);
}

proptest! {
    #[test]
    fn a_glance_never_passes_what_has_a_flaw(at in 0usize..100_000, with: u8, cut: bool) {
        let mut bytes = json!({ "$schema": "s", "models": entries(2) }).to_string().into_bytes();
        let at = at % bytes.len();
        if cut { bytes.remove(at); } else { bytes[at] = with; }
        if let Ok(text) = String::from_utf8(bytes) {
            count(&text);
        }
    }
}
