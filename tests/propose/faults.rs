//! What can go wrong on the way, and how to carry on.

use super::{
    forge::Plays,
    scene::{BRANCH, Scene},
};
use crate::support::{host::Said, peers};

/// Makes sure that nothing was pushed and nothing opened.
#[track_caller]
fn nothing_happened(scene: &Scene) {
    assert_eq!((scene.tip(BRANCH).as_str(), scene.forge.changes()), ("", Vec::new()));
}

#[track_caller]
fn ends(said: &Said, code: i32, parts: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:#?}");
    let whole = format!("{}{}", said.out, said.err);
    for part in parts {
        assert!(whole.contains(part), "it does not say {part:?}: {said:#?}");
    }
    assert!(!whole.contains("s3cret"), "the token is shown: {said:#?}");
}

#[test]
fn an_entry_that_does_not_hold_is_not_pushed() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    ends(&scene.run(&["--set=license=Apache 2"]), 1, &["nothing was pushed", "license"]);
    let branch = "--url=https://huggingface.co/org/ajna-insight-v2/resolve/main/model.safetensors";
    ends(&scene.run(&[branch]), 1, &["nothing was pushed"]);
    let words = scene.words(&[]);
    let fewer =
        words.iter().map(String::as_str).filter(|it| !it.contains("frequencyHz") && !it.contains("runId"));
    ends(
        &scene.host.run(&fewer.collect::<Vec<_>>()),
        1,
        &["2 fields missing", "frequencyHz", "provenance.runId"],
    );
    nothing_happened(&scene);
}

#[test]
fn bytes_that_are_not_what_the_entry_says_are_not_proposed() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    scene.hub.put("org/ajna-insight-v2", "model.safetensors", &b"something else".to_vec().into());
    ends(&scene.run(&[]), 1, &["failed   checksum", "nothing was pushed"]);
    scene.hub.put("org/elsewhere", "model.safetensors", &b"x".to_vec().into());
    let missing =
        format!("--url=https://huggingface.co/org/nowhere/resolve/{}/model.safetensors", "ab".repeat(20));
    ends(&scene.run(&[&missing]), 1, &["failed   checksum"]);
    nothing_happened(&scene);
    let said = scene.done(&["--skip-checksum"]);
    said.says(&["skipped  checksum"]);
    let body = scene.forge.pulls()[0].body.clone();
    assert!(body.contains("| checksum | ⚠️ **skipped** | by --skip-checksum"), "{body}");
}

#[test]
fn a_forge_that_fails_after_the_push_is_no_loss_and_a_repeat_finishes() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    scene.forge.play("POST", 500, 1);
    ends(&scene.run(&[]), 2, &["is pushed at", "run the same command again to go on there", "status 500"]);
    let pushed = scene.tip(BRANCH);
    assert!(!pushed.is_empty() && scene.forge.pulls().is_empty());
    scene.done(&[]).says(&["branch", "(as before)"]).says(&["request", "(opened)"]);
    assert_eq!(scene.tip(BRANCH), pushed);
}

#[test]
fn a_forge_that_is_down_before_the_push_is_asked_again_and_then_nothing_is_pushed() {
    let Some(scene) = Scene::on(Plays::Forgejo) else { return };
    scene.forge.play("GET", 503, 3);
    ends(&scene.run(&[]), 2, &["nothing was pushed", "status 503"]);
    nothing_happened(&scene);
    scene.forge.play("GET", 502, 2);
    scene.done(&[]).says(&["request", "(opened)"]);
}

#[test]
fn a_forge_that_wants_rest_gets_it_and_one_that_moved_is_not_followed() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    scene.forge.play("GET", 301, 1);
    ends(&scene.run(&[]), 2, &["it has moved to elsewhere; correct the address", "nothing was pushed"]);
    scene.forge.play("GET", 429, 3);
    ends(&scene.run(&[]), 2, &["too many questions were put to it", "nothing was pushed"]);
    nothing_happened(&scene);
    scene.forge.play("GET", 429, 1);
    scene.forge.play("POST", 429, 1);
    scene.done(&[]).says(&["request", "(opened)"]);
}

