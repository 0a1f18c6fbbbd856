//! The Hugging Face protocol as its clients speak it, word by word.

use base::{CommitId, Sha256};
use bytes::Bytes;
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{
    daemon::Daemon,
    host::{Host, entry, entry_in},
    hub::{Fault, FixtureHub, Rule, noise},
};

const COMMIT: &str = "abababababababababababababababababababab";

/// A daemon with one repository of two models, one of them with companions.
struct Story {
    _hub: FixtureHub,
    _host: Host,
    daemon: Daemon,
    weights: Bytes,
    config: Bytes,
}

impl Story {
    async fn of(http: &[&str]) -> Self {
        let (hub, weights, config) = (FixtureHub::start().await, noise(1, 100_000), noise(2, 500));
        hub.put("org/pair", "one.bin", &weights);
        hub.put("org/pair", "sub/deep/config.json", &config);
        hub.put("org/pair", "two.bin", &noise(3, 70_000));
        hub.put("gpt2", "model.bin", &noise(4, 100));
        let mut host = Host::of(&hub);
        host.wants(&[
            entry_in("ajna-one-v1", "org/pair", "one.bin", &weights)
                .with("sub/deep/config.json", &config)
                .pinned(COMMIT),
            entry_in("ajna-two-v1", "org/pair", "two.bin", &noise(3, 70_000)).pinned(COMMIT),
            entry_in("ajna-old-v1", "gpt2", "model.bin", &noise(4, 100)),
        ]);
        host.http = http.iter().map(|it| (*it).to_owned()).collect();
        let daemon = Daemon::start(&host);
        let settled = |it: &Value| it["ready"] == true && it["waiting"] == json!({});
        daemon.until_says("/readyz", "all is deployed", settled).await;
        Self { _hub: hub, _host: host, daemon, weights, config }
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|it| it.to_str().unwrap())
}

