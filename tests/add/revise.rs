//! An entry that is there already: revised field by field.

use super::*;

const WHOLE: &[&[&str]] = &[ID, CHOSEN, MEASURED, &[DATASET]];

#[test]
fn a_repeat_changes_nothing_and_says_so() {
    let desk = Desk::new();
    assert_eq!(desk.add(WHOLE).status.code(), Some(0));
    let before = desk.index();
    let (code, page) = desk.told(&[WHOLE, &[&["--bump=minor"]]].concat());
    assert_eq!(
        (code, &page["written"], &page["change"]["change"]),
        (Some(0), &json!(false), &json!("nothing"))
    );
    assert_eq!(desk.index(), before);
}

#[test]
fn only_the_fields_that_are_given_are_revised() {
    let desk = Desk::new();
    assert_eq!(desk.add(WHOLE).status.code(), Some(0));
    let before = desk.index();
    let (code, page) =
        desk.told(&[ID, &["--set=provenance.metrics.accuracy=0.75", "--set=license=ISC", "--bump=patch"]]);
    assert_eq!(code, Some(0), "{page}");
    let old = before.lines().collect::<Vec<_>>();
    let after = desk.index();
    let changed = after.lines().filter(|it| !old.contains(it)).map(str::trim).collect::<Vec<_>>();
    assert_eq!(
        changed,
        ["\"version\": \"1.0.1\",", "\"license\": \"ISC\",", "\"loss\": 0.25,", "\"accuracy\": 0.75"],
        "{after}"
    );
}

#[test]
fn other_bytes_need_a_version_and_take_nothing_over_that_belonged_to_the_old_ones() {
    let desk = Desk::new();
    let url = &["--url=https://host.example/model.safetensors"][..];
    assert_eq!(desk.add(&[WHOLE, &[url]].concat()).status.code(), Some(0));
    desk.write("model.safetensors", &safetensors(9));
    let (code, page) = desk.told(&[ID, MEASURED]);
    assert_eq!(code, Some(1));
    assert!(page["objections"][0].as_str().unwrap().contains("not those of version 1.0.0"), "{page}");
    let (code, page) = desk.told(&[ID, &["--bump=minor"]]);
    let missing = page["missing"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap());
    assert_eq!(
        (code, missing.collect::<Vec<_>>()),
        (Some(1), vec!["provenance.runId", "provenance.metrics"])
    );
    let (code, page) = desk.told(&[
        ID,
        &["--bump=minor", "--set=provenance.runId=run-8", "--set=provenance.metrics.loss=0.125"],
    ]);
    assert_eq!(code, Some(0), "{page}");
    let entry = desk.entry("ajna-whisper-v1");
    assert_eq!((&entry["version"], &entry["artifact"]["parameters"]), (&json!("1.1.0"), &json!(9)));
    assert_eq!(entry["provenance"], json!({"runId": "run-8", "metrics": {"loss": 0.125}}));
    assert_eq!((&entry["artifact"].get("downloadUrl"), &entry["dataset"].get("commit")), (&None, &None));
    assert_eq!(entry["training"]["command"], json!("python train.py"));
}

#[test]
fn two_at_once_both_get_their_entry() {
    let desk = Desk::new();
    let ids = ["ajna-one-v1", "ajna-two-v1", "ajna-three-v1", "ajna-four-v1"];
    let children = ids.map(|id| {
        let id = format!("--id={id}");
        let chosen = [&["model.safetensors", id.as_str()][..], CHOSEN, MEASURED, &[DATASET]];
        desk.command(&chosen).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    });
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    for id in ids {
        desk.entry(id);
    }
}
