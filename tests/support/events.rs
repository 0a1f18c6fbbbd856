//! Events on the command line and over HTTP.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use base::UnixSeconds;
use ledger::{
    SecretKey, Sid,
    event::Scheme,
    kinds::{Operation, Post},
};
use serde_json::Value;

use super::{daemon::Daemon, host::Said};

/// Prepares a command that needs no host.
fn hallmark(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
    command.args(words);
    command
}

/// Runs a command that needs no host.
pub(crate) fn run(words: &[&str]) -> Said {
    hallmark(words).output().unwrap().into()
}

/// Runs a command with something on its standard input.
pub(crate) fn fed(words: &[&str], input: &str) -> Said {
    let mut command = hallmark(words);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// Signs a post; the number is all that tells one from another.
pub(crate) fn post(key: &SecretKey, number: u64) -> String {
    let operation = Operation {
        created_at: UnixSeconds(1_700_000_000),
        sid: Sid::parse("0xMG").ok(),
        content: format!("post {number}"),
        ..Operation::default()
    };
    key.sign(Post::default().draft(operation), Scheme::SpecEip191).to_json()
}

/// Sends an event, and returns the status and what is answered.
pub(crate) async fn send(daemon: &Daemon, event: &str) -> (u16, Value) {
    let answer = daemon.client().post(format!("{}/v1/events", daemon.url()));
    let answer = answer.header("content-type", "application/json").body(event.to_owned());
    let answer = answer.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Publishes an event that is taken.
pub(crate) async fn publish(daemon: &Daemon, event: &str) -> Value {
    let (status, answer) = send(daemon, event).await;
    assert_eq!(status, 200, "{answer}");
    answer
}
