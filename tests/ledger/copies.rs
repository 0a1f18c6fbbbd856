//! Copies of a log: made while it is written to, or of one that is closed, and put back.

use std::process::Command;

use super::*;
use crate::support::peers;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_made_while_the_daemon_writes_and_a_closed_log_is_one_file() {
    let Some(python) = peers::program("python3", "a copy of a log that is in use") else { return };
    let host = Host::at("http://127.0.0.1:9");
    host.index(&[]);
    let key = SecretKey::from_bytes([9; 32]).unwrap();
    let daemon = Daemon::start(&host);
    let (log, copy) = (host.path("state/ledger.sqlite"), host.path("copy.sqlite"));
    for number in 0..50 {
        publish(&daemon, &post(&key, number)).await;
    }
    let begun = daemon.json("/v1/log").await["size"].as_u64().unwrap();
    let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', sys.argv[2:])";
    let copying = Command::new(python).args(["-c", script]).args([&log, &copy]).spawn().unwrap();
    let mut number = 50;
    let copied = tokio::task::spawn_blocking(|| copying.wait_with_output());
    while !copied.is_finished() || number < 60 {
        publish(&daemon, &post(&key, number)).await;
        number += 1;
    }
    assert!(copied.await.unwrap().unwrap().status.success());
    let size = daemon.json("/v1/log").await["size"].as_u64().unwrap();
    assert_eq!(daemon.stop().0, Some(0));

    // All of it is in the file, also what came last.
    assert_eq!(fs::metadata(host.path("state/ledger.sqlite-wal")).map_or(0, |it| it.len()), 0);
    let (closed, moved) = (host.path("closed.sqlite"), host.path("moved.sqlite"));
    fs::copy(&log, &closed).unwrap();
    fs::rename(&log, &moved).unwrap();
    fs::copy(&closed, &log).unwrap();
    let daemon = Daemon::start(&host);
    assert_eq!(daemon.json("/v1/log").await["size"], size);
    assert_eq!(daemon.stop().0, Some(0));

    fs::copy(&copy, &log).unwrap();
    let daemon = Daemon::start(&host);
    let of_copy = daemon.json("/v1/log").await["size"].as_u64().unwrap();
    assert!((begun..=size).contains(&of_copy), "{begun} <= {of_copy} <= {size}");
    // What is not in the copy can be sent again, and what is there is known.
    for number in 0..number {
        let answer = publish(&daemon, &post(&key, number)).await;
        assert_eq!(answer["duplicate"], answer["position"]["seq"].as_u64().unwrap() < of_copy, "{answer}");
    }
    assert_eq!(daemon.json("/v1/log").await["size"], size);
}
