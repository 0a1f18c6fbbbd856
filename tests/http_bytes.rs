//! Bytes over HTTP: the same ones however they are asked for, and never others.

mod silent;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use base::Sha256;
use bytes::Bytes;
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    daemon::Daemon,
    host::{Host, entry, until},
    hub::{FixtureHub, noise},
};

const ID: &str = "ajna-bytes-v1";
const MAIN: &str = "/v1/models/ajna-bytes-v1/artifact";
const SMALL: &str = "/v1/models/ajna-bytes-v1/artifact/sub/config.json";
const EMPTY: &str = "/v1/models/ajna-bytes-v1/artifact/empty.txt";

/// A daemon that has deployed one model: a large file, a small one and an empty one.
struct Story {
    _hub: FixtureHub,
    host: Host,
    daemon: Daemon,
    large: Bytes,
    small: Bytes,
}

impl Story {
    async fn of(large_bytes: usize, http: &[&str]) -> Self {
        let (hub, large, small) = (FixtureHub::start().await, noise(1, large_bytes), noise(2, 500));
        let repository = format!("org/{ID}");
        hub.put(&repository, "model.bin", &large);
        hub.put(&repository, "sub/config.json", &small);
        hub.put(&repository, "empty.txt", &Bytes::new());
        let mut host = Host::of(&hub);
        host.wants(&[entry(ID, &large).with("sub/config.json", &small).with("empty.txt", b"")]);
        host.http = http.iter().map(|it| (*it).to_owned()).collect();
        let daemon = Daemon::start(&host);
        deployed(&daemon).await;
        Self { _hub: hub, host, daemon, large, small }
    }

    fn digest(&self) -> Sha256 {
        Sha256::of(&self.large)
    }

    /// Returns how many of the daemon's open files are objects.
    fn open_objects(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.daemon.id());
        let links = fs::read_dir(folder).unwrap().filter_map(|it| fs::read_link(it.ok()?.path()).ok());
        links.filter(|it| it.to_string_lossy().contains("objects/sha256")).count()
    }
}

async fn deployed(daemon: &Daemon) {
    let is_there = |it: &serde_json::Value| it["ready"] == true && it["waiting"] == json!({});
    daemon.until_says("/readyz", "all is deployed", is_there).await;
}

async fn bytes_of(daemon: &Daemon, path: &str) -> Bytes {
    let answer = daemon.get(path).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes().await.unwrap()
}

