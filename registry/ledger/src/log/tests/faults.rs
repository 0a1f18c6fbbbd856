//! What goes wrong around a log: restarts, a full disk, a second process, a clock that is set, a file that is damaged.

use super::*;
use crate::DamageError;

#[test]
fn a_restart_finds_all_of_it_and_the_folds_where_they_were() {
    let mut rig = Rig::new();
    let log = rig.open();
    let events: Vec<Signed> = (0..200).map(|it| post("0xA", it, &it.to_string())).collect();
    for batch in events.chunks(7) {
        log.append(batch.iter().cloned().map(Prepared::from).collect()).unwrap();
    }
    let (head, digest) = (log.head(), rig.tally.read(|it, _| it.digest()));
    drop(log);
    let log = rig.open();
    assert_eq!(log.head(), head);
    assert_eq!(rig.tally.read(|it, size| (it.digest(), size)), (digest, 200));
    let mut replayed = Tally::default();
    log.range(0, 200, |it| {
        replayed.apply(&it.event()?);
        Ok(())
    })
    .unwrap();
    assert_eq!(replayed.digest(), digest, "live and replayed are one");
    for event in events {
        assert!(matches!(append(&log, event), Outcome::Duplicate(_)));
    }
    assert_eq!(log.check(0, 60).unwrap(), Some(60));
    assert_eq!(log.check(60, 1000).unwrap(), None);
}

#[test]
fn a_full_disk_refuses_whole_batches_and_the_log_goes_on_when_there_is_room() {
    let mut rig = Rig::new();
    let log = rig.open();
    let pages = |count: &str| {
        let sql = format!("PRAGMA max_page_count = {count}");
        log.write(move |store| store.execute_for_tests(&sql)).unwrap();
    };
    let batch = |from: u64| {
        (from..from + 10)
            .map(|it| Prepared::from(post("0xA", it, &format!("{it}{}", "x".repeat(900)))))
            .collect()
    };
    log.append(batch(0)).unwrap();
    pages("30");
    let failed = (1..20).find_map(|it| Some((it, log.append(batch(it * 10)).err()?)));
    let (which, error) = failed.expect("thirty pages are soon full");
    assert!(matches!(error, AppendError::Store(_)), "{error:?}");
    assert!(log.failure().is_some());
    assert_eq!(*rig.failing.lock().unwrap(), ["fails"]);
    assert!(log.append(batch(which * 10)).is_err());
    let head = log.head();
    assert_eq!(head.0, which * 10, "all of a batch, or nothing");
    assert_eq!(rig.tally.read(|_, size| size), head.0);

    pages("100000");
    let outcomes = log.append(batch(which * 10)).unwrap();
    assert!(outcomes.iter().all(|it| matches!(it, Outcome::Accepted(_))), "they can be sent again");
    assert!(log.failure().is_none());
    assert_eq!(
        *rig.failing.lock().unwrap(),
        ["fails", "fails", "goes on"],
        "it is said once that it goes on"
    );
    log.append(batch((which + 1) * 10)).unwrap();
    assert_eq!(rig.failing.lock().unwrap().len(), 3);
    let last = log.by_seq(head.0 + 9).unwrap().unwrap();
    assert_eq!((last.at.n, last.at.tick), (head.0 + 10, head.0 + 10), "no counter was lost or counted twice");
    let (leaves, _) = log.chain(Sid::parse("0xA").ok().as_ref(), None, 10_000).unwrap();
    assert_eq!(crate::tree::check_chain(&leaves), Ok(None));
    let head = log.head();
    drop(log);
    assert_eq!(rig.open().head(), head);
}

#[test]
fn a_file_that_is_moved_away_is_not_written_to_and_the_log_goes_on_when_it_is_back() {
    let mut rig = Rig::new();
    let log = rig.open();
    append(&log, post("0xA", 0, "before"));
    let (here, away) = (rig.path(), rig.path().with_extension("away"));
    let fails = |number: u64| {
        let error = log.append(vec![post("0xA", number, "meanwhile").into()]).unwrap_err();
        let AppendError::Store(error) = &error else { panic!("{error:?}") };
        assert!(matches!(**error, StoreError::Gone { .. }), "{error:?}");
    };
    fs::rename(&here, &away).unwrap();
    fails(1);
    // A copy is another file.
    fs::copy(&away, &here).unwrap();
    fails(2);
    fs::rename(&away, &here).unwrap();
    assert!(matches!(append(&log, post("0xA", 3, "after")), Outcome::Accepted(_)));
    assert_eq!((log.head().0, rig.tally.read(|_, size| size)), (2, 2));
    assert_eq!(*rig.failing.lock().unwrap(), ["fails", "fails", "goes on"]);
}

