use super::*;
use crate::item::tests::EXAMPLE;

fn policy() -> Policy {
    Policy { reveal_after: 2, quorum: 3, challenge: 5, drawn: None }
}

fn core(score: &str, label: &str) -> Json {
    Json::parse(&format!(r#"{{"result":{{"score":{score},"label":"{label}"}}}}"#)).unwrap()
}

fn said(event: &str, author: &str, checkpoint: u64, phase: Phase) -> Said {
    Said { event: event.to_owned(), author: author.to_owned(), checkpoint, phase }
}

fn attest(event: &str, author: &str, checkpoint: u64, core: Json) -> Said {
    said(event, author, checkpoint, Phase::Attest { reveal: "r".to_owned(), core })
}

/// A result that was committed at 1 and revealed at 3.
fn revealed() -> Heavy {
    let digest = Phase::commit_digest(&core("0.5", "ok"), "salt");
    let mut heavy = Heavy::default();
    let commit = Phase::Commit { item: "i".to_owned(), digest };
    heavy.take(&policy(), said("c", "0xe", 1, commit)).unwrap();
    heavy.take(&policy(), said("r", "0xe", 3, reveal("0.5"))).unwrap();
    heavy
}

fn reveal(score: &str) -> Phase {
    Phase::Reveal { commit: "c".to_owned(), core: core(score, "ok"), salt: "salt".to_owned() }
}

fn card(deterministic: bool) -> Item {
    Item::admit(&EXAMPLE.replace("\"det\":true", &format!("\"det\":{deterministic}"))).unwrap()
}

#[test]
fn enough_that_agree_within_the_tolerance_accept_a_result_once_the_challenge_is_over() {
    let mut heavy = revealed();
    for (author, score) in [("0xa", "0.5"), ("0xb", "0.5001"), ("0xd", "0.4999")] {
        heavy.take(&policy(), attest(author, author, 4, core(score, "ok"))).unwrap();
    }
    let stage = |now| heavy.stage(&policy(), &card(false), "c", now).unwrap();
    assert_eq!(stage(8), Stage::Revealed { core: core("0.5", "ok"), agree: 3 });
    assert!(matches!(stage(9), Stage::Accepted { agree, .. } if agree.len() == 3));
    // To the bit they are not the same.
    let strict = heavy.stage(&policy(), &card(true), "c", 9).unwrap();
    assert!(matches!(strict, Stage::Disputed { differ, .. } if differ.len() == 2));
    assert_eq!(heavy.commits("i").collect::<Vec<_>>(), ["c"]);
    assert_eq!(heavy.stage(&policy(), &card(false), "x", 9), None);
}

#[test]
fn one_who_differs_in_time_opens_a_dispute() {
    let check = |checkpoint: u64, other: Json, disputed: bool| {
        let mut heavy = revealed();
        heavy.take(&policy(), attest("x", "0xx", checkpoint, other)).unwrap();
        let stage = heavy.stage(&policy(), &card(false), "c", 20).unwrap();
        assert_eq!(matches!(stage, Stage::Disputed { .. }), disputed);
    };
    check(8, core("0.50011", "ok"), true);
    check(8, core("0.5", "bad"), true);
    check(8, Json::Null, true);
    check(9, core("0.7", "ok"), false);
    check(8, core("0.50009", "ok"), false);
}

#[test]
fn what_does_not_fit_is_refused_with_a_code() {
    let refused = |said: Said| revealed().take(&policy(), said).unwrap_err().code;
    assert_eq!(refused(said("r2", "0xz", 3, reveal("0.5"))), Code::EUpdater);
    assert_eq!(refused(said("r2", "0xe", 2, reveal("0.5"))), Code::EMismatch);
    assert_eq!(refused(said("r2", "0xe", 3, reveal("0.6"))), Code::EMismatch);
    assert_eq!(refused(attest("x", "0xe", 4, core("0.5", "ok"))), Code::EUpdater);
    let unknown = Phase::Attest { reveal: "q".to_owned(), core: core("1", "ok") };
    assert_eq!(refused(said("x", "0xa", 4, unknown)), Code::EMismatch);
    let drawn = Policy { drawn: Some(BTreeSet::from(["0xq".to_owned()])), ..policy() };
    assert!(revealed().take(&drawn, attest("x", "0xa", 4, core("0.5", "ok"))).is_err());
}

#[test]
fn attesters_may_come_in_any_order_and_count_once() {
    let all = [
        attest("a1", "0xa", 4, core("0.5", "ok")),
        attest("a2", "0xa", 5, core("0.9", "ok")),
        attest("b1", "0xb", 4, core("0.5", "ok")),
        attest("b0", "0xb", 4, core("0.5", "ok")),
    ];
    let mut stages = Vec::new();
    for turn in 0..all.len() {
        let mut heavy = revealed();
        for index in 0..all.len() {
            heavy.take(&policy(), all[(turn + index) % all.len()].clone()).unwrap();
        }
        stages.push(heavy.stage(&policy(), &card(false), "c", 9).unwrap());
    }
    assert_eq!(stages[0], Stage::Revealed { core: core("0.5", "ok"), agree: 2 });
    assert!(stages.iter().all(|it| *it == stages[0]));
}

#[test]
fn phases_are_read_from_contents() {
    let hash = format!("0x{}", "ab".repeat(32));
    let read = |text: &str| Phase::read(text).map_err(|flaws| flaws[0].place.clone());
    let commit = read(&format!(r#"{{"phase":"commit","item":"i","commit":"{hash}"}}"#));
    assert!(matches!(commit, Ok(Some(Phase::Commit { .. }))));
    let reveal = read(r#"{"phase":"reveal","commit":"c","core":{},"salt":"s"}"#);
    assert!(matches!(reveal, Ok(Some(Phase::Reveal { .. }))));
    assert!(matches!(read(r#"{"phase":"attest","reveal":"r","core":{}}"#), Ok(Some(Phase::Attest { .. }))));
    assert_eq!(read(r#"{"gas":1}"#), Ok(None));
    assert_eq!(read(r#"{"phase":"vote"}"#), Err("/phase".to_owned()));
    assert_eq!(read(r#"{"phase":"commit","item":"i","commit":"0x"}"#), Err("/commit".to_owned()));
    assert_eq!(read(r#"{"phase":"attest","reveal":"r","core":1}"#), Err("/core".to_owned()));
}
