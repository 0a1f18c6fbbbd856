//! The running daemon against its own contract, tried out by somebody else's program.

use std::process::Command;

use serde_json::json;

use crate::support::{
    daemon::Daemon,
    host::{Host, entry},
    hub::{FixtureHub, noise},
    peers,
};

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_that_the_contract_does_not_say() {
    let Some(schemathesis) =
        peers::require("schemathesis/bin/schemathesis", "the check of the HTTP contract")
    else {
        return;
    };
    let (hub, weights) = (FixtureHub::start().await, noise(1, 5_000));
    hub.put("org/ajna-good-v1", "model.bin", &weights);
    // The operator's token lets the tests sync anything: what is listed can be fetched, so that nothing is 503.
    hub.put("org/soma-calm-v1", "model.bin", &bytes::Bytes::from_static(b"calm"));
    let mut host = Host::of(&hub);
    let stub = entry("ajna-stub-v1", b"").artifact("sha256", json!("0".repeat(64)));
    host.index(&[entry("ajna-good-v1", &weights), entry("soma-calm-v1", b"calm"), stub]);
    host.declares(&["ajna-good-v1", "soma-calm-v1", "ajna-none-v1"]);
    host.write("operator", b"secret");
    host.http = vec!["operator_token_file = \"operator\"".into()];
    // An event is let in for its signature, and a card for its rules, which nobody finds by trying.
    let hard = ["/v1/events", "/v1/lineage/evaluate", "/v1/lineage/crawl", "/v1/lineage/verify"].map(|it| {
        format!(
            "[[operations]]\ninclude-name = \"POST {it}\"\n\
             checks.positive_data_acceptance.expected-statuses = [\"2xx\", \"400\", \"415\"]\n"
        )
    });
    host.write("schemathesis.toml", hard.concat().as_bytes());
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "deployed").await;
    daemon.until("soma-calm-v1", "deployed").await;
    let ran = Command::new(schemathesis)
        .args(["run", &format!("{}/openapi.json", daemon.url()), "--checks", "all"])
        .args(["--header", "Authorization: Bearer secret"])
        // It never ends, by its nature; its own stories are in `http_api::watch`.
        .args(["--exclude-path", "/v1/watch"])
        .args(["--max-examples", "15", "--seed", "7", "--generation-deterministic"])
        .args(["--request-timeout", "20", "--no-color"])
        .args(["--suppress-health-check", "all"])
        .current_dir(host.path(""))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(daemon.stop().0, Some(0));
}
