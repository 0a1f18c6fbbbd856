//! `hallmark sync` as operators meet it, against a hub that misbehaves.

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
async fn a_hub_that_fails_now_and_then_is_asked_again_until_the_file_is_whole() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-flaky-v1", "model.bin", &bytes);
    hub.play(Rule::times(1, Fault::Status(503, &[("retry-after", "0")])));
    hub.play(Rule::times(1, Fault::Cut(100_000)).on("GET"));
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-flaky-v1", &bytes)]);
    host.done(&["sync"]).says(&["deployed, verified"]);
    assert_eq!(hub.ranges().last().unwrap(), &format!("bytes=100000-{}", LENGTH - 1));
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
async fn one_digest_in_two_models_is_fetched_once_and_two_models_share_a_repository_in_the_cache() {
    let (hub, config) = (FixtureHub::start().await, noise(9, 500));
    let (one, two) = (noise(1, LENGTH), noise(2, LENGTH));
    for (name, bytes) in [("one.bin", &one), ("two.bin", &two), ("config.json", &config)] {
        hub.put("org/both", name, bytes);
    }
    let mut host = Host::of(&hub);
    let entries = [
        entry_in("ajna-one-v1", "org/both", "one.bin", &one).with("config.json", &config),
        entry_in("ajna-two-v1", "org/both", "two.bin", &two).with("config.json", &config),
    ];
    host.wants(&entries);
    host.done(&["sync"]);
    let gets = hub.seen().iter().filter(|it| it.method == "GET" && it.path.ends_with("config.json")).count();
    assert_eq!(gets, 1);
    for (name, bytes) in [("one.bin", &one), ("two.bin", &two), ("config.json", &config)] {
        assert_eq!(fs::read(host.cached("org/both", name)).unwrap(), **bytes);
    }
    assert!(
        host.view("ajna-two-v1", "config.json").exists() && !host.view("ajna-two-v1", "one.bin").exists()
    );
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
async fn a_branch_is_pinned_to_the_commit_that_the_hub_names_and_a_revision_is_asked_for_as_it_is() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    let commit = "cd".repeat(20);
    for id in ["ajna-branch-v1", "ajna-pinned-v1"] {
        hub.put(&format!("org/{id}"), "model.bin", &bytes);
        hub.commit(&format!("org/{id}"), CommitId::parse(&commit).unwrap());
    }
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-branch-v1", &bytes)]);
    host.done(&["sync"]);
    let path = |revision: &str, id: &str| format!("/org/{id}/resolve/{revision}/model.bin");
    let seen = hub.seen().iter().map(|it| (it.method.clone(), it.path.clone())).collect::<Vec<_>>();
    let pair = |method: &str, path: String| (method.to_owned(), path);
    assert_eq!(
        seen,
        [pair("HEAD", path("main", "ajna-branch-v1")), pair("GET", path(&commit, "ajna-branch-v1"))]
    );
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-pinned-v1", &bytes).pinned(&commit)]);
    host.done(&["sync"]);
    assert!(hub.seen()[2..].iter().all(|it| it.path == path(&commit, "ajna-pinned-v1")));
    let repo = host.cache().join("models--org--ajna-pinned-v1");
    assert_eq!(fs::read(repo.join("refs/main")).unwrap(), commit.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_are_asked_before_the_hub_and_seeds_before_any_network() {
    let (hub, mirror) = (FixtureHub::start().await, FixtureHub::start().await);
    let (here, there, far) = (noise(1, LENGTH), noise(2, LENGTH), noise(3, LENGTH));
    let ids = ["ajna-here-v1", "ajna-there-v1", "ajna-far-v1"];
    for (id, bytes) in ids.iter().zip([&here, &there, &far]) {
        hub.put(&format!("org/{id}"), "model.bin", bytes);
    }
    mirror.put("any/name", "x", &there);
    let mut host = Host::of(&hub);
    host.write("usb/some/name.dat", &here);
    host.vault.push(format!("mirrors = [\"{}\"]", mirror.url()));
    host.vault.push(format!("seeds = [\"{}\"]", host.path("usb").display()));
    host.wants(&[entry(ids[0], &here), entry(ids[1], &there), entry(ids[2], &far)]);
    host.done(&["sync"]);
    let asked = |hub: &FixtureHub, text: &str| hub.seen().iter().any(|it| it.path.contains(text));
    assert!(
        !asked(&mirror, &Sha256::of(&here).to_string()) && !asked(&hub, ids[0]),
        "the seed was not enough"
    );
    assert!(
        asked(&mirror, &Sha256::of(&there).to_string()) && !asked(&hub, ids[1]),
        "the mirror was not enough"
    );
    assert!(asked(&mirror, &Sha256::of(&far).to_string()) && asked(&hub, ids[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_air_gapped_host_deploys_a_model_without_any_url_from_its_seeds() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    let mut host = Host::of(&hub);
    host.write("usb/x", &bytes);
    host.wants(&[entry("ajna-good-v1", &bytes).artifact("downloadUrl", json!(null))]);
    let said = host.run(&["sync"]);
    assert_eq!(said.code, Some(1));
    said.says(&["ajna-good-v1/model.bin has no source", "downloadUrl", "[vault] mirrors or seeds"]);
    host.vault.push(format!("seeds = [\"{}\"]", host.path("usb").display()));
    host.done(&["sync"]);
    assert!(hub.seen().is_empty());
    assert_eq!(fs::read(host.cached("hallmark/ajna-good-v1", "model.bin")).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_url_in_the_index_is_refused_before_anything_happens() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    let mut host = Host::of(&hub);
    let url = format!("file://{}", host.write("usb/model.bin", &bytes).display());
    host.wants(&[entry("ajna-good-v1", &bytes).artifact("downloadUrl", json!(url))]);
    let said = host.run(&["sync"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("index.json does not hold: 1 error; the first at line 5"), "{said:#?}");
    assert!(said.err.contains("data.artifact.downloadUrl should be an https URL"), "{said:#?}");
    assert!(files(&host.store().join("objects")).is_empty());
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
async fn the_token_goes_to_the_endpoint_alone_and_shows_nowhere_and_may_change_between_two_syncs() {
    let hub = FixtureHub::start().await;
    let ids = ["ajna-one-v1", "ajna-two-v1"];
    let bytes = [noise(1, LENGTH), noise(2, LENGTH)];
    for ((id, bytes), token) in ids.iter().zip(&bytes).zip(["hf_firstSecret", "hf_secondSecret"]) {
        let repository = format!("org/{id}");
        hub.put(&repository, "model.bin", bytes);
        hub.change(&repository, "model.bin", |it| it.way = Way::Cdn { linked: true });
        hub.close(&repository, Access::Private(token.to_owned()));
    }
    let mut host = Host::of(&hub);
    host.wants(&[entry(ids[0], &bytes[0]), entry(ids[1], &bytes[1])]);
    host.hub.push(format!("token_file = \"{}\"", host.write("token", b"hf_firstSecret\n").display()));
    let first = host.run(&["sync", "--json"]);
    assert_eq!(first.code, Some(1));
    assert_eq!(first.model(ids[0])["state"], "deployed", "{first:#?}");
    assert_eq!(first.model(ids[1])["state"], "failed");
    host.write("token", b"hf_secondSecret\n");
    let second = host.done(&["sync"]);
    for seen in hub.seen() {
        assert_eq!(seen.header("authorization").is_some(), seen.side == Side::Hub, "{seen:?}");
    }
    assert!(hub.count(Side::Cdn, "GET") > 0);
    let mut texts = [first, second].map(|it| it.out + &it.err).to_vec();
    for path in files(&host.path("state")) {
        texts.push(String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
    }
    assert!(texts.iter().all(|it| !it.contains("Secret") && !it.contains("signature=")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_told_to_stop_keeps_what_came_and_the_next_one_goes_on_there() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (hub, bytes) = (FixtureHub::start().await, noise(1, 8 << 20));
        hub.put("org/ajna-good-v1", "model.bin", &bytes);
        hub.play(Rule::times(1, Fault::HangAfter(5 << 20)).on("GET"));
        let mut host = Host::of(&hub);
        host.wants(&[entry("ajna-good-v1", &bytes)]);
        let sync = host.start(&["sync"]);
        let partial = host.store().join(format!("partials/{}.part", Sha256::of(&bytes)));
        until("five mebibytes", || fs::metadata(&partial).is_ok_and(|it| it.len() >= 5 << 20));
        kill(Pid::from_raw(sync.id().try_into().unwrap()), signal).unwrap();
        let said = Said::from(sync.wait_with_output().unwrap());
        assert_eq!(said.code, Some(2), "{said:#?}");
        assert!(said.err.contains("stopped by a signal; what came so far is kept"), "{said:#?}");
        host.done(&["sync"]);
        assert_eq!(hub.ranges(), ["-".to_owned(), format!("bytes={}-{}", 5 << 20, (8 << 20) - 1)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_at_once_fetch_each_file_once_and_both_succeed() {
    let hub = FixtureHub::start().await;
    let ids = (0..8).map(|it| format!("ajna-m{it}-v1")).collect::<Vec<_>>();
    let bytes = (0..8).map(|it| noise(it, 2 << 20)).collect::<Vec<_>>();
    let mut host = Host::of(&hub);
    let entries = ids.iter().zip(&bytes).map(|(id, bytes)| {
        hub.put(&format!("org/{id}"), "model.bin", bytes);
        entry(id, bytes)
    });
    host.wants(&entries.collect::<Vec<_>>());
    host.vault.push(format!("bandwidth_bytes_per_second = {}", 8 << 20));
    let first = host.start(&["sync"]);
    until("the first request", || !hub.seen().is_empty());
    // One that comes later and goes file by file finds most of them done when it gets there.
    host.vault.push("downloads_max = 1".to_owned());
    for sync in [first, host.start(&["sync"])] {
        let said = Said::from(sync.wait_with_output().unwrap());
        assert_eq!(said.code, Some(0), "{said:#?}");
    }
    for id in &ids {
        let gets = hub.seen().iter().filter(|it| it.method == "GET" && it.path.contains(id)).count();
        assert_eq!(gets, 1, "{id}");
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_keeps_what_came_and_goes_on_once_there_is_room() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 12 << 20));
    hub.put("org/ajna-big-v1", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-big-v1", &bytes)]);
    // What else is on the disk leaves too little for this model; it goes in the second part.
    let script = "mount -t tmpfs -o size=24m tmpfs \"$0\" && head -c 15M /dev/zero > \"$0/ballast\"\n\
        \"$@\"; echo \"ended with $?\" >&2; rm \"$0/ballast\"\n\
        \"$@\"; echo \"then with $?\" >&2\n\
        sha256sum \"$0\"/models/ajna-big-v1/model.bin";
    fs::create_dir_all(host.path("state")).unwrap();
    let unshare = |script: &str, more: &[String]| {
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-c", script]).arg(host.path("state")).args(more);
        command.current_dir(host.path("")).output()
    };
    let may_mount = unshare("mount -t tmpfs -o size=1m tmpfs \"$0\"", &[]);
    if !may_mount.is_ok_and(|it| it.status.success()) {
        peers::pass_over("a sync onto a full disk", "nothing may be mounted here");
        return;
    }
    let mut program = vec![env!("CARGO_BIN_EXE_hallmark").to_owned()];
    program.extend(host.arguments(&["sync"]));
    let said = Said::from(unshare(script, &program).unwrap());
    assert!(said.err.contains("ended with 1") && said.err.contains("then with 0"), "{said:#?}");
    said.says(&[
        "ajna-big-v1: failed: no room for ajna-big-v1/model.bin",
        "needs",
        "make room and it goes on",
    ]);
    said.says(&["ajna-big-v1 1.0.0: deployed, verified"]).says(&[&Sha256::of(&bytes).to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_half_way_stops_the_sync_and_the_next_one_fetches_only_the_rest() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 12 << 20));
    hub.put("org/ajna-big-v1", "model.bin", &bytes);
    hub.play(Rule::times(1, Fault::HangAfter(4 << 20)).on("GET"));
    let mut host = Host::of(&hub);
    host.vault.push("idle_seconds_max = 2".to_owned());
    host.wants(&[entry("ajna-big-v1", &bytes)]);
    fs::create_dir_all(host.path("state")).unwrap();
    // While the hub pauses, somebody else takes the room.
    let script = "mount -t tmpfs -o size=24m tmpfs \"$0\"\n\
        \"$@\" & until [ \"$(cat \"$0\"/models/partials/*.part 2>/dev/null | wc -c)\" -ge 4194304 ]; do :; done\n\
        head -c 30M /dev/zero > \"$0/ballast\" 2>/dev/null; wait $!; echo \"ended with $?\" >&2\n\
        rm \"$0/ballast\"; \"$@\"; echo \"then with $?\" >&2";
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", script]).arg(host.path("state")).arg(env!("CARGO_BIN_EXE_hallmark"));
    command.args(host.arguments(&["sync"])).current_dir(host.path(""));
    let probe = Command::new("unshare")
        .args(["-Urm", "mount", "-t", "tmpfs", "tmpfs"])
        .arg(host.path("state"))
        .status();
    if !probe.is_ok_and(|it| it.success()) {
        peers::pass_over("a disk that fills up during a sync", "nothing may be mounted here");
        return;
    }
    let said = Said::from(command.output().unwrap());
    assert!(said.err.contains("ended with 1") && said.err.contains("then with 0"), "{said:#?}");
    said.says(&["no room for ajna-big-v1/model.bin"]).says(&["ajna-big-v1 1.0.0: deployed, verified"]);
    let last = hub.ranges().last().unwrap().clone();
    assert!(last.starts_with("bytes=") && !last.starts_with("bytes=0-"), "{:?}", hub.ranges());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 512 << 20));
    hub.put("org/ajna-huge-v1", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-huge-v1", &bytes)]);
    let mut sync = host.command(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", sync.id());
    let (mut peak_kibibytes, mut ended) = (0, None);
    until("the end", || {
        // Not the pages of the program file itself, which are many in a build for tests.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|it| it.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB"));
        peak_kibibytes = line.and_then(|it| it.parse::<u64>().ok()).unwrap_or(0).max(peak_kibibytes);
        ended = sync.try_wait().unwrap();
        ended.is_some()
    });
    assert!(ended.unwrap().success());
    assert!((1..64 << 10).contains(&peak_kibibytes), "{peak_kibibytes} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_down_is_named_with_its_reason_and_not_once_for_every_file() {
    let mut host = Host::at("http://127.0.0.1:9");
    host.vault = vec!["keep_free_bytes = 0".to_owned(), "tries_max = 0".to_owned()];
    let files = ["a.json", "b.json", "c.json", "d.json", "e.json"];
    let model = entry("ajna-far-v1", &noise(1, LENGTH));
    host.wants(&[files.iter().zip(2..).fold(model, |it, (name, seed)| it.with(name, &noise(seed, 500)))]);
    let said = host.run(&["sync"]);
    assert_eq!(said.code, Some(1));
    said.says(&["ajna-far-v1: failed: no source gave ajna-far-v1/model.bin"])
        .says(&["read http://127.0.0.1:9/org/ajna-far-v1/resolve/main/model.bin", "Connection refused"])
        .says(&["and 3 files more of this model did not come"]);
    let address = "http://127.0.0.1:9/org/ajna-far-v1/resolve/main/model.bin";
    assert_eq!(said.out.matches(address).count(), 1, "{said:#?}");
}
