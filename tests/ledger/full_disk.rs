//! A disk that fills up under the log: it is said, nothing is lost, and it goes on when there is room.

use std::io::ErrorKind;

use super::*;
use crate::support::{events::send, peers};

/// How often more events are sent, at most, until the disk is full.
const SENT_MAX: u64 = 2000;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_once_and_the_log_goes_on_when_there_is_room() {
    let mut host = Host::at("http://127.0.0.1:9");
    host.index(&[]);
    let disk = host.path("disk");
    host.ledger.push(format!("file = {:?}", disk.join("ledger.sqlite")));
    let Some(daemon) = Daemon::start_with_disk(&host, "disk", "6m") else {
        return peers::pass_over("a log on a full disk", "nothing may be mounted here");
    };
    assert_eq!(daemon.json("/readyz").await["log"], Value::Null);
    let key = SecretKey::from_bytes([9; 32]).unwrap();
    let send = async |number: u64| send(&daemon, &post(&key, number)).await;
    let mut taken = 0;
    while taken < 10 {
        assert_eq!(send(taken).await.0, 200);
        taken += 1;
    }
    let ballast = daemon.sees(&disk.join("ballast"));
    let filled = fs::write(&ballast, vec![0; 6 << 20]).unwrap_err();
    assert_eq!(filled.kind(), ErrorKind::StorageFull);
    // The journal may have some room of its own.
    let refused = loop {
        match send(taken).await {
            (200, _) => taken += 1,
            refused => break refused,
        }
        assert!(taken < SENT_MAX, "the disk is never full");
    };
    let (status, problem) = refused;
    assert_eq!((status, &problem["type"]), (503, &json!("urn:hallmark:problem:log-fails")), "{problem}");
    let disk_name = disk.display().to_string();
    assert!(!problem.to_string().contains(&disk_name), "where it is, is nobody's business: {problem}");
    for _ in 0..20 {
        assert_eq!(send(taken).await.0, 503);
    }
    let said = daemon.log();
    let word = format!("and what comes is refused: the event log in {disk_name}");
    assert_eq!(said.matches(&word).count(), 1, "{said}");
    assert!(said.contains("database or disk is full"), "{said}");
    assert_eq!(daemon.counter("hallmark_ledger_fails").await, Some(1));
    let ready = daemon.json("/readyz").await;
    assert!(ready["log"].as_str().unwrap().contains("disk is full") && ready["ready"] == true, "{ready}");
    host.run(&["status"]).says(&["event log: nothing can be written down (database or disk is full)"]);
    // What is there is served.
    assert_eq!(daemon.json("/v1/events?sid=0xMG&limit=1").await["events"].as_array().unwrap().len(), 1);

    fs::remove_file(&ballast).unwrap();
    let (status, answer) = send(taken).await;
    assert_eq!(status, 200, "{answer}");
    let said = daemon.log();
    assert_eq!(said.matches("The event log is written again").count(), 1, "{said}");
    assert_eq!(daemon.counter("hallmark_ledger_fails").await, Some(0));
    assert_eq!(daemon.json("/readyz").await["log"], Value::Null);
    let tick = daemon.json("/v1/subspaces/0xMG").await["tick"].as_u64().unwrap();
    assert_eq!(tick, taken + 1, "each that was taken is there, once");
    assert_eq!(daemon.stop().0, Some(0));
}
