//! What programs find at `/v1`, and what they are told when it is not there.

mod acts;
mod index;
mod models;
mod watch;

use reqwest::Response;
use serde_json::Value;

use crate::support::{daemon::Daemon, host::Host, hub::FixtureHub};

/// Makes sure that an answer is a problem document of some kind, with a remedy, and returns it.
pub(crate) async fn problem(answer: Response, status: u16, kind: &str) -> Value {
    let found = answer.status();
    let header = |name: &str| answer.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
    let (media, id, sniff) =
        (header("content-type"), header("x-request-id"), header("x-content-type-options"));
    let body = answer.text().await.unwrap();
    assert_eq!(found, status, "{body}");
    assert_eq!(media.as_deref(), Some("application/problem+json"), "{body}");
    assert!(id.is_some_and(|it| !it.is_empty()), "no name for the request: {body}");
    assert_eq!(sniff.as_deref(), Some("nosniff"));
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["type"], format!("urn:hallmark:problem:{kind}"), "{problem}");
    assert_eq!(problem["status"], status);
    for key in ["title", "detail", "remedy"] {
        assert!(problem[key].as_str().is_some_and(|it| !it.is_empty()), "no {key} in {problem}");
    }
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_says_that_it_is_alive_ready_and_what_it_counts() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    assert_eq!(daemon.json("/readyz").await["ready"], true);
    let metrics = daemon.get("/metrics").await.text().await.unwrap();
    for line in [
        "hallmark_index_holds 1",
        "hallmark_models{state=\"deployed\"} 0",
        "hallmark_request_seconds_count{route=\"/healthz\",method=\"GET\",status=\"2xx\"} 1",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|it| it == line), "no {line:?} in {metrics}");
    }
    // The client asked three times and may have kept any of its connections.
    let connections = metrics.lines().find_map(|it| it.strip_prefix("hallmark_connections "));
    let connections = connections.and_then(|it| it.parse::<u32>().ok());
    assert!(connections.is_some_and(|it| (1..=3).contains(&it)), "{connections:?} in {metrics}");
    assert_eq!(daemon.stop().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem_with_a_remedy() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    problem(daemon.get("/nothing/here/at/all/x").await, 404, "no-such-page").await;
    problem(daemon.get("/v1/models/ajna-none-v1").await, 404, "no-such-model").await;
    problem(daemon.get("/v1/models?shade=1").await, 400, "bad-request").await;
    let answer = daemon.client().delete(format!("{}/v1/models", daemon.url())).send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "GET,HEAD");
    problem(answer, 405, "no-such-method").await;
    let named = daemon.client().get(format!("{}/healthz", daemon.url())).header("x-request-id", "story-7");
    assert_eq!(named.send().await.unwrap().headers()["x-request-id"], "story-7");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_token_closes_everything_but_health() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    host.write("reader", b"secret-of-readers\n");
    host.write("operator", b"secret-of-operators\n");
    host.http = vec!["read_token_file = \"reader\"".into(), "operator_token_file = \"operator\"".into()];
    let daemon = Daemon::start(&host);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(daemon.get(path).await.status(), 200, "{path}");
    }
    let ask = async |path: &str, token: &str| {
        let request = daemon.client().get(format!("{}{path}", daemon.url()));
        request.header("authorization", format!("Bearer {token}")).send().await.unwrap()
    };
    for path in
        ["/v1/models", "/v1/models/x", "/v1/index/status", "/v1/watch", "/metrics", "/openapi.json", "/none"]
    {
        let answer = daemon.get(path).await;
        assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{path}");
        problem(answer, 401, "token-needed").await;
        problem(ask(path, "secret-of-nobody").await, 401, "token-needed").await;
    }
    assert_eq!(ask("/v1/models", "secret-of-readers").await.status(), 200);
    assert_eq!(ask("/v1/models", "secret-of-operators").await.status(), 200);
    assert!(!daemon.stop().1.contains("secret-of"), "a token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    host.http = vec!["client_requests_per_second = 5".into()];
    let daemon = Daemon::start(&host);
    let refused = async {
        loop {
            let answer = daemon.get("/v1/models").await;
            if answer.status() != 200 {
                return answer;
            }
        }
    };
    let answer = refused.await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("retry-after"), "1");
    assert_eq!(header("ratelimit"), "\"requests\";r=0;t=1");
    assert_eq!(header("ratelimit-policy"), "\"fixed window\";\"requests\";q=5;w=1");
    problem(answer, 429, "too-many-requests").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_read_only_if_that_is_set() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    let ask = async |daemon: &Daemon, origin: &str| {
        let request = daemon.client().get(format!("{}/v1/models", daemon.url())).header("origin", origin);
        let answer = request.send().await.unwrap();
        answer.headers().get("access-control-allow-origin").map(|it| it.to_str().unwrap().to_owned())
    };
    let closed = Daemon::start(&host);
    assert_eq!(ask(&closed, "https://example.org").await, None);
    drop(closed);
    host.http = vec!["cors_origins = [\"https://example.org\"]".into()];
    let open = Daemon::start(&host);
    assert_eq!(ask(&open, "https://example.org").await.as_deref(), Some("https://example.org"));
    assert_eq!(ask(&open, "https://evil.example").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_can_be_asked_for_and_printed() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    let served = daemon.json("/openapi.json").await;
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_hallmark")).arg("openapi").output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).unwrap(), served);
    for path in ["/v1/models", "/v1/models/{id}", "/v1/index/status", "/v1/watch", "/v1/sync", "/metrics"] {
        assert!(served["paths"].get(path).is_some(), "no {path}");
    }
}
