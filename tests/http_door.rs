//! What comes to the daemon's door besides honest requests, and that everybody else is served meanwhile.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    daemon::Daemon,
    host::{Host, entry},
    hub::FixtureHub,
};

/// No story waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(30);

async fn daemon(settings: &[&str]) -> (Host, Daemon) {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[entry("ajna-one-v1", b"1")]);
    host.http = settings.iter().map(|it| (*it).to_owned()).collect();
    let daemon = Daemon::start(&host);
    (host, daemon)
}

async fn connect(daemon: &Daemon) -> TcpStream {
    TcpStream::connect(daemon.address()).await.unwrap()
}

/// Sends bytes as they are and returns all that comes back until the connection ends.
async fn raw(daemon: &Daemon, bytes: &[u8]) -> String {
    let mut stream = connect(daemon).await;
    // The daemon may have had enough before it has read all of it.
    drop(stream.write_all(bytes).await);
    read_all(&mut stream).await
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match timeout(PATIENCE, stream.read(&mut buffer)).await.expect("the connection stays open") {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Makes sure that a raw answer is a problem document with a remedy.
#[track_caller]
fn problem(answer: &str, status: u16, kind: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert_eq!(problem["type"], format!("urn:hallmark:problem:{kind}"), "{answer}");
    assert!(problem["remedy"].as_str().is_some_and(|it| !it.is_empty()), "{answer}");
}

async fn still_answers(daemon: &Daemon) {
    let answer = timeout(PATIENCE, raw(daemon, &get("/v1/models/ajna-one-v1"))).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tricks_in_a_path_lead_nowhere() {
    let (_host, daemon) = daemon(&[]).await;
    for (path, status, kind) in [
        ("/v1/models/..%2f..%2fhallmark.toml", 404, "no-such-model"),
        ("/v1/models/%2e%2e", 404, "no-such-model"),
        ("/v1/models/%252e%252e%252f", 404, "no-such-model"),
        ("/v1/models/ajna-one-v1%00", 404, "no-such-model"),
        ("/v1/models/%0d%0aSet-Cookie:x", 404, "no-such-model"),
        ("/v1/models/%ff%fe", 400, "bad-request"),
        ("/v1/models/ajna-one-v1/", 404, "no-such-page"),
        ("/v1/../hallmark.toml", 404, "no-such-page"),
        ("/%2e%2e/%2e%2e/etc/passwd", 404, "no-such-page"),
        ("//v1/models", 404, "no-such-page"),
    ] {
        let answer = raw(&daemon, &get(path)).await;
        problem(&answer, status, kind);
        assert!(!answer.contains("\nSet-Cookie"), "{answer}");
    }
    // A query is text, whatever it says.
    let answer = raw(&daemon, &get("/v1/models?q=%00%ff..%2f&cursor=%00")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused() {
    let (_host, daemon) = daemon(&[]).await;
    problem(&raw(&daemon, &get(&format!("/v1/models?q={}", "a".repeat(9_000)))).await, 414, "uri-too-long");
    let field = format!("X-Long: {}\r\n", "b".repeat(40_000));
    let head = format!("GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{field}\r\n");
    problem(&raw(&daemon, head.as_bytes()).await, 431, "head-too-large");
    // What HTTP itself cannot take is refused before anybody can say why.
    let bare = async |bytes: Vec<u8>, status: u16| {
        let answer = raw(&daemon, &bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    };
    bare(get(&format!("/{}", "a".repeat(70_000))), 414).await;
    let fields = (0..200).map(|it| format!("X-{it}: 1\r\n")).collect::<Vec<_>>().concat();
    bare(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n").into_bytes(), 431).await;
    bare(format!("GET / HTTP/1.1\r\nX: {}", "c".repeat(600_000)).into_bytes(), 431).await;
    bare(b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 400).await;
    bare(b"what is this\r\n\r\n".to_vec(), 400).await;
    still_answers(&daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_byte_by_byte_is_ended_in_time() {
    let (_host, daemon) = daemon(&["header_seconds_max = 1"]).await;
    let mut stream = connect(&daemon).await;
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nX-Slow: ").await.unwrap();
    let begun = Instant::now();
    let mut buffer = [0; 1024];
    // A byte now and then, for as long as the daemon listens.
    loop {
        match timeout(Duration::from_millis(100), stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => {}
            Err(_) if stream.write_all(b"a").await.is_err() => break,
            Err(_) => assert!(begun.elapsed() < PATIENCE, "the daemon listens on and on"),
        }
    }
    still_answers(&daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    host.write("operator", b"secret");
    host.http = vec!["operator_token_file = \"operator\"".into(), "answer_seconds_max = 1".into()];
    let daemon = Daemon::start(&host);
    let head =
        "POST /v1/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 100\r\n\r\n{";
    let answer = raw(&daemon, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") || answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_no_more_still_gets_its_answer() {
    let (_host, daemon) = daemon(&[]).await;
    for _ in 0..20 {
        let mut stream = connect(&daemon).await;
        stream.write_all(b"GET /v1/models/ajna-one-v1 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with('}'), "{answer:?}");
    }
    // Who hangs up in the middle of a request is forgotten.
    let mut stream = connect(&daemon).await;
    stream.write_all(b"GET /v1/models HTT").await.unwrap();
    stream.shutdown().await.unwrap();
    read_all(&mut stream).await;
    still_answers(&daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_that_say_nothing_keep_nobody_waiting() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    let (_host, daemon) = daemon(&[]).await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(connect(&daemon).await);
    }
    for _ in 0..20 {
        still_answers(&daemon).await;
    }
    let metrics = daemon.get("/metrics").await.text().await.unwrap();
    let count = metrics.lines().find_map(|it| it.strip_prefix("hallmark_connections ")).unwrap();
    assert!(count.parse::<usize>().unwrap() > 1_000, "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_may_open_too_few_files_says_so_and_serves_again_when_there_are_some() {
    let host = Host::at("http://127.0.0.1:9");
    host.index(&[entry("ajna-one-v1", b"1")]);
    let few = ["sh", "-c", "ulimit -n 100 && exec \"$@\"", "sh"];
    let daemon = Daemon::start_through(&host, &few);
    let said = daemon.log();
    assert!(said.contains("allows this daemon 100 open files") && said.contains("LimitNOFILE"), "{said}");
    let mut silent = Vec::new();
    for _ in 0..150 {
        silent.push(connect(&daemon).await);
    }
    let word = "A connection could not be accepted";
    let begun = Instant::now();
    while !daemon.log().contains(word) {
        assert!(begun.elapsed() < PATIENCE, "{}", daemon.log());
        tokio::task::yield_now().await;
    }
    drop(silent);
    still_answers(&daemon).await;
    let said = daemon.log();
    assert_eq!(said.matches(word).count(), 1, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told_so_and_the_operator_still_comes_in() {
    let (host, daemon) = daemon(&["connections_max = 4"]).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(connect(&daemon).await);
    }
    problem(&raw(&daemon, &get("/healthz")).await, 503, "too-many-connections");
    assert!(over_socket(&host, "/v1/models").await.starts_with("HTTP/1.1 200 "));
    idle.clear();
    let begun = Instant::now();
    while !raw(&daemon, &get("/healthz")).await.starts_with("HTTP/1.1 200 ") {
        assert!(begun.elapsed() < PATIENCE, "nobody gets in any more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_too_many_is_told_so_and_health_is_still_told() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[entry("ajna-one-v1", b"1")]);
    host.write("operator", b"secret");
    host.http = vec!["operator_token_file = \"operator\"".into(), "requests_max = 1".into()];
    let daemon = Daemon::start(&host);
    // It holds the only seat for as long as its body is not there. Somebody waits for that body once it has the seat.
    let mut slow = connect(&daemon).await;
    let head = "POST /v1/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nExpect: 100-continue\r\n\
                Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    let awaited = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut answer = vec![0; awaited.len()];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, awaited);
    slow.write_all(b"{").await.unwrap();
    let refused = raw(&daemon, &get("/v1/models")).await;
    problem(&refused, 503, "too-many-requests-at-once");
    assert!(refused.to_lowercase().contains("retry-after: 1"), "{refused}");
    // Clients of the hub show people what this header says.
    let refused = raw(&daemon, &get("/org/r/resolve/main/x")).await;
    assert!(refused.to_lowercase().contains("x-error-message: all seats are taken"), "{refused}");
    assert!(raw(&daemon, &get("/healthz")).await.starts_with("HTTP/1.1 200 "));
    assert!(over_socket(&host, "/v1/models").await.starts_with("HTTP/1.1 200 "));
    slow.write_all(b"}").await.unwrap();
    assert!(read_all(&mut slow).await.starts_with("HTTP/1.1 202 "));
    still_answers(&daemon).await;
}

async fn over_socket(host: &Host, path: &str) -> String {
    let mut stream = tokio::net::UnixStream::connect(host.path("state/daemon.sock")).await.unwrap();
    stream.write_all(&get(path)).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
