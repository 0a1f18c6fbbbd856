//! A model is proposed, again and again, on every forge.

use super::{
    forge::Plays,
    scene::{BRANCH, ID, Scene},
};

/// Proposes the same, something new, and on top of a newer index.
fn proposed_on(plays: Plays) {
    let Some(scene) = Scene::on(plays) else { return };
    let said = scene.done(&[]);
    said.says(&["branch", BRANCH, "(pushed)"]).says(&["request", &scene.forge.url, "(opened)"]);
    said.says(&["passed", "schema and rules"]).says(&["passed", "checksum", "1 file"]);
    let pulls = scene.forge.pulls();
    assert_eq!((pulls.len(), pulls[0].title.as_str()), (1, "Add model artifact: ajna-insight-v2"));
    assert_eq!((pulls[0].branch.as_str(), pulls[0].base.as_str()), (BRANCH, "main"));
    let body = &pulls[0].body;
    assert!(body.starts_with("Adds `ajna-insight-v2` `2.0.0`, after `ajna-insight-v1` `1.0.0`.\n"), "{body}");
    assert!(body.contains("| `loss` | `0.25` | `0.5` | −0.25 |"), "{body}");
    assert!(body.contains("| checksum | ✅ passed | 1 file"), "{body}");
    assert_eq!(scene.repository.bare(&["diff", "--stat", "--format=", "main", BRANCH]).lines().count(), 2);
    assert_eq!(scene.repository.entry(BRANCH, ID)["provenance"]["runId"], "run-7");
    assert_eq!(
        scene.repository.entry(BRANCH, "ajna-insight-v1"),
        scene.repository.entry("main", "ajna-insight-v1")
    );
    assert_eq!(scene.forge.changes().len(), 1);

    // The same once more.
    let first = scene.tip(BRANCH);
    scene.done(&[]).says(&["branch", "(as before)"]).says(&["request", "(as before)"]);
    assert_eq!((scene.tip(BRANCH), scene.forge.changes()), (first.clone(), Vec::new()));

    // Another result of the same run.
    let said = scene.done(&["--set=provenance.metrics.loss=0.125"]);
    said.says(&["branch", "(pushed)"]).says(&["request", "(updated)"]);
    let second = scene.tip(BRANCH);
    assert_ne!(second, first);
    assert_eq!(scene.repository.bare(&["rev-list", "--count", &format!("main..{BRANCH}")]), "1");
    let pulls = scene.forge.pulls();
    assert!(pulls.len() == 1 && pulls[0].body.contains("`0.125`"), "{pulls:?}");

    // Meanwhile somebody else's entry was merged.
    let text =
        scene.repository.bare(&["show", "main:index.json"]).replace("ajna-insight-v1", "ajna-other-v1");
    let other = text.split_once('[').unwrap().1.rsplit_once(']').unwrap().0.trim().to_owned();
    let old = scene.repository.bare(&["show", "main:index.json"]);
    scene.repository.push("main", &old.replacen('[', &format!("[{other},"), 1));
    scene
        .done(&["--set=provenance.metrics.loss=0.125"])
        .says(&["branch", "(pushed)"])
        .says(&["request", "(as before)"]);
    assert_eq!(scene.repository.entry(BRANCH, "ajna-other-v1")["id"], "ajna-other-v1");
    assert_eq!(scene.repository.entry(BRANCH, ID)["provenance"]["metrics"]["loss"], 0.125);
    assert_eq!(scene.repository.bare(&["merge-base", "main", BRANCH]), scene.tip("main"));

    // It is merged, and proposed again.
    scene.repository.merge(BRANCH);
    scene.forge.decide(1, |it| (it.is_open, it.is_merged) = (false, true));
    scene.done(&["--set=provenance.metrics.loss=0.125"]).says(&["merged already", "nothing to do"]);

    // A later run of the same model.
    let digest = scene.trains(16);
    let said = scene.done(&["--bump=minor"]);
    said.says(&["ajna-insight-v2 2.1.0: proposed"]).says(&["request", "(opened)"]);
    assert_eq!(scene.repository.entry(BRANCH, ID)["artifact"]["sha256"], digest.to_string());
    let pulls = scene.forge.pulls();
    assert!(
        pulls[1].body.starts_with("Updates `ajna-insight-v2` from `2.0.0` to `2.1.0`.\n"),
        "{}",
        pulls[1].body
    );
    assert_eq!(pulls.len(), 2);
}

#[test]
fn a_model_is_proposed_on_github_as_often_as_there_is_something_new() {
    proposed_on(Plays::GitHub);
}

#[test]
fn a_model_is_proposed_on_forgejo_as_often_as_there_is_something_new() {
    proposed_on(Plays::Forgejo);
}

#[test]
fn a_model_is_proposed_on_gitlab_as_often_as_there_is_something_new() {
    proposed_on(Plays::GitLab);
}

#[test]
fn without_a_pull_request_it_ends_with_the_link_where_one_can_be_made() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    let link = format!("{}/org/models/compare/main...{BRANCH}?expand=1", scene.forge.url);
    scene.done(&["--no-pr"]).says(&["compare", &link]);
    assert!(!scene.tip(BRANCH).is_empty());
    assert!(scene.forge.pulls().is_empty() && scene.forge.changes().is_empty());
    let told = scene.done(&["--no-pr", "--json"]).json();
    assert_eq!((told["outcome"].as_str(), &told["pushed"]), (Some("proposed"), &serde_json::json!(false)));
    assert_eq!(told["compare"], link);
}

#[test]
fn in_a_clone_that_somebody_works_in_nothing_but_the_branch_is_new() {
    let Some(scene) = Scene::on(Plays::Forgejo) else { return };
    let url =
        scene.server.place("").trim_start_matches("git+").replace("http://", "http://x-access-token:write@");
    let mine = scene.host.path("mine");
    scene.repository.git(&["clone", "-q", &url, mine.to_str().unwrap()]);
    std::fs::write(mine.join("index.json"), "in the middle of something").unwrap();
    let said = scene.done(&["--repo=mine"]);
    assert!(!format!("{said:?}").contains("write@"), "{said:?}");
    let mine = |words: &[&str]| String::from_utf8(super::scene::git(&mine, words).stdout).unwrap();
    assert_eq!(mine(&["rev-parse", BRANCH]).trim(), scene.tip(BRANCH));
    assert_eq!(mine(&["status", "--porcelain"]), " M index.json\n");
    assert_eq!(scene.forge.pulls().len(), 1);
}
