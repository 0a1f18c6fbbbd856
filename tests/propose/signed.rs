//! What a proposal leaves behind for those who check: signatures, events, and in the end a deployed model.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::{
    forge::Plays,
    scene::{BRANCH, ID, Scene},
};
use crate::support::{daemon::Daemon, host::Host, peers};

/// Makes a key that signs events, and returns whose it is.
fn event_key(scene: &Scene) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(["key", "new", "ci.key", "--json"])
        .current_dir(scene.host.path(""))
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    shown["pubkey"].as_str().unwrap().to_owned()
}

#[test]
fn the_commit_carries_a_signature_that_git_verifies() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    let Some(_) = peers::program("ssh-keygen", "signed proposals") else { return };
    let key = scene.host.path("signing");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    scene.done(&["--signing-key=signing"]);
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = scene.host.write("signers", format!("ci@example.org {public}").as_bytes());
    let signers = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    scene.repository.bare(&["-c", &signers, "verify-commit", BRANCH]);
    let trailers = scene.repository.bare(&["log", "-1", "--format=%(trailers:key=Signed-off-by)", BRANCH]);
    assert_eq!(trailers, "Signed-off-by: Training CI <ci@example.org>");
}

#[test]
fn the_proposal_is_an_event_that_rests_on_the_run_and_the_dataset_and_can_be_voted_on() {
    let Some(scene) = Scene::on(Plays::Forgejo) else { return };
    let author = event_key(&scene);
    let listening = Host::of(&scene.hub);
    listening.index(&[]);
    let daemon = Daemon::start(&listening);
    let (url, key) = (format!("--daemon={}", daemon.url()), "--event-key=ci.key");
    let said = scene.done(&[&url, key]);
    said.says(&["event", "30405", "(signed)"]).says(&["event", "30409", "(signed)"]);
    said.says(&["event", "30301", "(signed)"]);
    let page = scene.runtime.block_on(daemon.json("/v1/proposals"));
    let proposal = &page["proposals"][0];
    assert_eq!(page["proposals"].as_array().unwrap().len(), 1, "{page}");
    let digest = scene.repository.entry(BRANCH, ID)["artifact"]["sha256"].as_str().unwrap().to_owned();
    let body = scene.forge.pulls()[0].body.clone();
    let name = format!("`ajna-insight-v2@2.0.0+{}`", &digest[..16]);
    assert!(body.contains(&name) && body.contains(&format!("`{author}`")), "{body}");
    let text = proposal.to_string();
    assert!(text.contains(&digest) && text.contains(ID) && text.contains(&author), "{text}");
    let query = format!("/v1/events?author={author}");
    let events = scene.runtime.block_on(daemon.json(&query));
    let events = events["events"].as_array().unwrap();
    let of = |kind: u64| events.iter().map(|it| &it["event"]).find(|it| it["kind"] == kind).unwrap();
    let parent = |kind: u64| {
        let tags = of(kind)["tags"].as_array().unwrap();
        tags.iter().find(|it| it[0] == "parent").unwrap()[1].clone()
    };
    assert_eq!((parent(30301), parent(30409)), (of(30409)["id"].clone(), of(30405)["id"].clone()));
    assert!(of(30409)["content"].as_str().unwrap().contains("\"loss\":0.25"));

    // The same says nothing new; a vote finds the proposal.
    scene.done(&[&url, key]).says(&["event", "30301", "(as before)"]);
    let again = scene.runtime.block_on(daemon.json(&query));
    assert_eq!(again["events"].as_array().unwrap().len(), 3);
    let id = of(30301)["id"].as_str().unwrap();
    let subspace = of(30301)["tags"].as_array().unwrap().iter().find(|it| it[0] == "sid").unwrap()[1].clone();
    let vote = json!({ "kind": 30302, "tags": [
        ["d", "subspace_op"], ["sid", subspace], ["op", "vote"], ["proposal_id", id], ["vote", "yes"]
    ], "content": "" });
    scene.host.write("vote.json", vote.to_string().as_bytes());
    let hallmark = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        let output = command.args(words).current_dir(scene.host.path("")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let signed = hallmark(&["event", "sign", "vote.json", "--key", "ci.key"]);
    scene.host.write("vote.signed", &signed);
    hallmark(&["event", "publish", "vote.signed", &url]);
    let page = scene.runtime.block_on(daemon.json("/v1/proposals"));
    assert_eq!(page["proposals"][0]["votes"][0]["choice"], "yes", "{page}");

    // Without the daemon the proposal stands, and it is said what is missing.
    drop(daemon);
    let said = scene.run(&[&url, key]);
    assert!(said.code == Some(2) && said.err.contains("its events are not in the log"), "{said:#?}");
}

#[test]
fn from_a_trained_file_to_a_verified_deployment_nobody_edits_json() {
    let Some(scene) = Scene::on(Plays::GitHub) else { return };
    // A host follows the repository, and waits for a model that is not there yet.
    let mut fleet = Host::of(&scene.hub);
    fleet.declares(&[ID]);
    let place = scene.repository.file();
    let words = ["--index", place.as_str()];
    let daemon = Daemon::start_with(&fleet, &words);
    scene
        .runtime
        .block_on(daemon.until_says("/v1/models", "it waits", |it| it.to_string().contains("missing")));

    // A run ends. What it left is proposed as it stands.
    let digest = scene.trains(1000);
    let Some(words) = scene.leaves_a_run() else { return };
    let said = scene.host.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(said.code, Some(0), "{said:#?}");
    let entry = scene.repository.entry(BRANCH, ID);
    assert_eq!(entry["provenance"]["metrics"]["loss"], 0.5, "of the Trainer's own log");
    assert_eq!(entry["training"]["commit"], scene.repository.git(&["-C", "../code", "rev-parse", "HEAD"]));
    assert_eq!(entry["artifact"]["files"][0]["path"], "config.json");
    let pull = &scene.forge.pulls()[0];
    assert_eq!((pull.branch.as_str(), pull.title.as_str()), (BRANCH, "Add model artifact: ajna-insight-v2"));

    // Somebody reads the description and merges it.
    scene.repository.merge(BRANCH);
    scene.forge.decide(1, |it| (it.is_open, it.is_merged) = (false, true));
    // It looks every five minutes; a story does not wait so long.
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    scene.runtime.block_on(daemon.until(ID, "deployed"));
    let deployed = fleet.view(ID, "model.safetensors");
    assert_eq!(fs::read(fleet.view(ID, "config.json")).unwrap(), b"{}");
    assert_eq!(crate::support::host::digest(&deployed), digest);

    // What became of it is signed, from the dataset to the deployment.
    let path = format!("/v1/models/{ID}/provenance");
    let told = |it: &Value| {
        let text = it.to_string();
        ["30405", "30409", "30404", "\"verified\"", "\"deployed\""].iter().all(|part| text.contains(part))
    };
    let graph = scene.runtime.block_on(daemon.until_says(&path, "the graph is whole", told));
    assert!(
        graph.to_string().contains(&digest.to_string()) && graph.to_string().contains("org/data"),
        "{graph}"
    );
}