#[test]
fn placeholders_are_proposed_only_where_that_is_wanted_and_the_description_says_so() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    let words = scene.words(&["--allow-stub"]);
    let fewer = words.iter().map(String::as_str).filter(|it| !it.contains("runId"));
    let said = scene.host.run(&fewer.collect::<Vec<_>>());
    assert_eq!(said.code, Some(0), "{said:#?}");
    said.says(&["skipped", "schema and rules", "1 warning"]).says(&["skipped", "checksum", "placeholders"]);
    let body = scene.forge.pulls()[0].body.clone();
    assert!(body.contains("TODO-STUB") && body.contains("| schema and rules | ⚠️ **skipped** |"), "{body}");
}

#[test]
fn a_folder_is_on_no_forge() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    let (flags, place) = (scene.forge.flags(), format!("--repo={}", scene.repository.file()));
    let words = scene.words(&[&place]);
    let words = words.iter().map(String::as_str).filter(|it| !flags.iter().any(|flag| flag == it));
    let words = words.collect::<Vec<_>>();
    ends(&scene.host.run(&words), 2, &["is on no forge", "--forge-repo", "--no-pr"]);
    nothing_happened(&scene);
    let said = scene.host.run(&[&words[..], &["--no-pr"]].concat());
    assert_eq!(said.code, Some(0), "{said:#?}");
    said.says(&["branch", BRANCH, "(pushed)"]);
}

#[test]
fn a_token_that_may_not_do_it_is_told_from_one_that_is_not_known() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    scene.host.write("git-token", b"read\n");
    ends(&scene.run(&[]), 2, &["these credentials may not write there"]);
    scene.host.write("git-token", b"nobody\n");
    ends(&scene.run(&[]), 2, &["log in to"]);
    scene.host.write("git-token", b"write\n");
    scene.host.write("forge-token", b"s3cret-of-somebody-else\n");
    ends(&scene.run(&[]), 2, &["it does not know the token in forge-token"]);
    nothing_happened(&scene);
    scene.host.write("forge-token", b"\n");
    ends(&scene.run(&[]), 2, &["read the forge's token"]);
    scene.host.write("forge-token", format!("{}\n", super::forge::TOKEN).as_bytes());
    scene.forge.play("POST", 403, 1);
    ends(&scene.run(&[]), 2, &["the token may not do that", "pull requests"]);
}

#[test]
fn a_protected_branch_says_so_in_the_servers_words() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    scene.repository.hook("pre-receive", "echo 'GH006: Protected branch update failed' >&2; exit 1");
    ends(&scene.run(&[]), 2, &["the server refuses it", "GH006: Protected branch update failed"]);
    nothing_happened(&scene);
}

#[test]
fn what_was_closed_or_changed_by_somebody_is_left_to_them() {
    let Some(scene) = Scene::on(Plays::GitLab) else { return };
    scene.done(&[]);
    let ours = scene.tip(BRANCH);
    scene.forge.decide(1, |it| it.is_open = false);
    let better = "--set=provenance.metrics.loss=0.2";
    ends(&scene.run(&[better]), 1, &["was closed without being merged", "/merge_requests/1", "--again"]);
    assert_eq!(scene.tip(BRANCH), ours);
    scene.done(&["--again", better]).says(&["request", "(opened)"]);
    assert_eq!(scene.forge.pulls().len(), 2);

    scene.repository.git(&["fetch", "-q", "origin"]);
    scene.repository.git(&["checkout", "-q", "-B", "review", &format!("origin/{BRANCH}")]);
    let text = scene.repository.bare(&["show", &format!("{BRANCH}:index.json")]);
    let theirs = scene.repository.push(BRANCH, &text.replace("python train.py", "python train.py --again"));
    ends(
        &scene.run(&[]),
        1,
        &["somebody else has worked on the branch", &theirs, "by Ada", "nothing was pushed"],
    );
    assert_eq!(scene.tip(BRANCH), theirs);
    let told = scene.run(&["--json"]).json();
    assert_eq!(
        (told["outcome"].as_str(), told["commit"].as_str()),
        (Some("diverged"), Some(theirs.as_str()))
    );
}