/// Makes sure of a refusal: status, code, and the message in both its places.
async fn refused(answer: Response, status: u16, code: Option<&str>) {
    assert_eq!(answer.status(), status, "{answer:?}");
    assert_eq!(header(&answer, "x-error-code"), code, "{answer:?}");
    let message = header(&answer, "x-error-message").unwrap().to_owned();
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(body["error"].as_str().unwrap().len(), message.len(), "{body} {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_found_by_every_name_of_its_revision_with_all_that_clients_go_by() {
    let story = Story::of(&[]).await;
    let hex = Sha256::of(&story.weights).to_string();
    for (repo, revision, cache) in [
        ("org/pair", "main", "no-cache"),
        ("org/pair", "HEAD", "no-cache"),
        ("org/pair", "refs%2Fheads%2Fmain", "no-cache"),
        ("org/pair", COMMIT, "public, max-age=31536000, immutable"),
        ("hallmark/ajna-one-v1", "main", "no-cache"),
    ] {
        let url = format!("{}/{repo}/resolve/{revision}/one.bin", story.daemon.url());
        for request in [story.daemon.client().get(&url), story.daemon.client().head(&url)] {
            let answer = request.send().await.unwrap();
            let value = |name| header(&answer, name);
            assert_eq!(answer.status(), 200, "{url}");
            assert_eq!(value("etag"), Some(format!("\"{hex}\"").as_str()));
            assert_eq!(value("x-linked-etag"), value("etag"));
            assert_eq!(value("content-length"), Some("100000"));
            assert_eq!(value("x-linked-size"), Some("100000"));
            assert_eq!(value("accept-ranges"), Some("bytes"));
            assert_eq!(value("content-type"), Some("application/octet-stream"));
            assert_eq!(value("content-disposition"), Some("attachment; filename=\"one.bin\""));
            assert_eq!(value("cache-control"), Some(cache), "{url}");
            assert!(value("last-modified").is_some());
            let commit = value("x-repo-commit").unwrap().to_owned();
            assert_eq!(commit == COMMIT, repo == "org/pair", "{commit}");
            assert!(CommitId::parse(&commit).is_ok(), "{commit}");
            let xet = answer.headers().keys().any(|it| it.as_str().contains("xet"));
            assert!(!xet && value("link").is_none(), "{answer:?}");
        }
        let bytes = story.daemon.client().get(&url).send().await.unwrap().bytes().await.unwrap();
        assert!(bytes == story.weights);
    }
    let path = "/org/pair/resolve/main/sub/deep/config.json";
    assert_eq!(story.daemon.get(path).await.bytes().await.unwrap(), story.config);
    assert_eq!(story.daemon.get("/gpt2/resolve/main/model.bin").await.bytes().await.unwrap(), noise(4, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_apart() {
    let story = Story::of(&[]).await;
    for (path, status, code) in [
        ("/org/other/resolve/main/x", 404, Some("RepoNotFound")),
        ("/no%20name/x/resolve/main/x", 404, Some("RepoNotFound")),
        ("/api/models/org/other", 404, Some("RepoNotFound")),
        ("/api/models/org/other/refs", 404, Some("RepoNotFound")),
        ("/api/datasets/org/pair", 404, Some("RepoNotFound")),
        ("/datasets/org/pair/resolve/main/x", 404, Some("RepoNotFound")),
        ("/org/pair/resolve/dev/one.bin", 404, Some("RevisionNotFound")),
        ("/org/pair/resolve/cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd/one.bin", 404, Some("RevisionNotFound")),
        ("/api/models/org/pair/revision/dev", 404, Some("RevisionNotFound")),
        ("/api/models/org/pair/tree/dev", 404, Some("RevisionNotFound")),
        ("/org/pair/resolve/main/three.bin", 404, Some("EntryNotFound")),
        ("/org/pair/resolve/main/sub", 404, Some("EntryNotFound")),
        ("/org/pair/resolve/main/", 404, Some("EntryNotFound")),
        ("/org/pair/resolve/main//one.bin", 404, Some("EntryNotFound")),
        ("/org/pair/resolve/main/..%2f..%2fone.bin", 404, Some("EntryNotFound")),
        ("/org/pair/resolve/main/%2e%2e/one.bin", 404, Some("EntryNotFound")),
        ("/org/pair/resolve/main/%252e%252e%252fone.bin", 404, Some("EntryNotFound")),
        ("/org/pair/resolve/main/one.bin%00", 404, Some("EntryNotFound")),
        ("/org/pair/resolve/main/one.bin%0d%0aX-Evil:%201", 404, Some("EntryNotFound")),
        ("/api/models/org/pair/tree/main/other", 404, Some("EntryNotFound")),
        ("/api/models/org/pair/tree/main/additional_chat_templates", 404, Some("EntryNotFound")),
        ("/api/models/org/pair/xet-read-token/main", 404, Some("RepoNotFound")),
        ("/org/pair/resolve/main/%ff", 400, None),
        ("/api/models/org/pair/tree/%ff", 400, None),
        ("/api/models/org/pair/paths-info/main", 405, None),
    ] {
        let answer = story.daemon.raw(path).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{path}: {answer}");
        let told = head.lines().find_map(|it| it.strip_prefix("x-error-code: "));
        assert_eq!(told, code.map(str::to_lowercase).as_deref(), "{path}: {answer}");
        assert!(head.contains("\r\nx-error-message: ") && !head.contains("\r\nx-evil"), "{path}: {answer}");
        // Clients remember a missing file for the commit that is named.
        let remembered = code == Some("EntryNotFound");
        assert_eq!(head.contains("\r\nx-repo-commit: "), remembered, "{path}: {answer}");
        assert!(serde_json::from_str::<Value>(body).unwrap()["error"].is_string(), "{path}: {answer}");
    }
    let head = story.daemon.client().head(format!("{}/org/pair/resolve/main/no.bin", story.daemon.url()));
    let head = head.send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "x-error-code")), (404, Some("EntryNotFound")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_is_never_said_to_be_missing() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 100_000));
    hub.put("org/slow", "model.bin", &bytes);
    hub.play(Rule::always(Fault::HangAfter(1000)).on("GET"));
    let mut host = Host::of(&hub);
    host.wants(&[entry_in("ajna-slow-v1", "org/slow", "model.bin", &bytes)]);
    let daemon = Daemon::start(&host);
    for path in [
        "/org/slow/resolve/main/model.bin",
        "/hallmark/ajna-slow-v1/resolve/main/model.bin",
        "/api/models/org/slow",
        "/api/models/org/slow/revision/main",
        "/api/models/org/slow/tree/main?recursive=true",
    ] {
        let answer = daemon.get(path).await;
        assert_eq!(header(&answer, "retry-after"), Some("5"), "{path}");
        assert_eq!(header(&answer, "x-repo-commit"), None, "{path}");
        refused(answer, 503, None).await;
    }
    let head = daemon.client().head(format!("{}/org/slow/resolve/main/model.bin", daemon.url()));
    assert_eq!(head.send().await.unwrap().status(), 503);
    let artifact = daemon.get("/v1/models/ajna-slow-v1/artifact").await;
    assert_eq!((artifact.status().as_u16(), header(&artifact, "retry-after")), (503, Some("5")));
    // Another file of that repository is not on its way.
    refused(daemon.get("/org/slow/resolve/main/other.bin").await, 404, Some("RevisionNotFound")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_tells_its_commit_files_and_branches() {
    let story = Story::of(&[]).await;
    let daemon = &story.daemon;
    let info = daemon.json("/api/models/org/pair").await;
    assert_eq!(
        (&info["id"], &info["sha"], &info["private"]),
        (&json!("org/pair"), &json!(COMMIT), &json!(false))
    );
    assert_eq!(
        info["siblings"],
        json!([{ "rfilename": "one.bin" }, { "rfilename": "sub/deep/config.json" }, { "rfilename": "two.bin" }])
    );
    assert_eq!(info["tags"], json!(["license:apache-2.0"]));
    for path in
        ["revision/main", "revision/HEAD", &format!("revision/{COMMIT}"), "revision/refs%2Fheads%2Fmain"]
    {
        assert_eq!(daemon.json(&format!("/api/models/org/pair/{path}")).await, info, "{path}");
    }
    let blobs = daemon.json("/api/models/org/pair/revision/main?blobs=true").await;
    let (hex, one) = (Sha256::of(&story.weights).to_string(), &blobs["siblings"][0]);
    let lfs = json!({ "oid": hex, "sha256": hex, "size": 100_000, "pointerSize": 131, "pointer_size": 131 });
    assert_eq!((&one["size"], &one["lfs"]), (&json!(100_000), &lfs));
    assert_eq!(one["blobId"], pointer_id(&hex, 100_000));
    assert_eq!(
        daemon.json("/api/models/org/pair/refs").await["branches"],
        json!([{ "name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT }])
    );
    assert_eq!(daemon.json("/api/models/gpt2").await["id"], "gpt2");
    assert_eq!(daemon.json("/api/models/gpt2/tree/main").await[0]["path"], "model.bin");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_files_are_listed_as_git_would_know_them() {
    let story = Story::of(&[]).await;
    let tree = "/api/models/org/pair/tree/main";
    let hex = Sha256::of(&story.weights).to_string();
    let top = story.daemon.json(tree).await;
    assert_eq!(paths(&top), ["one.bin file", "sub directory", "two.bin file"]);
    assert_eq!((&top[0]["oid"], &top[0]["lfs"]["oid"]), (&json!(pointer_id(&hex, 100_000)), &json!(hex)));
    let config = Sha256::of(&story.config).to_string();
    let deep = git(&["mktree"], &format!("100644 blob {}\tconfig.json\n", pointer_id(&config, 500)));
    assert_eq!(top[1]["oid"], git(&["mktree", "--missing"], &format!("040000 tree {deep}\tdeep\n")));
    for recursive in ["recursive=true", "recursive=True&expand=False", "recursive=1"] {
        let all = story.daemon.json(&format!("{tree}?{recursive}")).await;
        let expected = [
            "one.bin file",
            "sub directory",
            "sub/deep directory",
            "sub/deep/config.json file",
            "two.bin file",
        ];
        assert_eq!(paths(&all), expected);
    }
    for folder in ["sub", "sub/", "/sub".trim_start_matches('/')] {
        assert_eq!(paths(&story.daemon.json(&format!("{tree}/{folder}")).await), ["sub/deep directory"]);
    }
    for folder in ["sub/deep", "sub%2Fdeep"] {
        assert_eq!(
            paths(&story.daemon.json(&format!("{tree}/{folder}")).await),
            ["sub/deep/config.json file"]
        );
    }
    let expanded = story.daemon.json(&format!("{tree}?expand=true")).await;
    assert_eq!(expanded[0]["lastCommit"]["id"], COMMIT);
    // In parts, each of which says where the next one is.
    let (mut next, mut seen) = (format!("{}{tree}?recursive=true&limit=2", story.daemon.url()), Vec::new());
    loop {
        let answer = story.daemon.client().get(&next).send().await.unwrap();
        let link = header(&answer, "link").map(str::to_owned);
        seen.extend(paths(&serde_json::from_str(&answer.text().await.unwrap()).unwrap()));
        let Some(link) = link else { break };
        next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        assert!(next.starts_with(&story.daemon.url()), "{next}");
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_described_whichever_way_they_are_asked_for() {
    let story = Story::of(&[]).await;
    let url = format!("{}/api/models/org/pair/paths-info/main", story.daemon.url());
    let client = story.daemon.client();
    let json =
        |body: &str| client.post(&url).header("content-type", "application/json").body(body.to_owned());
    let form = |body: &str| {
        client.post(&url).header("content-type", "application/x-www-form-urlencoded").body(body.to_owned())
    };
    for request in [
        json(r#"{"paths": ["one.bin", "sub", "none"], "expand": false}"#),
        form("paths=one.bin&paths=sub%2F&paths=none&expand=False"),
    ] {
        let found: Value =
            serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        assert_eq!(paths(&found), ["one.bin file", "sub directory"]);
        assert_eq!(found[0]["lfs"]["size"], 100_000);
    }
    let one = json(r#"{"paths": "two.bin"}"#).send().await.unwrap().text().await.unwrap();
    assert_eq!(paths(&serde_json::from_str(&one).unwrap()), ["two.bin file"]);
    refused(json("{").send().await.unwrap(), 400, None).await;
    refused(form(&"paths=x&".repeat(1001)).send().await.unwrap(), 400, None).await;
    let elsewhere = client.post(format!("{}/api/models/org/pair", story.daemon.url()));
    refused(elsewhere.send().await.unwrap(), 405, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_searched_and_comes_in_parts() {
    let story = Story::of(&[]).await;
    let ids = |list: &Value| {
        list.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["gpt2", "hallmark/ajna-old-v1", "hallmark/ajna-one-v1", "hallmark/ajna-two-v1", "org/pair"];
    assert_eq!(ids(&story.daemon.json("/api/models").await), all);
    assert_eq!(ids(&story.daemon.json("/api/models?search=ONE").await), ["hallmark/ajna-one-v1"]);
    assert_eq!(ids(&story.daemon.json("/api/models?author=org").await), ["org/pair"]);
    let first = story.daemon.get("/api/models?limit=3").await;
    let link = header(&first, "link").unwrap().to_owned();
    let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let rest = story.daemon.client().get(next).send().await.unwrap();
    assert_eq!(header(&rest, "link"), None);
    assert_eq!(ids(&serde_json::from_str(&rest.text().await.unwrap()).unwrap()), all[3..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_registry_opens_for_its_token_alone_and_says_so_as_the_hub_does() {
    let open = Story::of(&[]).await;
    refused(open.daemon.get("/api/whoami-v2").await, 401, Some("GatedRepo")).await;
    drop(open);
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "hf_secret\n").unwrap();
    let setting = format!("read_token_file = \"{}\"", token.path().display());
    let hub = FixtureHub::start().await;
    let bytes = noise(1, 1000);
    hub.put("org/closed", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry_in("ajna-closed-v1", "org/closed", "model.bin", &bytes), entry("ajna-x-v1", b"x")]);
    host.http = vec![setting];
    let daemon = Daemon::start(&host);
    let file = "/org/closed/resolve/main/model.bin";
    let settled = |it: &Value| it["waiting"]["queued"].is_null() && it["waiting"]["fetching"].is_null();
    daemon.until_says("/readyz", "all has settled", settled).await;
    for path in [file, "/api/models/org/closed", "/api/whoami-v2", "/gpt2/resolve/main/x"] {
        let answer = daemon.get(path).await;
        assert_eq!(header(&answer, "www-authenticate"), Some("Bearer"));
        refused(answer, 401, Some("GatedRepo")).await;
    }
    let other = daemon.get("/v1/models/ajna-closed-v1/artifact").await;
    assert_eq!(
        (other.status().as_u16(), header(&other, "content-type")),
        (401, Some("application/problem+json"))
    );
    let ask = |path: &str, token: &str| {
        daemon.client().get(format!("{}{path}", daemon.url())).bearer_auth(token).send()
    };
    assert_eq!(ask(file, "hf_other").await.unwrap().status(), 401);
    let answer = ask(&file.replace("main", "HEAD"), "hf_secret").await.unwrap();
    assert_eq!(header(&answer, "cache-control"), Some("no-cache"));
    assert_eq!(answer.bytes().await.unwrap(), bytes);
    let mirror = ask(&format!("/sha256/{}", Sha256::of(&bytes)), "hf_secret").await.unwrap();
    assert_eq!(header(&mirror, "cache-control"), Some("private, max-age=31536000, immutable"));
    let who = ask("/api/whoami-v2", "hf_secret").await.unwrap().text().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&who).unwrap()["name"], "reader");
    assert!(!daemon.log().contains("hf_"), "a token in the log");
}

/// Lists paths and kinds.
fn paths(listing: &Value) -> Vec<String> {
    let lines = listing.as_array().unwrap_or_else(|| panic!("{listing} is no list"));
    lines
        .iter()
        .map(|it| format!("{} {}", it["path"].as_str().unwrap(), it["type"].as_str().unwrap()))
        .collect()
}

/// Returns what git calls the pointer to a large file.
fn pointer_id(hex: &str, size_bytes: u64) -> String {
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{hex}\nsize {size_bytes}\n");
    git(&["hash-object", "-w", "--stdin"], &pointer)
}

/// Asks git itself, in a repository of its own.
fn git(words: &[&str], input: &str) -> String {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
        sync::LazyLock,
    };
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            Command::new("git").args(["init", "-q", "--bare"]).arg(folder.path()).status().unwrap().success()
        );
        folder
    });
    let mut child = Command::new("git");
    child.args(words).env("GIT_DIR", FOLDER.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {words:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
