//! Where `sync` takes files from, and what it tells whom.

use super::*;

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
