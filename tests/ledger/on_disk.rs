//! What is acknowledged is on the disk: seen from the system's side.

use crate::support::{
    daemon::Daemon,
    host::until,
    peers,
    relay::{Client, bare, post},
};

use super::*;

/// What a commit and an answer are made of.
const CALLS: &str = "trace=pwrite64,fsync,fdatasync,sendto";

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_on_the_disk_before_its_author_hears_that_it_was_taken() {
    let what = "that an event is on the disk before it is acknowledged";
    let Some(strace) = peers::program("strace", what) else { return };
    let host = bare(&[]).await;
    let calls = host.path("calls");
    let words = [strace.to_str().unwrap(), "-D", "-f", "-q", "-y", "-s", "64", "-e", CALLS, "-o"];
    let daemon = Daemon::start_through(&host, &[&words[..], &[calls.to_str().unwrap()]].concat());
    let mut client = Client::of(&daemon, "/").await;
    assert_eq!(client.publish(&post(1, "hello")).await[2], true);
    let id = daemon.id().to_string();
    assert_eq!(daemon.stop().0, Some(0));
    let read = || fs::read_to_string(&calls).unwrap();
    until("all was told of the daemon's calls", || {
        read().lines().any(|it| it.starts_with(&id) && it.contains("+++ exited"))
    });
    let told = read();
    let calls: Vec<&str> = told.lines().collect();
    let answered = calls.iter().position(|it| it.contains(r#"[\"OK\""#)).expect("an answer");
    let before = &calls[..answered];
    let of_journal = |name: &str| {
        let call = format!("{name}(");
        before.iter().rposition(|it| it.contains(&call) && it.contains("ledger.sqlite-wal>"))
    };
    let written = of_journal("pwrite64").expect("the event is in the journal");
    let asked = of_journal("fdatasync").expect("the journal is brought to the disk");
    assert!(written < asked, "{told}");
    // A call that takes a while has two lines, with others between them.
    let thread = calls[asked].split_whitespace().next().unwrap();
    let is_end = |it: &&str| it.starts_with(thread) && it.ends_with("= 0") && it.contains("fdatasync");
    assert!(calls[asked..answered].iter().any(is_end), "{told}");
    // Of the file's time of last change nobody has to wait for.
    assert_eq!(of_journal("fsync"), None);
}
