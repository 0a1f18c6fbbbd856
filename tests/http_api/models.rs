//! `/v1/models`: shapes, filters, pages and tags.

use base::Sha256;
use serde_json::{Value, json};

use super::problem;
use crate::support::{
    daemon::Daemon,
    host::{Entry, Host, entry, entry_in},
    hub::{FixtureHub, noise},
};

fn ids(page: &Value) -> Vec<&str> {
    page["models"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_model_shows_its_entry_its_files_and_where_they_can_be_had() {
    let (hub, weights, config) = (FixtureHub::start().await, noise(1, 70_000), noise(2, 500));
    let commit = "c".repeat(40);
    hub.put("org/ajna-good-v1", "model.bin", &weights);
    hub.put("org/ajna-good-v1", "sub/config.json", &config);
    hub.commit("org/ajna-good-v1", base::CommitId::parse(&commit).unwrap());
    let mut host = Host::of(&hub);
    let good = entry("ajna-good-v1", &weights).with("sub/config.json", &config).pinned(&commit);
    host.wants(std::slice::from_ref(&good));
    let daemon = Daemon::start(&host);
    let shown = daemon.until("ajna-good-v1", "deployed").await;
    assert_eq!(shown["entry"], good.0);
    assert_eq!((&shown["version"], &shown["deployed_version"]), (&json!("1.0.0"), &json!("1.0.0")));
    assert_eq!((&shown["wanted"], &shown["verified"]), (&json!(true), &json!(true)));
    assert_eq!((&shown["size_bytes"], &shown["why"]), (&json!(70_500), &json!([])));
    assert_eq!((&shown["retry_at"], &shown["progress"]), (&Value::Null, &Value::Null));
    let file = json!({
        "path": "sub/config.json", "sha256": Sha256::of(&config).to_string(), "size_bytes": 500, "deployed": true,
        "url": "/v1/models/ajna-good-v1/artifact/sub/config.json",
        "hub": [
            format!("/org/ajna-good-v1/resolve/{commit}/sub/config.json"),
            "/hallmark/ajna-good-v1/resolve/main/sub/config.json",
        ],
        "hf_client_servable": true,
    });
    assert_eq!(shown["files"][1], file);
    let page = daemon.json("/v1/models").await;
    assert_eq!(page, json!({ "models": [shown], "total": 1, "next": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_and_not_listed_is_shown_as_missing() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    let large = entry("soma-large-v1", b"x").artifact("sizeBytes", json!(50_000_000_001_u64));
    host.index(&[
        entry("ajna-calm-v1", b"calm"),
        large,
        entry("ajna-stub-v1", b"").artifact("sha256", json!("0".repeat(64))),
    ]);
    host.declares(&["ajna-calm-v2", "??"]);
    let daemon = Daemon::start(&host);
    let page = daemon.json("/v1/models").await;
    assert_eq!(ids(&page), ["??", "ajna-calm-v1", "ajna-calm-v2", "ajna-stub-v1", "soma-large-v1"]);
    let states = page["models"].as_array().unwrap().iter().map(|it| it["state"].clone()).collect::<Vec<_>>();
    assert_eq!(states, ["missing", "available", "missing", "stub", "available"]);
    assert_eq!(page["models"][4]["files"][0]["hf_client_servable"], false);
    let missing = daemon.state("ajna-calm-v2").await;
    assert_eq!(
        missing["why"],
        json!(["Model 'ajna-calm-v2' not found in index; did you mean 'ajna-calm-v1'?"])
    );
    assert_eq!(daemon.state("%3F%3F").await["state"], "missing");
    let unknown = problem(daemon.get("/v1/models/ajna-calm-v3").await, 404, "no-such-model").await;
    assert!(
        unknown["detail"].as_str().unwrap().starts_with("Model 'ajna-calm-v3' not found in index"),
        "{unknown}"
    );
}

fn varied(number: usize) -> Entry {
    let chakra = ["ajna", "soma", "anahata"][number % 3];
    let id = format!("{chakra}-model-{number:03}-v1");
    let name = if number.is_multiple_of(2) { "model.gguf" } else { "model.safetensors" };
    let mut entry = entry_in(&id, &format!("org/{id}"), name, format!("{number}").as_bytes());
    entry.0["chakra"] = json!(chakra);
    if number.is_multiple_of(5) {
        entry.0["license"] = json!("MIT");
        entry.0["semanticTags"] = json!(["extra", "fifth"]);
    }
    if number.is_multiple_of(7) {
        entry.0["description"] = json!("A Seventh One");
    }
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_and_pages_lead_to_the_end() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    let entries = (0..250).map(varied).collect::<Vec<_>>();
    host.index(&entries);
    host.deploy = vec!["models = [\"ajna-none-v1\"]".into()];
    let daemon = Daemon::start(&host);
    let expect = |is: &dyn Fn(usize) -> bool| (0..250).filter(|it| is(*it)).count();
    let check = async |query: &str, expected: usize| {
        let page = daemon.json(&format!("/v1/models?limit=1000&{query}")).await;
        assert_eq!((page["total"].as_u64(), ids(&page).len()), (Some(expected as u64), expected), "{query}");
    };
    check("", 251).await;
    check("chakra=soma", expect(&|it| it % 3 == 1)).await;
    check("license=mit", 50).await;
    check("tag=fifth", 50).await;
    check("tag=fif", 0).await;
    check("format=GGUF", 125).await;
    check("state=missing", 1).await;
    check("state=available&format=safetensors&license=MIT", 25).await;
    check("q=seventh%20o", expect(&|it| it % 7 == 0)).await;
    check("q=MODEL-01", 10).await;
    check("q=none", 1).await;
    let mut all = Vec::new();
    let mut path = "/v1/models?limit=40&chakra=ajna".to_owned();
    let mut pages = 0;
    loop {
        let answer = daemon.get(&path).await;
        let link = answer.headers().get("link").map(|it| it.to_str().unwrap().to_owned());
        let page: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        all.extend(ids(&page).into_iter().map(str::to_owned));
        pages += 1;
        assert_eq!(link.is_none(), page["next"].is_null());
        let Some(link) = link else { break };
        path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    let expected = entries.iter().map(Entry::id).filter(|it| it.starts_with("ajna")).map(str::to_owned);
    let mut expected = expected.collect::<Vec<_>>();
    expected.sort();
    assert_eq!((all, pages), (expected, 3));
    assert_eq!(ids(&daemon.json("/v1/models").await).len(), 100, "a page has a hundred unless it is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_cannot_be_used_is_refused_with_what_is_allowed() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[entry("ajna-one-v1", b"1")]);
    let daemon = Daemon::start(&host);
    for (query, words) in [
        ("limit=0", "limit is 1 to 1000, not 0"),
        ("limit=1001", "limit is 1 to 1000, not 1001"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("state=good", "expected one of `stub`, `available`"),
        ("colour=red", "unknown field `colour`, expected one of `chakra`, `tag`"),
        ("q=a&q=b", "duplicate field `q`"),
    ] {
        let said = problem(daemon.get(&format!("/v1/models?{query}")).await, 400, "bad-request").await;
        assert!(said["detail"].as_str().unwrap().contains(words), "{query}: {said}");
    }
    for path in ["/v1/models/ajna-one-v1", "/v1/index", "/v1/index/status", "/v1/schema", "/v1/watch"] {
        problem(daemon.get(&format!("{path}?x=1")).await, 400, "bad-request").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_answer_already_gets_no_body_until_it_changes() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[entry("ajna-one-v1", b"1")]);
    let daemon = Daemon::start(&host);
    for path in ["/v1/models", "/v1/models/ajna-one-v1", "/v1/index", "/v1/schema", "/openapi.json"] {
        let first = daemon.get(path).await;
        let etag = first.headers()["etag"].clone();
        assert_eq!(first.headers()["cache-control"], "no-cache", "{path}");
        let again = daemon.client().get(format!("{}{path}", daemon.url())).header("if-none-match", &etag);
        let again = again.send().await.unwrap();
        assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &etag), "{path}");
        assert_eq!(again.bytes().await.unwrap().len(), 0);
        let head = daemon.client().head(format!("{}{path}", daemon.url())).send().await.unwrap();
        assert_eq!(head.headers()["etag"], etag);
    }
    let path = "/v1/models/ajna-one-v1";
    let before = daemon.get(path).await.headers()["etag"].clone();
    host.index(&[entry("ajna-one-v1", b"2")]);
    let digest = Sha256::of(b"2").to_string();
    daemon.until_says(path, "the new entry shows", |it| it["files"][0]["sha256"] == digest.as_str()).await;
    let changed = daemon.client().get(format!("{}{path}", daemon.url())).header("if-none-match", &before);
    assert_eq!(changed.send().await.unwrap().status(), 200);
}
