//! The writer and all others at the same time: what may wait for it, and what a reader sees meanwhile.

use std::{sync::mpsc::channel, thread};

use super::*;
use crate::log::EVENTS_MAX;

#[test]
fn only_so_many_events_wait_for_the_writer() {
    let mut rig = Rig::new();
    let log = rig.open();
    let (begun, is_begun) = channel();
    let (go_on, may_go_on) = channel::<()>();
    thread::scope(|scope| {
        let log = &log;
        let blocked = scope.spawn(move || {
            log.write(move |_| {
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
                Ok(())
            })
        });
        is_begun.recv().unwrap();
        let prepared = Prepared::from(post("0xA", 1, "again and again"));
        let (answer, answers) = channel();
        let submit = |count: usize| {
            let answer = answer.clone();
            log.submit(
                vec![prepared.clone(); count],
                Box::new(move |it| answer.send(it.map(|it| it.len())).unwrap()),
            )
        };
        submit(EVENTS_MAX - 1).unwrap();
        assert!(matches!(submit(2), Err(AppendError::Busy)), "one too many");
        submit(1).unwrap();
        assert!(matches!(submit(1), Err(AppendError::Busy)));
        go_on.send(()).unwrap();
        blocked.join().unwrap().unwrap();
        assert_eq!(answers.recv().unwrap().unwrap(), EVENTS_MAX - 1);
        assert_eq!(answers.recv().unwrap().unwrap(), 1);
        // What was taken waits no more.
        submit(EVENTS_MAX).unwrap();
        assert_eq!(answers.recv().unwrap().unwrap(), EVENTS_MAX);
    });
    assert_eq!(log.head().0, 1);
}

#[test]
fn a_question_during_appends_sees_the_log_as_it_was_at_one_moment() {
    let mut rig = Rig::new();
    let log = rig.open();
    // Some eras close meanwhile.
    let events: Vec<Prepared> =
        (0..5 * era::ERA_EVENTS).map(|it| post("0xA", 1000 - it, &it.to_string()).into()).collect();
    let total = events.len() as u64;
    thread::scope(|scope| {
        let log = &log;
        let writer = scope.spawn(move || {
            for batch in events.chunks(3) {
                log.append(batch.to_vec()).unwrap();
            }
        });
        let mut looked = 0;
        loop {
            let before = log.head().0;
            let query = Query { filter: Filter::default().kind(Kind::POST), ..Query::default() };
            let mut found: Vec<u64> = log.query(&query).unwrap().iter().map(|it| it.at.seq).collect();
            found.sort_unstable();
            let seen = found.len() as u64;
            assert_eq!(found, (0..seen).collect::<Vec<_>>(), "nothing is left out");
            assert!((before..=log.head().0).contains(&seen), "{seen} of {before}");
            looked += 1;
            if before == total {
                break;
            }
        }
        writer.join().unwrap();
        assert!(looked > 1);
    });
}
