//! `hallmark sync` as operators meet it, against a hub that misbehaves.

mod limits;
mod sources;

use std::{
    fs,
    process::{Command, Stdio},
};

use base::{CommitId, Sha256};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use crate::support::{
    host::{Host, Said, digest, entry, entry_in, files, names, until},
    hub::{Access, Fault, FixtureHub, Rule, Side, Way, noise},
    peers,
};

const LENGTH: usize = 300_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_model_is_deployed_in_the_store_and_in_the_cache_under_both_its_names() {
    let (hub, weights, config) = (FixtureHub::start().await, noise(1, LENGTH), noise(2, 500));
    hub.put("org/ajna-good-v1", "model.bin", &weights);
    hub.put("org/ajna-good-v1", "sub/config.json", &config);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-good-v1", &weights).with("sub/config.json", &config)]);
    let said = host.done(&["sync"]);
    assert_eq!(said.out, "ajna-good-v1 1.0.0: deployed, verified (293.46 KiB)\n");
    for (file, bytes) in [("model.bin", &weights), ("sub/config.json", &config)] {
        assert_eq!(fs::read(host.view("ajna-good-v1", file)).unwrap(), **bytes);
        for repository in ["org/ajna-good-v1", "hallmark/ajna-good-v1"] {
            assert_eq!(fs::read(host.cached(repository, file)).unwrap(), **bytes);
        }
        assert_eq!(digest(&host.object(&Sha256::of(bytes))), Sha256::of(bytes));
    }
    assert_eq!(names(&host.store().join("partials")), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_bad_flaky_and_impossible_models_end_each_in_its_own_way() {
    let hub = FixtureHub::start().await;
    let bytes = |seed| noise(seed, LENGTH);
    let ids = ["ajna-good-v1", "ajna-tampered-v1", "ajna-closed-v1", "ajna-gone-v1", "ajna-stub-v1"];
    let entries = ids.iter().zip(1..).map(|(id, seed)| entry(id, &bytes(seed))).collect::<Vec<_>>();
    hub.put("org/ajna-good-v1", "model.bin", &bytes(1));
    // A hub that announces nothing, so that only the bytes themselves tell.
    hub.put("org/ajna-tampered-v1", "model.bin", &bytes(77));
    hub.change("org/ajna-tampered-v1", "model.bin", |it| it.way = Way::Cdn { linked: false });
    hub.put("org/ajna-closed-v1", "model.bin", &bytes(3));
    hub.close("org/ajna-closed-v1", Access::Gated("secret".to_owned()));
    hub.put("org/ajna-gone-v1", "other.bin", &bytes(4));
    let mut entries = entries;
    entries[4] = entry("ajna-stub-v1", b"").artifact("sha256", json!("0".repeat(64)));
    let mut host = Host::of(&hub);
    host.index(&entries);
    host.declares(&[&ids[..], &["xyz"]].concat());
    let said = host.run(&["sync"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    said.says(&["ajna-good-v1 1.0.0: deployed, verified"])
        .says(&["ajna-closed-v1: failed"])
        .says(&["GatedRepo", "set tokenFile", "visit https://huggingface.co/org/ajna-closed-v1"])
        .says(&["model.bin does not exist (EntryNotFound)", "visit https://huggingface.co/org/ajna-gone-v1"])
        .says(&["ajna-stub-v1: stub: its entry holds placeholders"])
        .says(&["Model 'xyz' not found in index"])
        .says(&["ajna-tampered-v1: quarantined: Model checksum verification failed"])
        .says(&[
            &Sha256::of(&bytes(2)).to_string(),
            &Sha256::of(&bytes(77)).to_string(),
            "the index is wrong",
        ]);
    assert_eq!(digest(&host.view("ajna-good-v1", "model.bin")), Sha256::of(&bytes(1)));
    for id in &ids[1..] {
        assert!(!host.store().join(id).exists(), "{id} is visible");
    }
    said.says(&["what came is kept in", &format!("{}/{}", Sha256::of(&bytes(2)), Sha256::of(&bytes(77)))]);
    let away = files(&host.store().join("quarantine"));
    assert!(away.iter().any(|it| digest(it) == Sha256::of(&bytes(77))), "{away:?}");
    assert_eq!(files(&host.store().join("objects")).len(), 1);
    assert!(!hub.seen().iter().any(|it| it.path.contains("ajna-stub")));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_the_same_ends_as_json_lines() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-good-v1", "model.bin", &bytes);
    hub.put("org/ajna-bad-v1", "model.bin", &noise(9, LENGTH));
    let mut host = Host::of(&hub);
    let bad = entry("ajna-bad-v1", &noise(2, LENGTH));
    let stub = entry("ajna-stub-v1", b"").artifact("sha256", json!("0".repeat(64)));
    host.index(&[entry("ajna-good-v1", &bytes), bad, stub]);
    host.declares(&["ajna-good-v1", "ajna-bad-v1", "ajna-stub-v1", "xyz"]);
    let said = host.run(&["sync", "--json"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    let good = said.model("ajna-good-v1");
    assert_eq!(
        (&good["state"], &good["verified"], &good["changed"]),
        (&json!("deployed"), &json!(true), &json!(true))
    );
    assert_eq!(good["size_bytes"], json!(LENGTH));
    // The hub announces another digest: it is known before the first byte.
    assert_eq!(said.model("ajna-bad-v1")["state"], "failed");
    assert_eq!(said.model("ajna-stub-v1")["state"], "stub");
    assert_eq!(said.model("xyz")["state"], "missing");
    let outcomes =
        said.events().into_iter().filter(|it| it["event"] == "file").map(|it| it["outcome"].clone());
    let mut outcomes = outcomes.collect::<Vec<_>>();
    outcomes.sort_by_key(ToString::to_string);
    assert_eq!(outcomes, ["failed", "verified"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn different_wrong_bytes_each_time_blame_the_transfer() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-torn-v1", "model.bin", &bytes);
    hub.play(Rule::times(1, Fault::Flip(5)).on("GET"));
    hub.play(Rule::times(1, Fault::Flip(6)).on("GET").after(1));
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-torn-v1", &bytes)]);
    let said = host.run(&["sync"]);
    assert_eq!(said.code, Some(1));
    said.says(&["Model checksum verification failed", "so the transfer is wrong"]);
    // The hub has recovered: nothing has to be cleaned up by hand.
    host.done(&["sync"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_listed_under_another_chakra_is_refused_and_says_what_to_correct() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-good-v1", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-good-v1", &bytes)]);
    host.deploy = vec!["by_chakra.anahata = [\"ajna-good-v1\"]".to_owned()];
    let said = host.run(&["sync"]);
    assert_eq!(said.code, Some(1));
    said.says(&["by_chakra lists it under anahata, but it is filed under ajna"]);
    assert!(hub.seen().is_empty());
    host.deploy = vec!["by_chakra.ajna = [\"ajna-good-v1\"]".to_owned()];
    host.done(&["sync"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_is_not_asked_for_again_and_not_opened() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-good-v1", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-good-v1", &bytes)]);
    host.done(&["sync"]);
    let asked = hub.seen().len();
    host.done(&["sync"]).says(&["deployed, verified", "nothing to do"]);
    assert_eq!(hub.seen().len(), asked);
    let Some(strace) = peers::program("strace", "that a second sync opens no object") else { return };
    let log = host.path("calls");
    let mut command = Command::new(strace);
    command.args(["-f", "-e", "trace=%file,%network", "-o"]).arg(&log);
    command.arg(env!("CARGO_BIN_EXE_hallmark")).args(host.arguments(&["sync"])).current_dir(host.path(""));
    let said = Said::from(command.output().unwrap());
    assert_eq!(said.code, Some(0), "{said:#?}");
    let calls = fs::read_to_string(log).unwrap();
    let hex = Sha256::of(&bytes).to_string();
    let of_object =
        calls.lines().filter(|it| it.contains(&hex) && it.contains("objects/")).collect::<Vec<_>>();
    assert!(!of_object.is_empty() && of_object.iter().all(|it| !it.contains("open")), "{of_object:#?}");
    // It looks whether a daemon runs, and speaks with nobody else.
    let mut sockets = calls.lines().filter(|it| it.contains("socket("));
    assert!(sockets.all(|it| it.contains("AF_UNIX")), "{calls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_synced_alone_leaves_the_other_one_of_its_repository_in_the_cache() {
    let hub = FixtureHub::start().await;
    let (one, two) = (noise(1, LENGTH), noise(2, LENGTH));
    hub.put("org/both", "one.bin", &one);
    hub.put("org/both", "two.bin", &two);
    let mut host = Host::of(&hub);
    host.wants(&[
        entry_in("ajna-one-v1", "org/both", "one.bin", &one),
        entry_in("ajna-two-v1", "org/both", "two.bin", &two),
    ]);
    host.done(&["sync", "ajna-one-v1"]);
    host.done(&["sync", "ajna-two-v1"]);
    assert_eq!(fs::read(host.cached("org/both", "two.bin")).unwrap(), two);
    assert_eq!(fs::read(host.cached("org/both", "one.bin")).unwrap(), one);
}

#[tokio::test(flavor = "multi_thread")]
async fn waived_checksums_deploy_wrong_bytes_marked_everywhere_and_kept_off_the_shelf() {
    let (hub, wrong) = (FixtureHub::start().await, noise(9, LENGTH));
    hub.put("org/ajna-odd-v1", "model.bin", &wrong);
    hub.change("org/ajna-odd-v1", "model.bin", |it| it.way = Way::Cdn { linked: false });
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-odd-v1", &noise(1, LENGTH))]);
    host.vault.push("verify_checksums = false".to_owned());
    host.done(&["sync"]).says(&["ajna-odd-v1", "UNVERIFIED"]);
    assert_eq!(fs::read(host.view("ajna-odd-v1", "model.bin")).unwrap(), wrong);
    assert_eq!(files(&host.store().join("objects")).len(), 0);
    assert!(!host.cached("org/ajna-odd-v1", "model.bin").exists());
    assert!(!host.cached("hallmark/ajna-odd-v1", "model.bin").exists());
    host.done(&["status"]).says(&["ajna-odd-v1", "deployed UNVERIFIED"]);
    assert_eq!(host.done(&["status", "--json"]).json()["models"][0]["verified"], json!(false));
    let asked = hub.seen().len();
    assert_eq!(host.done(&["sync", "--json"]).model("ajna-odd-v1")["verified"], json!(false));
    assert_eq!(hub.seen().len(), asked, "fetched again");
    // The waiver ends: so does what it allowed.
    host.vault.pop();
    assert_eq!(host.run(&["sync"]).code, Some(1));
    assert!(!host.store().join("ajna-odd-v1").exists());
    host.done(&["status"]).says(&["ajna-odd-v1", "quarantined", "Model checksum verification failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_whose_place_is_taken_fails_alone_and_names_the_place() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    let entries = ["ajna-one-v1", "ajna-two-v1"].map(|id| {
        let bytes = noise(id.len() as u64 + u64::from(id.as_bytes()[5]), LENGTH);
        hub.put(&format!("org/{id}"), "model.bin", &bytes);
        entry(id, &bytes)
    });
    host.wants(&entries);
    host.write("state/models/ajna-one-v1/notes.txt", b"somebody's own");
    let said = host.run(&["sync"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    said.says(&["ajna-one-v1: failed", "notes.txt"]).says(&["ajna-two-v1 1.0.0: deployed, verified"]);
    assert_eq!(fs::read(host.view("ajna-one-v1", "notes.txt")).unwrap(), b"somebody's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_no_repository_can_have_is_deployed_with_a_warning() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/plain", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry_in("ajna--odd-v1", "org/plain", "model.bin", &bytes)]);
    host.done(&["sync"])
        .says(&["ajna--odd-v1 1.0.0: deployed, verified"])
        .says(&["warning: not in the Hugging Face"]);
    assert_eq!(fs::read(host.cached("org/plain", "model.bin")).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_reads_offline_what_sync_deployed() {
    let Some(python) = peers::require("hf-2/bin/python", "reading a synced model with hf-2") else { return };
    let (hub, weights, config) = (FixtureHub::start().await, noise(1, LENGTH), noise(2, 500));
    hub.put("org/ajna-good-v1", "model.bin", &weights);
    hub.put("org/ajna-good-v1", "sub/config.json", &config);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-good-v1", &weights).with("sub/config.json", &config)]);
    host.done(&["sync"]);
    let script = "import hashlib, sys; from huggingface_hub import hf_hub_download, snapshot_download\n\
        for repo in ('org/ajna-good-v1', 'hallmark/ajna-good-v1'):\n\
        \x20   for name in ('model.bin', 'sub/config.json'):\n\
        \x20       print(hashlib.sha256(open(hf_hub_download(repo, name), 'rb').read()).hexdigest())\n\
        \x20   assert open(snapshot_download(repo) + '/sub/config.json', 'rb').read()\n";
    let mut command = Command::new(python);
    command.args(["-c", script]).env_clear().env("HOME", host.path(""));
    command.env("HF_HUB_CACHE", host.cache()).env("HF_HUB_OFFLINE", "1");
    let said = Said::from(command.output().unwrap());
    assert_eq!(said.code, Some(0), "{said:#?}");
    let digests = [&weights, &config, &weights, &config].map(|it| Sha256::of(it).to_string());
    assert_eq!(said.out.lines().collect::<Vec<_>>(), digests);
}
