//! `hallmark demo`: the README's first command.

use std::process::{Command, Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::host::{Said, names};

fn demo(folder: &std::path::Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
    command.arg("demo").args(words).current_dir(folder).env("TMPDIR", folder).stdin(Stdio::null());
    command
}

#[test]
fn the_demo_shows_every_end_without_a_network_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let said = Said::from(demo(folder.path(), &["--exit"]).output().unwrap());
    assert_eq!(said.code, Some(0), "{said:#?}");
    said.says(&["the hub answers 503"])
        .says(&["the hub breaks off after"])
        .says(&["the hub is asked to go on at byte"])
        .says(&["manipura-flaky-v1", "deployed: every byte proven"])
        .says(&["Model checksum verification failed"]);
    for (id, state) in [
        ("muladhara-good-v1", "deployed"),
        ("svadhisthana-tampered-v1", "quarantined"),
        ("manipura-flaky-v1", "deployed"),
        ("anahata-sketch-v1", "stub"),
        ("vishuddha-unlicensed-v1", "held"),
        ("ajna-reviewed-v1", "deployed"),
    ] {
        said.says(&[id, "1.0.0", state]);
    }
    said.says(&["ajna-reviewed-v1", "held: proven"])
        .says(&["approvals 0 < 1, stop=exhausted", "policy: lineage"]);
    said.says(&["ajna-reviewed-v1", "somebody approves it"])
        .says(&["ajna-reviewed-v1", "deployed: every byte"]);
    // What the daemon signed of it, and that a proof of it holds.
    let signed = |id: &str, words: &[&str]| {
        said.says(&[&[id, "dataset ← finetune ← model"], words].concat());
    };
    signed("muladhara-good-v1", &["← verified ← deployed"]);
    signed("svadhisthana-tampered-v1", &["model ← mismatch"]);
    signed("vishuddha-unlicensed-v1", &["← verified ← held"]);
    said.says(&["because", "CC-BY-NC-4.0"]).says(&["because", "came in place of"]);
    said.says(&["Proved with the log's public key alone: event", "in the log"]);
    said.says(&["hallmark event verify proof.json --log-key 'hallmark/"]);
    said.says(&["held", "CC-BY-NC-4.0", "policy: licenses"]).says(&["HF_ENDPOINT=http://127.0.0.1:"]);
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn the_demo_goes_on_serving_until_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path(), &[]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut state = None;
    for line in lines.map(Result::unwrap) {
        state = line.split_once("--watch --state ").map(|it| it.1.to_owned()).or(state);
        if line.contains("Serving until Ctrl-C") {
            break;
        }
    }
    let status = Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(["status", "--state", &state.unwrap()])
        .output()
        .unwrap();
    Said::from(status).says(&["muladhara-good-v1", "deployed"]);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(names(folder.path()), [""; 0]);
}