/// What is expected of an answer: its status, the part of the object that is its body, its `Content-Range`.
struct Expected(u16, std::ops::Range<usize>, Option<&'static str>);

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_conditions_give_the_right_part_of_the_right_bytes() {
    let story = Story::of(300_000, &[]).await;
    let tag: &str = &format!("\"{}\"", story.digest());
    let whole = || Expected(200, 0..300_000, None);
    let not = |status| Expected(status, 0..0, None);
    let table: &[(&[(&str, &str)], Expected)] = &[
        (&[], whole()),
        (&[("range", "bytes=0-0")], Expected(206, 0..1, Some("bytes 0-0/300000"))),
        (&[("range", "bytes=10-99999")], Expected(206, 10..100_000, Some("bytes 10-99999/300000"))),
        (
            &[("range", "bytes=290000-300000")],
            Expected(206, 290_000..300_000, Some("bytes 290000-299999/300000")),
        ),
        (&[("range", "bytes=200000-")], Expected(206, 200_000..300_000, Some("bytes 200000-299999/300000"))),
        (&[("range", "bytes=-7")], Expected(206, 299_993..300_000, Some("bytes 299993-299999/300000"))),
        (
            &[("range", "bytes=-999999999999999999999")],
            Expected(206, 0..300_000, Some("bytes 0-299999/300000")),
        ),
        (&[("range", "bytes=300000-")], Expected(416, 0..0, Some("bytes */300000"))),
        (&[("range", "bytes=-0")], Expected(416, 0..0, Some("bytes */300000"))),
        (&[("range", "bytes=1-2,5-6")], whole()),
        (&[("range", "bytes=9-3")], whole()),
        (&[("range", "bytes=x")], whole()),
        (&[("range", "lines=1-2")], whole()),
        (&[("range", "bytes=1-2"), ("if-range", tag)], Expected(206, 1..3, Some("bytes 1-2/300000"))),
        (&[("range", "bytes=1-2"), ("if-range", "\"other\"")], whole()),
        (&[("range", "bytes=1-2"), ("if-range", "Sat, 01 Jan 2000 00:00:00 GMT")], whole()),
        (&[("if-none-match", tag)], not(304)),
        (&[("if-none-match", "*")], not(304)),
        (&[("if-none-match", "\"other\"")], whole()),
        (&[("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT")], whole()),
        (&[("if-modified-since", "Sat, 01 Jan 2135 00:00:00 GMT")], not(304)),
        (&[("if-match", tag)], whole()),
        (&[("if-match", "\"other\"")], not(412)),
        (&[("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT")], not(412)),
    ];
    let mirror = format!("/sha256/{}", story.digest());
    let hub = format!("/org/{ID}/resolve/main/model.bin");
    for path in [MAIN, &mirror, &hub] {
        for (headers, Expected(status, part, range)) in table {
            let mut request = story.daemon.client().get(format!("{}{path}", story.daemon.url()));
            for (name, value) in *headers {
                request = request.header(*name, *value);
            }
            let answer = request.send().await.unwrap();
            let about = format!("{path} {headers:?}: {answer:?}");
            assert_eq!(answer.status(), *status, "{about}");
            let found = answer.headers().get("content-range").map(|it| it.to_str().unwrap().to_owned());
            assert_eq!(found.as_deref(), *range, "{about}");
            if *status < 300 {
                assert_eq!(answer.content_length(), Some(part.len() as u64), "{about}");
                assert!(answer.bytes().await.unwrap() == story.large.slice(part.clone()), "{about}");
            } else if *status == 304 {
                assert_eq!(answer.headers()["etag"], tag, "{about}");
                assert_eq!(answer.bytes().await.unwrap().len(), 0, "{about}");
            } else {
                assert!(answer.text().await.unwrap().contains('{'), "{about}");
            }
        }
    }
    assert_eq!(bytes_of(&story.daemon, SMALL).await, story.small);
    assert_eq!(bytes_of(&story.daemon, EMPTY).await.len(), 0);
    let empty =
        story.daemon.client().get(format!("{}{EMPTY}", story.daemon.url())).header("range", "bytes=0-0");
    assert_eq!(empty.send().await.unwrap().status(), 200, "an empty file has no part to give");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_tells_all_and_is_the_same_for_head_and_get() {
    let story = Story::of(50_000, &[]).await;
    let (hex, client) = (story.digest().to_string(), story.daemon.client());
    let mirror = format!("/sha256/{hex}");
    for (path, kind, saved_as, cache) in [
        (MAIN, "application/octet-stream", Some("attachment; filename=\"model.bin\""), "no-cache"),
        (SMALL, "application/json", Some("attachment; filename=\"config.json\""), "no-cache"),
        (mirror.as_str(), "application/octet-stream", None, "public, max-age=31536000, immutable"),
    ] {
        let url = format!("{}{path}", story.daemon.url());
        let get = client.get(&url).header("accept-encoding", "gzip, br").send().await.unwrap();
        let head = client.head(&url).send().await.unwrap();
        assert_eq!((get.status(), head.status()), (StatusCode::OK, StatusCode::OK));
        let mut told = [get.headers().clone(), head.headers().clone()];
        for headers in &mut told {
            headers.remove("date");
            headers.remove("x-request-id");
        }
        assert_eq!(told[0], told[1], "{path}");
        let value = |name: &str| told[0].get(name).map(|it| it.to_str().unwrap());
        assert_eq!(value("content-type"), Some(kind), "{path}");
        assert_eq!(value("content-disposition"), saved_as, "{path}");
        assert_eq!(value("cache-control"), Some(cache), "{path}");
        assert_eq!(value("accept-ranges"), Some("bytes"), "{path}");
        assert_eq!(value("content-encoding"), None, "{path}");
        assert!(value("last-modified").is_some(), "{path}");
        if path != SMALL {
            assert_eq!(value("etag"), Some(format!("\"{hex}\"").as_str()), "{path}");
            assert_eq!(value("content-length"), Some("50000"), "{path}");
            let digest = value("repr-digest").unwrap();
            let encoded = digest.strip_prefix("sha-256=:").unwrap().strip_suffix(':').unwrap();
            assert_eq!(encoded.len(), 44, "{digest}");
        }
        assert_eq!(head.bytes().await.unwrap().len(), 0);
    }
}

/// Reads one answer: its head, and so much of a body as the head says and the method has.
async fn read_answer(stream: &mut TcpStream, method: &Method) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length =
        head.lines().find_map(|it| it.strip_prefix("content-length: ")).map_or(0, |it| it.parse().unwrap());
    let mut body =
        vec![0; if method == Method::HEAD || head.starts_with("http/1.1 304") { 0 } else { length }];
    stream.read_exact(&mut body).await.unwrap();
    (head, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_one_pipe_are_answered_in_order_with_their_own_bytes() {
    let story = Story::of(5_000_000, &[]).await;
    let mirror = format!("/sha256/{}", story.digest());
    let ask = |method: Method, path: &str, range: Option<&str>| {
        let range = range.map_or_else(String::new, |it| format!("Range: {it}\r\n"));
        (method.clone(), format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{range}\r\n"))
    };
    let round = [
        (ask(Method::GET, MAIN, None), &story.large[..]),
        (ask(Method::HEAD, MAIN, None), b""),
        (ask(Method::GET, SMALL, None), &story.small),
        (ask(Method::GET, &mirror, Some("bytes=1000000-3999999")), &story.large[1_000_000..4_000_000]),
        (ask(Method::GET, &mirror, Some("bytes=5-104")), &story.large[5..105]),
        (ask(Method::HEAD, SMALL, None), b""),
        (ask(Method::GET, EMPTY, None), b""),
        (ask(Method::GET, "/healthz", None), b"ok\n"),
        (ask(Method::GET, MAIN, Some("bytes=-2000000")), &story.large[3_000_000..]),
        (ask(Method::GET, MAIN, None), &story.large),
    ];
    let mut stream = TcpStream::connect(story.daemon.address()).await.unwrap();
    let all = round.iter().chain(&round).map(|((_, text), _)| text.as_str()).collect::<String>();
    stream.write_all(all.as_bytes()).await.unwrap();
    for (turn, ((method, text), expected)) in round.iter().chain(&round).enumerate() {
        let (head, body) = read_answer(&mut stream, method).await;
        assert!(head.starts_with("http/1.1 20"), "{turn}: {text}{head}");
        assert!(body == *expected, "{turn}: {text}{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_at_once_get_every_byte_over_both_protocols() {
    let story = Story::of(3_000_000, &[]).await;
    let url = format!("{}{MAIN}", story.daemon.url());
    for (version, build) in [
        (reqwest::Version::HTTP_11, Client::builder().no_proxy()),
        (reqwest::Version::HTTP_2, Client::builder().no_proxy().http2_prior_knowledge()),
    ] {
        let client = build.build().unwrap();
        let readers = (0..64).map(|_| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                let answer = client.get(url).send().await.unwrap();
                (answer.version(), Sha256::of(&answer.bytes().await.unwrap()))
            })
        });
        for reader in readers.collect::<Vec<_>>() {
            assert_eq!(reader.await.unwrap(), (version, story.digest()));
        }
    }
    until("nothing is open any more", || story.open_objects() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_is_told_and_looked_for_again() {
    let story = Story::of(100_000, &[]).await;
    fs::remove_file(story.host.object(&story.digest())).unwrap();
    let answer = story.daemon.get(MAIN).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(problem["type"], "urn:hallmark:problem:object-gone");
    assert_eq!(story.daemon.get(&format!("/sha256/{}", story.digest())).await.status(), 404);
    // The question itself made the daemon look, and fetch.
    until("it is fetched again", || story.host.object(&story.digest()).exists());
    deployed(&story.daemon).await;
    assert!(bytes_of(&story.daemon, MAIN).await == story.large);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_loses_bytes_while_it_is_sent_is_never_taken_for_whole() {
    let story = Story::of(60_000_000, &[]).await;
    for h2 in [false, true] {
        let client = Client::builder().no_proxy();
        let client = if h2 { client.http2_prior_knowledge() } else { client }.build().unwrap();
        let mut answer = client.get(format!("{}{MAIN}", story.daemon.url())).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        drop(answer.chunk().await.unwrap().unwrap());
        let object = story.host.object(&story.digest());
        fs::set_permissions(&object, fs::Permissions::from_mode(0o640)).unwrap();
        fs::File::options().write(true).open(&object).unwrap().set_len(59_000_000).unwrap();
        let ended = loop {
            match answer.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        assert!(ended.is_some(), "a short body was taken for whole (h2: {h2})");
        // Damaged by its length alone, so it is not even begun to be sent.
        assert_eq!(story.daemon.get(MAIN).await.status(), 503);
        fs::remove_file(&object).unwrap();
        assert_eq!(story.daemon.get(MAIN).await.status(), 503);
        until("it is fetched again", || object.metadata().is_ok_and(|it| it.len() == 60_000_000));
        deployed(&story.daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_to_be_had_says_why() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 1000));
    for id in ["ajna-held-v1", "ajna-idle-v1", "ajna-good-v1"] {
        hub.put(&format!("org/{id}"), "model.bin", &bytes);
    }
    hub.put("org/ajna-wrong-v1", "model.bin", &noise(2, 1000));
    hub.change("org/ajna-wrong-v1", "model.bin", |it| {
        it.way = crate::support::hub::Way::Cdn { linked: false }
    });
    let mut host = Host::of(&hub);
    let mut held = entry("ajna-held-v1", &bytes);
    held.0["license"] = json!("MIT");
    let stub = entry("ajna-stub-v1", b"").artifact("sha256", json!("0".repeat(64)));
    let other = ["ajna-good-v1", "ajna-idle-v1", "ajna-wrong-v1", "ajna-gone-v1"];
    // What is the same elsewhere would be taken from there, so what is to be missing has bytes of its own.
    let seed = |id| match id {
        "ajna-wrong-v1" => 3,
        "ajna-gone-v1" => 4,
        _ => 1,
    };
    let other = other.map(|id| entry(id, &noise(seed(id), 1000)));
    host.index(&[&other[..], &[held, stub]].concat());
    host.declares(&[
        "ajna-good-v1",
        "ajna-wrong-v1",
        "ajna-gone-v1",
        "ajna-held-v1",
        "ajna-stub-v1",
        "ajna-lost-v1",
    ]);
    host.policy = vec!["licenses = [\"Apache-2.0\"]".to_owned()];
    let daemon = Daemon::start(&host);
    let settled =
        |it: &serde_json::Value| it["waiting"]["queued"].is_null() && it["waiting"]["fetching"].is_null();
    daemon.until_says("/readyz", "all has settled", settled).await;
    for (path, status, kind, says) in [
        ("ajna-held-v1/artifact", 409, "not-served", "is held"),
        ("ajna-wrong-v1/artifact", 409, "not-served", "is quarantined"),
        ("ajna-gone-v1/artifact", 409, "not-here", "is failed"),
        ("ajna-stub-v1/artifact", 404, "not-served", "is stub"),
        ("ajna-idle-v1/artifact", 404, "not-served", "is available"),
        ("ajna-lost-v1/artifact", 404, "no-such-model", "not found in index"),
        ("ajna-good-v1/artifact/other.bin", 404, "no-such-file", "has no file"),
        ("ajna-good-v1/artifact/..%2f..%2fajna-held-v1%2fmodel.bin", 404, "no-such-file", "has no file"),
        ("ajna-good-v1/artifact/%2e%2e/model.bin", 404, "no-such-file", "has no file"),
        ("ajna-good-v1/artifact/%252e%252e%252fmodel.bin", 404, "no-such-file", "has no file"),
        ("ajna-good-v1/artifact/model.bin%00", 404, "no-such-file", "has no file"),
        ("ajna-good-v1/artifact/%ff", 400, "bad-request", "UTF-8"),
        ("..%2f..%2fetc/artifact", 404, "no-such-model", "not found in index"),
        ("%ff/artifact", 400, "bad-request", "UTF-8"),
    ] {
        let answer = daemon.raw(&format!("/v1/models/{path}")).await;
        let (above, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(above.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["type"], format!("urn:hallmark:problem:{kind}"), "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{path}: {problem}");
        assert!(!problem["remedy"].as_str().unwrap().is_empty(), "{path}: {problem}");
    }
    for (hex, status) in [("x", 400), ("AB", 400), (&*"0".repeat(64), 404), ("..%2f..%2findex.json", 400)] {
        assert_eq!(daemon.get(&format!("/sha256/{hex}")).await.status(), status, "{hex}");
    }
    // What is held was proven: other hallmarks may take it as a mirror by its digest.
    assert_eq!(bytes_of(&daemon, &format!("/sha256/{}", Sha256::of(&bytes))).await, bytes);
    assert_eq!(
        daemon.get(&format!("/sha256/{}", Sha256::of(&noise(2, 1000)))).await.status(),
        404,
        "in quarantine"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_a_use_that_gc_sees() {
    let story = Story::of(100_000, &[]).await;
    story.host.ages();
    let lease = story.host.store().join("leases").join(story.digest().to_string());
    let is_old =
        || lease.metadata().unwrap().modified().unwrap().elapsed().unwrap() > Duration::from_hours(1);
    assert!(is_old());
    drop(bytes_of(&story.daemon, MAIN).await);
    until("the use is noted", || !is_old());
}