#[test]
fn a_log_that_is_closed_is_one_file() {
    let mut rig = Rig::new();
    let log = rig.open();
    append(&log, post("0xA", 0, "one"));
    // Readers keep connections of their own, which close later than the writer's.
    assert_eq!(log.query(&Query::default()).unwrap().len(), 1);
    let head = log.head();
    drop(log);
    let journal = rig.path().with_extension("sqlite-wal");
    assert_eq!(fs::metadata(&journal).map_or(0, |it| it.len()), 0);
    let mut other = Rig::new();
    fs::copy(rig.path(), other.path()).unwrap();
    assert_eq!(other.open().head(), head);
}

#[test]
fn the_journal_of_a_log_that_grows_and_grows_does_not() {
    let mut rig = Rig::new();
    let log = rig.open();
    let content = "x".repeat(50_000);
    for round in 0..30 {
        let events = (0..16).map(|it| post("0xA", round * 16 + it, &content).into());
        log.append(events.collect()).unwrap();
        // Somebody reads all the while.
        log.query(&Query { filter: Filter::default().limit(3), ..Query::default() }).unwrap();
    }
    let [file, journal] =
        [rig.path(), rig.path().with_extension("sqlite-wal")].map(|it| fs::metadata(it).unwrap().len());
    assert!(file > 12_000_000, "{file} bytes are in the file");
    assert!(journal < 20_000_000, "{journal} bytes are in the journal");
}

#[test]
fn a_second_process_is_told_that_the_log_is_in_use() {
    let mut rig = Rig::new();
    let log = rig.open();
    assert!(matches!(rig.try_open(), Err(OpenError::Locked { .. })));
    drop(log);
    assert!(rig.try_open().is_ok());
}

#[test]
fn a_clock_that_is_set_far_ahead_and_back_again_breaks_nothing() {
    let mut rig = Rig::new();
    let far = UnixSeconds(NOW.0 + 200 * 365 * 86_400);
    rig.now = far;
    let log = rig.open();
    let early = accepted(append(&log, post("0xA", far.0, "by a clock that is wrong")));
    drop(log);
    rig.now = NOW;
    let log = rig.open();
    let ahead = append(&log, post("0xA", far.0, "by another one"));
    assert!(matches!(ahead, Outcome::Refused(Refusal::Future { .. })), "{ahead:?}");
    let next = accepted(append(&log, post("0xA", NOW.0, "by the right one")));
    // Order and counters know no hour; the times of arrival are what the clock showed.
    assert_eq!((next.at.seq, next.at.n, next.at.tick), (1, 2, 2));
    assert_eq!((early.at.received, next.at.received), (far, NOW));
    let filter = Filter::default().tag("sid", "0xA");
    let found = log.query(&Query { filter, ..Query::default() }).unwrap();
    assert_eq!(
        found.iter().map(|it| it.at.seq).collect::<Vec<_>>(),
        [0, 1],
        "newest first, by their authors"
    );
    assert_eq!(log.check(0, 10).unwrap(), None);
}

#[test]
fn a_journal_whose_log_is_missing_gets_no_other_log_beside_it() {
    let mut rig = Rig::new();
    let log = rig.open();
    append(&log, post("0xA", 0, "only in the journal yet"));
    let mut other = Rig::new();
    let journal = |rig: &Rig| rig.path().with_extension("sqlite-wal");
    fs::copy(journal(&rig), journal(&other)).unwrap();
    let Err(error) = other.try_open() else { panic!("two logs were mixed") };
    assert!(matches!(&error, OpenError::Journal { journal: it, .. } if *it == journal(&other)), "{error}");
    assert!(error.to_string().contains("put the log back") && !other.path().exists(), "{error}");
    fs::copy(rig.path(), other.path()).unwrap();
    assert_eq!(other.open().head(), log.head(), "together they are the log");
}

