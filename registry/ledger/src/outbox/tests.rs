//! The outbox across restarts, failures and lies; what relays answer.

use base::time::HandClock;

use super::*;
use crate::{
    Options, Policy, SecretKey,
    event::{Scheme, Sid},
    kinds::{Operation, Post},
};

const NOW: UnixSeconds = UnixSeconds(1_000_000);

fn open(folder: &std::path::Path) -> Arc<Log> {
    let options = Options {
        policy: Policy::default(),
        clock: Arc::new(HandClock::at(NOW)),
        folds: vec![],
        observer: None,
    };
    Arc::new(Log::open(&folder.join("ledger.sqlite"), options).unwrap())
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32]).unwrap()
}

fn append(log: &Log, author: u8, content: &str) {
    let sid = Sid::parse("0xA").ok();
    let operation = Operation { created_at: NOW, sid, content: content.to_owned(), ..Operation::default() };
    let event = key(author).sign(Post::default().draft(operation), Scheme::SpecEip191);
    log.append(vec![event.into()]).unwrap();
}

#[test]
fn each_of_our_events_goes_to_each_relay_once_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for (author, content) in [(1, "ours 1"), (2, "theirs"), (1, "ours 2")] {
        append(&log, author, content);
    }
    let outbox = Outbox::new(log.clone());
    assert_eq!(outbox.catch_up("wss://a", key(1).address()).unwrap(), 2);
    assert_eq!(outbox.catch_up("wss://a", key(1).address()).unwrap(), 0);
    let due = outbox.due("wss://a", NOW, 10).unwrap();
    assert_eq!(due.iter().map(|it| it.seq).collect::<Vec<_>>(), [0, 2]);
    assert!(due[0].frame.starts_with(r#"["EVENT",{"id":""#), "{}", due[0].frame);
    outbox.settle("wss://a", &due[0], Verdict::Taken, NOW).unwrap();
    drop((outbox, log));

    // The process ends after an append and before anybody looked.
    let log = open(folder.path());
    append(&log, 1, "ours 3");
    drop(log);
    let log = open(folder.path());
    let outbox = Outbox::new(log.clone());
    assert_eq!(outbox.catch_up("wss://a", key(1).address()).unwrap(), 1);
    let left: Vec<u64> = outbox.due("wss://a", NOW, 10).unwrap().iter().map(|it| it.seq).collect();
    assert_eq!(left, [2, 3], "what was taken is not sent again");
    assert_eq!(outbox.catch_up("wss://b", key(1).address()).unwrap(), 3, "a new relay gets all");
    assert_eq!(outbox.status("wss://b").unwrap().pending, 3);
}

#[test]
fn a_relay_that_is_away_is_tried_ever_less_often() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    append(&log, 1, "1");
    let outbox = Outbox::new(log);
    outbox.catch_up("wss://a", key(1).address()).unwrap();
    let (mut now, mut waits) = (NOW, vec![]);
    for _ in 0..12 {
        let due = outbox.due("wss://a", now, 10).unwrap().remove(0);
        outbox.settle("wss://a", &due, Verdict::Later("no route".to_owned()), now).unwrap();
        assert!(outbox.due("wss://a", now, 10).unwrap().is_empty());
        let next = outbox.status("wss://a").unwrap().next.unwrap();
        waits.push(next.since(now).as_secs());
        now = next;
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
    let status = outbox.status("wss://a").unwrap();
    assert_eq!((status.pending, status.waits_for.as_deref()), (1, Some("no route")));
}

#[test]
fn refusals_and_lies_are_final_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for number in 0..3 {
        append(&log, 1, &number.to_string());
    }
    let outbox = Outbox::new(log);
    outbox.catch_up("wss://a", key(1).address()).unwrap();
    let due = outbox.due("wss://a", NOW, 10).unwrap();
    let settle = |number: usize, verdict| outbox.settle("wss://a", &due[number], verdict, NOW).unwrap();
    settle(0, Verdict::of(false, "invalid: unknown kind"));
    settle(0, Verdict::Taken);
    settle(1, Verdict::of(true, "duplicate: have it"));
    settle(1, Verdict::Lied("not among its events".to_owned()));
    settle(2, Verdict::of(true, ""));
    assert!(outbox.due("wss://a", UnixSeconds(u64::from(u32::MAX)), 10).unwrap().is_empty());
    let status = outbox.status("wss://a").unwrap();
    assert_eq!((status.pending, status.taken, status.refused, status.lied), (0, 1, 1, 1));
    assert_eq!(status.refused_for.as_deref(), Some("invalid: unknown kind"));
    assert_eq!(status.lied_about.as_deref(), Some("not among its events"));
}

#[test]
fn answers_of_relays_are_read_and_nonsense_is_their_matter() {
    let id = "a".repeat(64);
    let check = |frame: &str, expected: Answer| assert_eq!(Answer::parse(frame), expected, "{frame}");
    let known = EventId::parse(&id).unwrap();
    let ok = |rest: &str| format!(r#"["OK","{id}",{rest}]"#);
    check(&ok(r#"true,"seq=1""#), Answer::Ok(known, Verdict::Taken));
    check(&ok("true"), Answer::Ok(known, Verdict::Taken));
    let refused = Verdict::Refused("blocked: no".to_owned());
    check(&ok(r#"false,"blocked: no""#), Answer::Ok(known, refused));
    check(
        &ok(r#"false,"rate-limited: slow""#),
        Answer::Ok(known, Verdict::Later("rate-limited: slow".to_owned())),
    );
    check(&ok(r#""yes""#), Answer::Other);
    check(r#"["AUTH","c"]"#, Answer::Auth("c".to_owned()));
    check(r#"["NOTICE","n"]"#, Answer::Notice("n".to_owned()));
    check(&format!(r#"["EVENT","s",{{"id":"{id}"}}]"#), Answer::Event(known));
    check(r#"["EOSE","s"]"#, Answer::Eose);
    for nonsense in ["", "{}", "[]", "[1]", r#"["OK"]"#, r#"["EVENT","s"]"#, r#"["HELLO"]"#] {
        check(nonsense, Answer::Other);
    }
}
