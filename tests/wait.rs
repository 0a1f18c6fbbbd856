//! `hallmark wait`: units and scripts that need a model come back when it is there, and hear why it is not.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, Stdio},
};

use serde_json::json;

use crate::support::{
    daemon::Daemon,
    host::{Entry, Host, Said, entry},
    hub::{Fault, FixtureHub, Rule, Way, noise},
};

const ID: &str = "ajna-good-v1";
const LENGTH: usize = 100_000;

/// A `hallmark wait` that runs.
struct Waiting {
    child: Child,
    said: BufReader<ChildStderr>,
    err: String,
}

impl Waiting {
    fn start(host: &Host, words: &[&str]) -> Self {
        let mut command = wait(host, words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said, err: String::new() }
    }

    /// Reads on until it says something; it waits, so its end would be a failure.
    fn until_it_says(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let length = self.said.read_line(&mut line).unwrap();
            self.err += &line;
            assert!(length > 0, "it ended before it said {text:?}: {}", self.err);
        }
    }

    fn end(mut self) -> Said {
        self.said.read_to_string(&mut self.err).unwrap();
        let err = self.err;
        Said { err, ..self.child.wait_with_output().unwrap().into() }
    }
}

fn wait(host: &Host, words: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallmark"));
    command.arg("wait").args(words).arg("--state").arg(host.path("state")).stdin(Stdio::null());
    command
}

fn waited(host: &Host, words: &[&str]) -> Said {
    wait(host, words).output().unwrap().into()
}

/// A host that wants one model, which its hub does not have yet.
async fn host_in_want() -> (FixtureHub, Host) {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    let mut host = Host::of(&hub);
    host.wants(&[entry(ID, &bytes)]);
    host.deploy.extend(["retry_seconds_first = 1".to_owned(), "retry_seconds_max = 1".to_owned()]);
    (hub, host)
}

fn put(hub: &FixtureHub) {
    hub.put(&format!("org/{ID}"), "model.bin", &noise(1, LENGTH));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_back_once_the_model_is_deployed() {
    let (hub, host) = host_in_want().await;
    let _daemon = Daemon::start(&host);
    let mut waiting = Waiting::start(&host, &[ID]);
    waiting.until_it_says(&format!("{ID} is failed"));
    put(&hub);
    let said = waiting.end();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "ajna-good-v1 is deployed\n"), "{said:#?}");
    assert!(host.view(ID, "model.bin").exists());
    assert!(said.err.contains("again"), "it says when the daemon tries again: {said:#?}");
    // What is there is not waited for; without names it is all that the host wants.
    assert_eq!(waited(&host, &[]).out, "ajna-good-v1 is deployed\n");
    let said = waited(&host, &["--json", "--timeout", "60", ID]);
    assert_eq!(said.json(), json!({ "event": "model", "model": ID, "state": "deployed", "why": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_started_again_is_waited_for() {
    let (hub, host) = host_in_want().await;
    let daemon = Daemon::start(&host);
    let mut waiting = Waiting::start(&host, &[ID]);
    waiting.until_it_says(&format!("{ID} is failed"));
    drop(daemon);
    waiting.until_it_says("still waiting");
    put(&hub);
    let _daemon = Daemon::start(&host);
    let said = waiting.end();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "ajna-good-v1 is deployed\n"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_person_can_change_ends_it_with_the_reason() {
    let hub = FixtureHub::start().await;
    let ids = ["ajna-tampered-v1", "ajna-stub-v1", "ajna-large-v1", "ajna-unasked-v1"];
    let sizes = [LENGTH, LENGTH, 2 * LENGTH, LENGTH];
    let mut entries: Vec<Entry> =
        ids.iter().zip(sizes).zip(1..).map(|((id, size), seed)| entry(id, &noise(seed, size))).collect();
    hub.put("org/ajna-tampered-v1", "model.bin", &noise(77, LENGTH));
    // So that nobody says beforehand that the bytes are others.
    hub.change("org/ajna-tampered-v1", "model.bin", |it| it.way = Way::Cdn { linked: false });
    entries[1] = entry("ajna-stub-v1", b"").artifact("sha256", json!("0".repeat(64)));
    let mut host = Host::of(&hub);
    host.policy = vec![format!("size_bytes_max = {}", LENGTH + 1)];
    host.index(&entries);
    host.declares(&ids[..3]);
    let daemon = Daemon::start(&host);
    let check = |id: &str, parts: &[&str]| {
        let said = waited(&host, &["--timeout", "60", id]);
        assert_eq!(said.code, Some(1), "{said:#?}");
        said.says(&[&[id], parts].concat());
    };
    check("ajna-tampered-v1", &["is quarantined", "checksum"]);
    check("ajna-stub-v1", &["is stub", "placeholders"]);
    check("ajna-large-v1", &["is held"]);
    check("ajna-unasked-v1", &["is available", "hallmark sync ajna-unasked-v1"]);
    check("ajna-tamperd-v1", &["is missing", "not found in index", "ajna-tampered-v1"]);
    // One of them is enough, whatever the others are.
    let said = waited(&host, &["ajna-stub-v1", "ajna-tampered-v1"]);
    assert_eq!(said.code, Some(1), "{said:#?}");

    let mut waiting = Waiting::start(&host, &["--keep-waiting", "ajna-tampered-v1"]);
    waiting.until_it_says("ajna-tampered-v1 is quarantined");
    // Somebody corrects the index.
    entries[0] = entry("ajna-tampered-v1", &noise(77, LENGTH));
    host.index(&entries);
    daemon.until("ajna-tampered-v1", "deployed").await;
    let said = waiting.end();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "ajna-tampered-v1 is deployed\n"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_it_could_not_ask_unless_it_is_told_to_wait_for_one() {
    let (hub, host) = host_in_want().await;
    put(&hub);
    let said = waited(&host, &[ID]);
    assert_eq!(said.code, Some(2), "{said:#?}");
    assert!(said.err.contains("no daemon runs on") && said.err.contains("hallmark serve"), "{said:#?}");
    let mut waiting = Waiting::start(&host, &["--keep-waiting", ID]);
    waiting.until_it_says("no daemon runs on");
    let _daemon = Daemon::start(&host);
    let said = waiting.end();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "ajna-good-v1 is deployed\n"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_gives_up_when_its_time_is_over_and_says_what_did_not_come() {
    let (hub, host) = host_in_want().await;
    let said = waited(&host, &["--keep-waiting", "--timeout", "0", ID]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    put(&hub);
    hub.play(Rule::always(Fault::Hang).on("GET"));
    let daemon = Daemon::start(&host);
    daemon.until(ID, "fetching").await;
    let said = waited(&host, &["--timeout", "1", ID]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:#?}");
    assert!(said.err.contains("gave up after 1 s, waiting for ajna-good-v1 (fetching)"), "{said:#?}");
    // A host that wants nothing has nothing to wait for.
    let idle = Host::of(&hub);
    idle.index(&[]);
    let _daemon = Daemon::start(&idle);
    let said = waited(&idle, &[]);
    assert_eq!(said.code, Some(2), "{said:#?}");
    assert!(said.err.contains("wants no model"), "{said:#?}");
}