#[test]
fn a_journal_that_was_left_beside_a_copy_is_not_read_into_it_for_good() {
    let mut rig = Rig::new();
    let mut batch = |count: u64| {
        let log = rig.open();
        let from = log.head().0;
        let events = (from..from + count).map(|it| post("0xA", it, &format!("{it} {}", "x".repeat(900))));
        log.append(events.map(Prepared::from).collect()).unwrap();
        (log, rig.path())
    };
    let (log, path) = batch(20);
    drop(log);
    let copy = fs::read(&path).unwrap();
    // All of these become part of the file; only what comes last is in the journal.
    drop(batch(100));
    let (log, _) = batch(1);
    let journal_path = path.with_extension("sqlite-wal");
    let journal = fs::read(&journal_path).unwrap();
    drop(log);
    fs::write(&path, &copy).unwrap();
    fs::write(&journal_path, &journal).unwrap();
    let Err(error) = rig.try_open() else { panic!("two times were mixed") };
    let OpenError::Damaged { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source, DamageError::Counted { events: 20, .. }), "{source}");
    assert!(error.to_string().contains("ledger.sqlite-wal"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), copy, "the copy is as it was");
    fs::remove_file(&journal_path).unwrap();
    assert_eq!(rig.open().head().0, 20);
}

fn damaged(rig: &mut Rig, damage: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = fs::read(rig.path()).unwrap();
    damage(&mut bytes);
    fs::write(rig.path(), &bytes).unwrap();
    let Err(error) = rig.try_open() else { panic!("damage was not found") };
    assert_eq!(fs::read(rig.path()).unwrap(), bytes, "nothing is overwritten");
    let causes = std::iter::successors(std::error::Error::source(&error), |it| it.source());
    causes.fold(error.to_string(), |text, it| format!("{text}: {it}"))
}

fn filled() -> Rig {
    let mut rig = Rig::new();
    let log = rig.open();
    for batch in 0..10 {
        let events = (0..12).map(|it| post("0xA", it, &format!("number {batch}/{it} {}", "x".repeat(600))));
        log.append(events.map(Prepared::from).collect()).unwrap();
    }
    drop(log);
    rig
}

#[test]
fn damage_is_found_at_the_start_said_clearly_and_left_alone() {
    let check = |damage: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let mut rig = filled();
        let said = damaged(&mut rig, damage);
        assert!(said.contains("is damaged, and is left as it is"), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    check(&|it| it.truncate(0), "not an SQLite database");
    check(&|it| it[..16].copy_from_slice(b"not what it was!"), "not an SQLite database");
    check(&|it| it.truncate(it.len() / 2), "");
    check(&|it| it[68..72].copy_from_slice(&[1, 2, 3, 4]), "another program");
    check(
        &|it| {
            let at = it.windows(10).position(|it| it == b"number 3/7").unwrap();
            it[at + 7] = b'4';
        },
        "its bytes are not those that were signed",
    );
    let middle = |it: &mut Vec<u8>| {
        // What a page does not use may be anything.
        let half = it.len() / 2;
        let at = half + it[half..].iter().position(|it| *it != 0).unwrap();
        it[at..at + 2048].fill(0xa5);
    };
    check(&middle, "");
}

/// Reads everything there is to read, or says why it cannot.
fn contents(log: &Log) -> Result<Vec<String>, String> {
    let size = log.head().0;
    log.check(0, size).map_err(|it| it.to_string())?;
    let filter = Filter::default().tag("sid", "0xA").kind(Kind::POST);
    let found = log.query(&Query { filter, ..Query::default() }).map_err(|it| it.to_string())?;
    let mut events = Vec::new();
    log.range(0, size, |it| {
        events.push(it.json);
        Ok(())
    })
    .map_err(|it| it.to_string())?;
    assert_eq!(found.len(), events.len());
    Ok(events)
}

#[test]
fn a_byte_that_is_flipped_is_found_or_was_of_no_use() {
    let mut rig = filled();
    let expected = contents(&rig.open()).unwrap();
    let whole = fs::read(rig.path()).unwrap();
    let mut found = 0;
    for place in (0..whole.len()).step_by(whole.len() / 97) {
        let mut rig = Rig::new();
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        fs::write(rig.path(), &bytes).unwrap();
        match rig.try_open().map_err(|it| it.to_string()).and_then(|log| contents(&log)) {
            Ok(events) => {
                let changed = events.iter().zip(&expected).find(|(now, then)| now != then);
                assert_eq!(changed, None, "byte {place} changed something in silence");
            }
            Err(_) => found += 1,
        }
    }
    assert!(found > 30, "most of the file is in use, yet only {found} of 97 were found");
}
