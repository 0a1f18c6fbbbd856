//! `hallmark gc` and `hallmark status`: what goes, what stays, and what an operator is told of it.

use std::{fs, path::PathBuf, time::UNIX_EPOCH};

use base::Sha256;
use bytes::Bytes;
use serde_json::json;

use crate::support::{
    host::{Entry, Host, entry, entry_in, files, names},
    hub::{Access, Fault, FixtureHub, Rule, Side, Way, noise},
};

const LENGTH: usize = 300_000;

/// A host with these models deployed long ago.
fn long_ago(hub: &FixtureHub, entries: &[Entry]) -> Host {
    let mut host = Host::of(hub);
    host.wants(entries);
    host.done(&["sync"]);
    host.ages();
    host
}

fn model(hub: &FixtureHub, id: &str, seed: u64) -> (Entry, Bytes) {
    let bytes = noise(seed, LENGTH);
    hub.put(&format!("org/{id}"), "model.bin", &bytes);
    (entry(id, &bytes), bytes)
}

/// All paths below the state folder, with what stands there.
fn everything(host: &Host) -> Vec<(PathBuf, u64)> {
    files(&host.path("state")).into_iter().map(|it| (it.clone(), fs::metadata(it).unwrap().len())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwanted_model_goes_with_its_views_and_the_wanted_and_the_pinned_stay() {
    let hub = FixtureHub::start().await;
    let models = ["ajna-old-v1", "ajna-kept-v1", "ajna-pinned-v1"];
    let models = models.iter().zip(1..).map(|(id, seed)| model(&hub, id, seed)).collect::<Vec<_>>();
    let entries = models.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
    let mut host = long_ago(&hub, &entries);
    host.declares(&["ajna-kept-v1"]);
    host.vault.push("pins = [\"ajna-pinned-v1\"]".to_owned());
    let before = everything(&host);
    let digest = Sha256::of(&models[0].1).to_string();
    let planned = host.done(&["gc", "--dry-run"]);
    planned
        .says(&["model ajna-old-v1"])
        .says(&["snapshot org/ajna-old-v1 at"])
        .says(&["snapshot hallmark/ajna-old-v1 at"])
        .says(&["object", &digest, "292.97 KiB", "unused"])
        .says(&["would free 292.97 KiB in 1 object", "nothing was removed"]);
    assert!(!planned.out.contains("kept") && !planned.out.contains("pinned"), "{planned:#?}");
    assert_eq!(everything(&host), before, "a dry run changed something");
    host.done(&["gc"]).says(&["freed 292.97 KiB: 1 object, 0 partials, 0 quarantined"]);
    assert!(!host.store().join("ajna-old-v1").exists() && !host.object(&Sha256::of(&models[0].1)).exists());
    for repository in ["org/ajna-old-v1", "hallmark/ajna-old-v1"] {
        assert!(!host.cached(repository, "model.bin").exists());
    }
    host.check(&entries[1..]);
    for ((_, bytes), id) in models[1..].iter().zip(["ajna-kept-v1", "ajna-pinned-v1"]) {
        assert_eq!(fs::read(host.view(id, "model.bin")).unwrap(), **bytes);
        assert_eq!(fs::read(host.cached(&format!("org/{id}"), "model.bin")).unwrap(), **bytes);
    }
    host.done(&["gc"]).says(&["freed 0 B: 0 objects, 0 partials, 0 quarantined"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_lately_stays_although_nobody_wants_it() {
    let hub = FixtureHub::start().await;
    let (entry, bytes) = model(&hub, "ajna-used-v1", 1);
    let mut host = long_ago(&hub, &[entry]);
    host.declares(&[]);
    // This file is as new as the story: the lease was used a week before.
    let now = fs::metadata(host.path("index.json")).unwrap().modified().unwrap();
    let lease = host.store().join(format!("leases/{}", Sha256::of(&bytes)));
    let week_ago = now - std::time::Duration::from_hours(7 * 24);
    fs::File::open(&lease).unwrap().set_modified(week_ago).unwrap();
    host.vault.push("keep_unused_days = 8".to_owned());
    host.done(&["gc"]).says(&["freed 0 B"]);
    assert!(host.view("ajna-used-v1", "model.bin").exists());
    host.vault.pop();
    host.vault.push("keep_unused_days = 6".to_owned());
    host.done(&["gc"]).says(&["1 object"]);
    assert!(!host.store().join("ajna-used-v1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companion_that_a_wanted_model_shares_survives_the_other_model() {
    let (hub, config) = (FixtureHub::start().await, noise(50, 500));
    let entries = [("ajna-old-v1", 1), ("ajna-kept-v1", 2)].map(|(id, seed)| {
        hub.put(&format!("org/{id}"), "config.json", &config);
        model(&hub, id, seed).0.with("config.json", &config)
    });
    let mut host = long_ago(&hub, &entries);
    host.declares(&["ajna-kept-v1"]);
    host.done(&["gc"]).says(&["model"]);
    assert!(!host.store().join("ajna-old-v1").exists());
    assert_eq!(fs::read(host.view("ajna-kept-v1", "config.json")).unwrap(), config);
    assert_eq!(files(&host.store().join("objects")).len(), 2);
    host.check(&entries);
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_partials_and_old_quarantine_age_out_and_fresh_ones_stay() {
    let hub = FixtureHub::start().await;
    let (broken, _) = model(&hub, "ajna-broken-v1", 1);
    hub.put("org/ajna-wrong-v1", "model.bin", &noise(9, LENGTH));
    hub.change("org/ajna-wrong-v1", "model.bin", |it| it.way = Way::Cdn { linked: false });
    hub.play(Rule::always(Fault::Cut(100_000)).on("GET").at(Side::Hub));
    let mut host = Host::of(&hub);
    host.vault.retain(|it| !it.starts_with("tries_max"));
    host.vault.push("tries_max = 0".to_owned());
    host.wants(&[broken, entry("ajna-wrong-v1", &noise(2, LENGTH))]);
    assert_eq!(host.run(&["sync"]).code, Some(1));
    let (partials, quarantine) = (host.store().join("partials"), host.store().join("quarantine"));
    let away = |folder: &PathBuf| files(folder).iter().filter(|it| !it.ends_with(".lock")).count();
    assert!(away(&partials) > 0 && away(&quarantine) > 0, "{:?}", everything(&host));
    host.done(&["gc"]).says(&["freed 0 B"]);
    assert!(away(&partials) > 0 && away(&quarantine) > 0);
    host.ages();
    for record in files(&quarantine).iter().filter(|it| it.extension().is_some_and(|it| it == "json")) {
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
        (json["first"], json["last"]) = (json!(1), json!(1));
        fs::write(record, json.to_string()).unwrap();
    }
    host.done(&["gc", "--dry-run"]).says(&["partial"]).says(&["quarantined", "promised"]);
    host.done(&["gc"]);
    assert_eq!((away(&partials), away(&quarantine)), (0, 0), "{:?}", everything(&host));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_budget_the_longest_unused_goes_first_and_what_is_wanted_never() {
    let hub = FixtureHub::start().await;
    let models = ["ajna-one-v1", "ajna-two-v1", "ajna-wanted-v1"];
    let models = models.iter().zip(1..).map(|(id, seed)| model(&hub, id, seed)).collect::<Vec<_>>();
    let mut host = long_ago(&hub, &models.iter().map(|it| it.0.clone()).collect::<Vec<_>>());
    host.declares(&["ajna-wanted-v1"]);
    host.vault.push("keep_unused_days = 100000".to_owned());
    host.vault.push(format!("size_bytes_max = {}", 2 * LENGTH));
    let second = host.store().join(format!("leases/{}", Sha256::of(&models[1].1)));
    fs::File::open(second).unwrap().set_modified(UNIX_EPOCH + std::time::Duration::from_secs(1000)).unwrap();
    host.done(&["gc", "--dry-run"]).says(&[&Sha256::of(&models[0].1).to_string(), "over budget"]);
    host.done(&["gc"]);
    assert_eq!(names(&host.store()).iter().filter(|it| it.starts_with("ajna")).count(), 2);
    assert!(!host.object(&Sha256::of(&models[0].1)).exists());
    host.vault.pop();
    host.vault.push("size_bytes_max = 1".to_owned());
    host.done(&["gc"])
        .says(&["still", "over [vault] size_bytes_max: all that is left is wanted, pinned or in use"]);
    assert!(host.view("ajna-wanted-v1", "model.bin").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_broken_index_nothing_is_known_to_be_unwanted_and_nothing_goes() {
    let hub = FixtureHub::start().await;
    let (entry, _) = model(&hub, "ajna-old-v1", 1);
    let mut host = long_ago(&hub, &[entry]);
    host.declares(&[]);
    let before = everything(&host);
    host.write("index.json", b"{ \"models\": [ { \"id\": ");
    let said = host.run(&["gc"]);
    assert_eq!(said.code, Some(2), "{said:#?}");
    assert!(
        said.err.contains("index.json does not hold") && said.err.contains("hallmark validate"),
        "{said:#?}"
    );
    fs::remove_file(host.path("index.json")).unwrap();
    let said = host.run(&["gc"]);
    assert_eq!((said.code, said.err.contains("index.json")), (Some(2), true), "{said:#?}");
    assert_eq!(everything(&host).len(), before.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_every_state_with_its_reason_to_people_and_to_programs() {
    let hub = FixtureHub::start().await;
    let ids = [
        "ajna-deployed-v1",
        "ajna-withdrawn-v1",
        "ajna-failed-v1",
        "ajna-wrong-v1",
        "ajna-spare-v1",
        "ajna-late-v1",
    ];
    let mut entries = ids.iter().zip(1..).map(|(id, seed)| model(&hub, id, seed).0).collect::<Vec<_>>();
    hub.close("org/ajna-failed-v1", Access::Gated("no".to_owned()));
    hub.put("org/ajna-wrong-v1", "model.bin", &noise(77, LENGTH));
    hub.change("org/ajna-wrong-v1", "model.bin", |it| it.way = Way::Cdn { linked: false });
    entries.push(entry("ajna-stub-v1", b"").artifact("sha256", json!("0".repeat(64))));
    let mut host = Host::of(&hub);
    host.index(&entries);
    host.declares(&["ajna-deployed-v1", "ajna-withdrawn-v1", "ajna-failed-v1", "ajna-wrong-v1"]);
    assert_eq!(host.run(&["sync"]).code, Some(1));
    host.declares(&[
        "ajna-deployed-v1",
        "ajna-failed-v1",
        "ajna-wrong-v1",
        "ajna-late-v1",
        "ajna-nowhere-v1",
    ]);
    let asked = hub.seen().len();
    let table = host.done(&["status"]);
    for (id, state, why) in [
        ("ajna-deployed-v1", "deployed", ""),
        ("ajna-withdrawn-v1", "withdrawn", ""),
        ("ajna-failed-v1", "failed", "GatedRepo"),
        ("ajna-wrong-v1", "quarantined", "Model checksum verification failed"),
        ("ajna-spare-v1", "available", ""),
        ("ajna-late-v1", "queued", "run hallmark sync"),
        ("ajna-stub-v1", "stub", "placeholders"),
        ("ajna-nowhere-v1", "missing", "Model 'ajna-nowhere-v1' not found in index"),
    ] {
        table.says(&[id, &format!("  {state}"), why]);
        let rows = host.done(&["status", "--json"]).json()["models"].clone();
        let row = rows.as_array().unwrap().iter().find(|it| it["id"] == id).unwrap().clone();
        assert_eq!(row["state"], state, "{row}");
        assert!(row["why"].is_array() && row["why"].to_string().contains(why), "{row}");
    }
    assert_eq!(hub.seen().len(), asked, "status is no reason to ask the hub");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_that_does_not_come_leaves_the_old_one_deployed_and_says_why() {
    let hub = FixtureHub::start().await;
    let (first, bytes) = model(&hub, "ajna-good-v1", 1);
    let host = long_ago(&hub, &[first]);
    host.index(&[entry_in("ajna-good-v1", "org/nowhere", "model.bin", &noise(2, LENGTH))]);
    assert_eq!(host.run(&["sync"]).code, Some(1));
    assert_eq!(fs::read(host.view("ajna-good-v1", "model.bin")).unwrap(), bytes);
    host.done(&["status"]).says(&[
        "ajna-good-v1",
        "failed",
        "org/nowhere",
        "the earlier version stays deployed",
    ]);
    // Nothing of the earlier version goes while the wanted one is not there.
    host.ages();
    host.done(&["gc"]);
    assert_eq!(fs::read(host.view("ajna-good-v1", "model.bin")).unwrap(), bytes);
}

#[test]
fn who_looks_at_a_folder_that_is_not_there_is_told_so_and_makes_none() {
    let host = Host::at("http://127.0.0.1:9");
    host.index(&[entry("ajna-good-v1", b"good")]);
    let state = host.path("state");
    for command in [&["status"][..], &["status", "--json"], &["verify"], &["gc"], &["gc", "--dry-run"]] {
        let said = host.run(command);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{command:?}: {said:#?}");
        let what = format!("there is no state folder {}", state.display());
        assert!(said.err.contains(&what) && said.err.contains("hallmark sync"), "{command:?}: {said:#?}");
        assert!(!state.exists(), "{command:?}");
    }
}

#[test]
fn a_wrong_key_in_the_config_is_refused_with_its_place_and_a_suggestion() {
    let mut host = Host::at("http://127.0.0.1:9");
    host.vault.push("keep_unused_day = 3".to_owned());
    host.arguments(&[]);
    let path = host.path("hallmark.toml");
    let check = |path: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallmark"));
        crate::support::host::Said::from(command.arg("check-config").arg(path).output().unwrap())
    };
    let said = check(&path);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("hallmark.toml:8:1: unknown field `keep_unused_day`"), "{said:#?}");
    assert!(said.err.contains("did you mean `keep_unused_days`?"), "{said:#?}");
    host.vault.pop();
    host.arguments(&[]);
    assert_eq!(check(&path).code, Some(0));
    assert_eq!(check(&host.path("nothing.toml")).code, Some(2));
}

#[test]
fn every_command_says_what_it_does() {
    for (command, words) in [
        ("validate", "every flaw"),
        ("sync", "Fetches what is wanted, proves every byte"),
        ("status", "what is where"),
        ("verify", "Hashes"),
        ("gc", "Removes what nothing wants"),
        ("check-config", "Checks a config file"),
        ("schema", "JSON Schema"),
    ] {
        let mut it = std::process::Command::new(env!("CARGO_BIN_EXE_hallmark"));
        let said = crate::support::host::Said::from(it.args([command, "--help"]).output().unwrap());
        assert!(said.code == Some(0) && said.out.contains(words), "{command}: {said:#?}");
    }
}
