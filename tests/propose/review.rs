//! What a reviewer is told about a branch that changes an index.

use serde_json::Value;

use super::{
    forge::Plays,
    scene::{BRANCH, ID, Scene},
};
use crate::support::host::Said;

/// Checks the proposal's branch out, as a workflow does, and reviews it.
fn reviewed(scene: &Scene, more: &[&str]) -> Said {
    scene.repository.git(&["fetch", "-q", "origin"]);
    scene.repository.git(&["checkout", "-q", "-B", "checked", &format!("origin/{BRANCH}")]);
    let index = scene.repository.path("work/index.json");
    let words = ["review", index.to_str().unwrap(), "--base=origin/main"];
    scene.host.run(&[&words, more].concat())
}

#[test]
fn only_what_changed_is_fetched_and_described() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    scene.done(&[]);
    let before = scene.hub.seen().len();
    let said = reviewed(&scene, &[]);
    assert_eq!(said.code, Some(0), "{said:#?}");
    assert!(said.out.starts_with("<!-- hallmark review -->\n"), "{}", said.out);
    assert!(
        said.out.contains("Adds `ajna-insight-v2` `2.0.0`, after `ajna-insight-v1` `1.0.0`."),
        "{}",
        said.out
    );
    let asked = scene.hub.seen().split_off(before);
    assert!(!asked.is_empty() && asked.iter().all(|it| it.path.contains(ID)), "{asked:?}");

    scene.hub.put(&format!("org/{ID}"), "model.safetensors", &b"other bytes".to_vec().into());
    let said = reviewed(&scene, &["--format=json"]);
    let told: Value = said.json();
    assert_eq!(
        (said.code, &told["holds"], &told["changed"][0]["model"]),
        (Some(1), &Value::Bool(false), &ID.into())
    );
    let skipped = reviewed(&scene, &["--skip-checksum"]);
    assert!(skipped.code == Some(0) && skipped.out.contains("**skipped**"), "{skipped:#?}");

    let nothing = scene.host.run(&[
        "review",
        scene.repository.path("work/index.json").to_str().unwrap(),
        &format!("--base=origin/{BRANCH}"),
    ]);
    assert!(nothing.code == Some(0) && nothing.out.contains("No entry is new"), "{nothing:#?}");
    let lost = scene.host.run(&[
        "review",
        scene.repository.path("work/index.json").to_str().unwrap(),
        "--base=origin/nowhere",
    ]);
    assert!(lost.code == Some(2) && lost.err.contains("find origin/nowhere: fetch it first"), "{lost:#?}");
}

#[test]
fn an_index_that_does_not_hold_is_said_to_be_so() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    scene.done(&[]);
    std::fs::create_dir_all(scene.repository.path("work")).unwrap();
    reviewed(&scene, &["--skip-checksum"]);
    let place = scene.repository.path("work/index.json");
    let text = std::fs::read_to_string(&place).unwrap().replace("Apache-2.0", "Apache 2");
    std::fs::write(&place, text).unwrap();
    let said = scene.host.run(&["review", place.to_str().unwrap(), "--base=origin/main"]);
    assert!(said.code == Some(1) && said.out.contains("❌ The index does not hold: 2 errors"), "{said:#?}");
}

/// Puts the report under a pull request, twice, and again when it says something else.
fn remarked_on(plays: Plays) {
    let Some(scene) = Scene::on(plays) else { return };
    scene.done(&[]);
    scene.forge.says(1, "I shall look at it tomorrow");
    let flags = scene.forge.flags();
    let mut words = vec!["--comment=1", "--forge-token-file=forge-token"];
    words.extend(flags.iter().map(String::as_str));
    let said = reviewed(&scene, &words);
    assert!(said.code == Some(0) && said.err.contains("the report is under the pull request"), "{said:#?}");
    assert_eq!(scene.forge.notes(1), ["I shall look at it tomorrow", said.out.as_str()]);
    scene.forge.changes();
    let said = reviewed(&scene, &words);
    assert!(said.err.contains("the same report is there already"), "{said:#?}");
    assert_eq!(scene.forge.changes(), Vec::<String>::new());
    words.push("--skip-checksum");
    let said = reviewed(&scene, &words);
    assert_eq!(scene.forge.notes(1), ["I shall look at it tomorrow", said.out.as_str()]);
}

#[test]
fn the_report_is_one_remark_under_the_pull_request_on_github() {
    remarked_on(Plays::GitHub);
}

#[test]
fn the_report_is_one_remark_under_the_pull_request_on_forgejo() {
    remarked_on(Plays::Forgejo);
}

#[test]
fn the_report_is_one_remark_under_the_merge_request_on_gitlab() {
    remarked_on(Plays::GitLab);
}