#[test]
fn two_at_once_make_one_branch_and_one_pull_request() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    let words = scene.words(&[]);
    let words = words.iter().map(String::as_str).collect::<Vec<_>>();
    let both = [scene.host.start(&words), scene.host.start(&words)];
    let said = both.map(|it| Said::from(it.wait_with_output().unwrap()));
    assert!(said.iter().all(|it| it.code == Some(0)), "{said:#?}");
    assert_eq!(scene.repository.bare(&["rev-list", "--count", &format!("main..{BRANCH}")]), "1");
    assert_eq!(scene.forge.pulls().len(), 1);
}

/// A flake whose output needs the index to be as it was meant, without anything from elsewhere.
const FLAKE: &str = r#"{
  outputs = _: {
    newest = (builtins.head (builtins.filter (it: it.id == "ajna-insight-v2")
      (builtins.fromJSON (builtins.readFile ./index.json)).models)).version;
    never = throw "this host wants another model";
  };
}"#;

#[test]
fn what_the_repositorys_flake_makes_of_the_new_index_decides() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    let Some(_) = peers::program("nix", "the evaluation of a flake") else { return };
    std::fs::write(scene.repository.path("work/flake.nix"), FLAKE).unwrap();
    let text = scene.repository.bare(&["show", "main:index.json"]);
    scene.repository.push("main", &(text + "\n"));
    let store = tempfile::tempdir().unwrap();
    let with_nix = |attribute: &str| {
        let words = scene.words(&["--nix-eval", attribute]);
        let mut command = scene.host.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
        for (name, folder) in [
            ("NIX_STORE_DIR", "store"),
            ("NIX_STATE_DIR", "var"),
            ("NIX_LOG_DIR", "log"),
            ("NIX_CONF_DIR", "conf"),
            ("XDG_CACHE_HOME", "cache"),
        ] {
            command.env(name, store.path().join(folder));
        }
        Said::from(command.env("NIX_REMOTE", "").output().unwrap())
    };
    let never = with_nix("never");
    ends(
        &never,
        1,
        &["failed   NixOS evaluation of never", "this host wants another model", "nothing was pushed"],
    );
    nothing_happened(&scene);
    // Only with the new entry in it.
    let newest = with_nix("newest");
    newest.says(&["passed", "NixOS evaluation of newest", "it evaluates with the new index"]);
    newest.says(&["passed", "Nix reads the entry"]);
    // What Nix keeps is read-only.
    let opened = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(store.path()).status();
    assert!(opened.unwrap().success());
}

#[test]
fn an_index_that_changes_while_it_is_proposed_for_is_taken_as_it_is_then() {
    let Some(scene) = Scene::on(Plays::GitLab) else { return };
    let work = scene.repository.path("work");
    scene.forge.meanwhile(move || {
        let index = work.join("index.json");
        let text = std::fs::read_to_string(&index).unwrap();
        std::fs::write(&index, text.replace("run-1", "run-1-corrected")).unwrap();
        for words in [&["commit", "-q", "-a", "-m", "correct"][..], &["push", "-q", "origin", "HEAD:main"]] {
            assert!(super::scene::git(&work, words).status.success());
        }
    });
    scene.done(&[]).says(&["branch", "(pushed)"]);
    assert_eq!(scene.repository.bare(&["merge-base", "main", BRANCH]), scene.tip("main"));
    let older = scene.repository.entry(BRANCH, "ajna-insight-v1");
    assert_eq!(older["provenance"]["runId"], "run-1-corrected");
    assert_eq!(scene.repository.entry(BRANCH, super::scene::ID)["provenance"]["runId"], "run-7");
    // The artifact was not fetched a second time for it.
    assert_eq!(scene.hub.count(crate::support::hub::Side::Hub, "GET"), 1);
}
