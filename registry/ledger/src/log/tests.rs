//! The log against a list in memory: order, counters, filters, folds, restarts, damage.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use base::{Sha256, UnixSeconds, time::HandClock};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    event::{Draft, EventId, Kind, Leaf, Scheme, Sid, Signed, Tag},
    filter::{Filter, newest_first},
    fold::{Fold, Live},
    key::SecretKey,
    kinds::{Operation, Post, Subspace},
    store::Stored,
    tree::leaf_hash,
};

const NOW: UnixSeconds = UnixSeconds(1_000_000);

/// A fold for tests: how many events of each kind, and a chain over all ids.
#[derive(Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Tally {
    kinds: BTreeMap<u16, u64>,
    chain: String,
}

impl Fold for Tally {
    const NAME: &'static str = "tally";
    const VERSION: u32 = 1;

    fn apply(&mut self, accepted: &Accepted) {
        *self.kinds.entry(accepted.event.kind().0).or_default() += 1;
        self.chain = Sha256::of(format!("{}{}", self.chain, accepted.event.id()).as_bytes()).to_string();
    }
}

struct Rig {
    folder: TempDir,
    tally: Arc<Live<Tally>>,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl Rig {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), tally: Arc::default(), seen: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.sqlite")
    }

    fn try_open(&mut self) -> Result<Log, OpenError> {
        self.tally = Arc::default();
        let seen = self.seen.clone();
        let options = Options {
            policy: Policy::default(),
            clock: Arc::new(HandClock::at(NOW)),
            folds: vec![self.tally.clone()],
            observer: Some(Box::new(move |it| seen.lock().unwrap().push(it.at.seq))),
        };
        Log::open(&self.path(), options)
    }

    fn open(&mut self) -> Log {
        self.try_open().unwrap()
    }
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number + 1; 32]).unwrap()
}

fn post(sid: &str, created_at: u64, content: &str) -> Signed {
    let operation = Operation {
        created_at: UnixSeconds(created_at),
        sid: Some(Sid::parse(sid).unwrap()),
        content: content.to_owned(),
        ..Operation::default()
    };
    key(0).sign(Post::default().draft(operation), Scheme::SpecEip191)
}

fn append(log: &Log, event: Signed) -> Outcome {
    log.append(vec![event.into()]).unwrap().remove(0)
}

fn accepted(outcome: Outcome) -> Arc<Accepted> {
    match outcome {
        Outcome::Accepted(accepted) => accepted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_event_has_its_place_its_counters_and_its_link() {
    let mut rig = Rig::new();
    let log = rig.open();
    let first = accepted(append(&log, post("0xA", 5, "1")));
    let other = accepted(append(&log, post("0xB", 4, "2")));
    let second = accepted(append(&log, post("0xA", 3, "3")));
    let places: Vec<_> = [&first, &other, &second].map(|it| (it.at.seq, it.at.n, it.at.tick)).into();
    assert_eq!(places, [(0, 1, 1), (1, 1, 1), (2, 2, 2)]);
    assert_eq!((first.at.prev, other.at.prev), (None, None));
    let leaf = leaf_hash(&Leaf::of(&first.event, first.at.clone()).to_bytes());
    assert_eq!(second.at.prev, Some(leaf));
    assert_eq!(second.at.received, NOW);
    assert_eq!(*rig.seen.lock().unwrap(), [0, 1, 2], "the observer hears all, in order");

    let space = log.space(Sid::parse("0xA").ok().as_ref(), None).unwrap().unwrap();
    assert_eq!((space.tick, space.clock.get(&Kind::POST)), (2, Some(&2)));
    let past = log.space(Sid::parse("0xA").ok().as_ref(), Some(2)).unwrap().unwrap();
    assert_eq!((past.tick, past.head), (1, Some(0)));
    assert_eq!(log.space(Sid::parse("0xB").ok().as_ref(), Some(1)).unwrap(), None);
    assert_eq!(log.spaces(0, 10).unwrap().len(), 2);
}

#[test]
fn depth_follows_the_parents_that_are_here() {
    let mut rig = Rig::new();
    let log = rig.open();
    let child = |parents: &[EventId], content: &str| {
        let mut draft = Draft {
            created_at: NOW,
            kind: Kind::POST,
            tags: [Tag::pair("d", "subspace_op"), Tag::pair("sid", "0xA")].into_iter().collect(),
            content: content.to_owned(),
        };
        let ids: Vec<String> = parents.iter().map(ToString::to_string).collect();
        draft.tags.push(Tag::list("parent", ids.iter().map(String::as_str)));
        key(0).sign(draft, Scheme::Sdk)
    };
    let root = child(&[], "root");
    let middle = child(&[root.id()], "middle");
    let leaf = child(&[root.id(), middle.id(), EventId::from_bytes([9; 32])], "leaf");
    let batch = [&root, &middle, &leaf].map(|it| Prepared::from(it.clone())).to_vec();
    let depths: Vec<u64> = log.append(batch).unwrap().into_iter().map(|it| accepted(it).at.depth).collect();
    assert_eq!(depths, [0, 1, 2]);
    assert_eq!(accepted(append(&log, child(&[leaf.id()], "later"))).at.depth, 3);
}

#[test]
fn one_body_is_one_entry_whatever_its_id() {
    let mut rig = Rig::new();
    let log = rig.open();
    let draft = Draft { content: "Grüße".to_owned(), ..post_draft() };
    let (one, other) = (key(0).sign(draft.clone(), Scheme::Sdk), key(0).sign(draft, Scheme::SdkUtf16));
    assert_ne!(one.id(), other.id());
    assert_eq!(one.body(), other.body());
    let first = accepted(append(&log, one.clone()));
    for again in [one.clone(), other.clone()] {
        assert_eq!(append(&log, again), Outcome::Duplicate(first.clone()));
    }
    let in_one_batch = post("0xA", 1, "twice");
    let outcomes = log.append(vec![in_one_batch.clone().into(), in_one_batch.into()]).unwrap();
    assert!(matches!(outcomes[..], [Outcome::Accepted(_), Outcome::Duplicate(_)]));
    assert_eq!(log.head().0, 2);
    assert_eq!(log.by_id(one.id()).unwrap().unwrap().at.seq, 0);
    assert_eq!(log.by_id(other.id()).unwrap(), None);
}

fn post_draft() -> Draft {
    let operation = Operation { created_at: NOW, sid: Sid::parse("0xA").ok(), ..Operation::default() };
    Post::default().draft(operation)
}

#[test]
fn nothing_replaces_expires_or_deletes_an_entry() {
    let mut rig = Rig::new();
    let log = rig.open();
    // NIP-01 would keep the last of one author, kind and `d`; NIP-40 would drop the second; NIP-09 the first.
    let first = post("0xA", 1, "first");
    let mut expired = Draft { content: "second".to_owned(), ..post_draft() };
    expired.tags.push(Tag::pair("expiration", "2"));
    let expired = key(0).sign(expired, Scheme::SpecEip191);
    let tags = [Tag::pair("e", &first.id().to_string())].into_iter().collect();
    let deletion = Draft { created_at: NOW, kind: Kind(5), tags, content: String::new() };
    let deletion = key(0).sign(deletion, Scheme::SpecEip191);
    for event in [&first, &expired] {
        accepted(append(&log, event.clone()));
    }
    assert!(matches!(append(&log, deletion), Outcome::Refused(Refusal::Kind(_))));
    let all = Query { filter: Filter::default().kind(Kind::POST), ..Query::default() };
    assert_eq!(log.query(&all).unwrap().len(), 2);
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let mut rig = Rig::new();
    let log = rig.open();
    assert!(matches!(append(&log, post("0xA", NOW.0 + 901, "")), Outcome::Refused(Refusal::Future { .. })));
    let auth = crate::Auth::write(Kind::POST, 1).tag();
    let with = |content: &str| {
        let mut draft = Draft { content: content.to_owned(), ..post_draft() };
        draft.tags.push(auth.clone());
        key(0).sign(draft, Scheme::Sdk)
    };
    assert!(matches!(append(&log, with("1")), Outcome::Accepted(_)));
    assert!(matches!(append(&log, with("2")), Outcome::Refused(Refusal::Auth(_))), "the counter is at 1");
    assert_eq!(log.head().0, 1);
    assert_eq!(rig.tally.read(|_, size| size), 1);
}

#[test]
fn the_first_to_make_a_subspace_has_made_it() {
    let mut rig = Rig::new();
    let log = rig.open();
    let make = |author: u8, content: &str| {
        let subspace = Subspace { subspace_name: Some("ab".to_owned()), ..Subspace::default() };
        let sid = Some(subspace.computed_sid());
        let operation =
            Operation { created_at: NOW, sid, content: content.to_owned(), ..Operation::default() };
        key(author).sign(subspace.draft(operation), Scheme::SpecRaw)
    };
    let first = make(0, "1");
    let sid = first.sid();
    append(&log, post(sid.as_ref().unwrap().as_str(), 1, "an orphan, before its subspace"));
    for event in [first, make(1, "2")] {
        accepted(append(&log, event));
    }
    let space = log.space(sid.as_ref(), None).unwrap().unwrap();
    assert_eq!((space.genesis, space.tick, space.is_verified), (Some(1), 3, true));
    assert_eq!(log.space(sid.as_ref(), Some(1)).unwrap().unwrap().genesis, None, "not made yet");
}

/// An event that many filters tell apart by something.
fn any_event() -> impl Strategy<Value = Signed> {
    let tags = prop::collection::vec(("[pqr]|sid|parent|op|session_id", "[ab]|0x[AB]"), 0..4);
    (
        0_u8..3,
        0_u64..20,
        prop::sample::select(vec![30300_u16, 30404, 30410]),
        tags,
        any::<u64>(),
        any::<bool>(),
    )
        .prop_map(|(author, created_at, kind, tags, salt, sdk)| {
            let mut all: crate::event::Tags =
                [Tag::pair("d", "subspace_op"), Tag::pair("sid", if salt % 2 == 0 { "0xA" } else { "0xB" })]
                    .into_iter()
                    .collect();
            for (name, value) in tags {
                all.push(Tag::list(&name, [value.as_str(), "second"]));
            }
            let draft = Draft {
                created_at: UnixSeconds(created_at),
                kind: Kind(kind),
                tags: all,
                content: salt.to_string(),
            };
            key(author).sign(draft, if sdk { Scheme::Sdk } else { Scheme::SpecEip191 })
        })
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let kinds = prop::option::of(prop::collection::btree_set(
        prop::sample::select(vec![30300_u16, 30404, 1]).prop_map(Kind),
        0..3,
    ));
    let authors =
        prop::option::of(prop::collection::btree_set((0_u8..4).prop_map(|it| key(it).address()), 0..3));
    let values = prop::collection::btree_set("[ab]|0x[AB]|second|subspace_op", 0..3);
    let tags = prop::collection::btree_map("[pqr]|sid|parent|op|d|session_id", values, 0..3);
    let time = prop::option::of((0_u64..22).prop_map(UnixSeconds));
    let limit = prop::option::of(0_u64..30);
    (kinds, authors, tags, time.clone(), time, limit).prop_map(
        |(kinds, authors, tags, since, until, limit)| Filter {
            ids: None,
            authors,
            kinds,
            tags,
            since,
            until,
            limit,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn the_index_gives_what_a_look_at_every_event_gives(
        events in prop::collection::vec(any_event(), 1..220),
        filters in prop::collection::vec(any_filter(), 40),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 5),
        size in any::<prop::sample::Index>(),
        restart: bool,
    ) {
        let mut rig = Rig::new();
        let mut log = rig.open();
        let mut have: Vec<Signed> = Vec::new();
        for batch in events.chunks(50) {
            let batch: Vec<Prepared> = batch.iter().cloned().map(Prepared::from).collect();
            for outcome in log.append(batch).unwrap() {
                if let Outcome::Accepted(it) = outcome {
                    have.push(it.event.clone());
                }
            }
        }
        if restart {
            drop(log);
            log = rig.open();
        }
        let size = size.index(have.len()) as u64 + 1;
        let by_id = Filter { ids: Some(picks.iter().map(|it| have[it.index(have.len())].id()).collect()), ..Filter::default() };
        for (index, filter) in filters.iter().chain([&by_id, &Filter::default()]).enumerate() {
            let size = (index % 3 == 0).then_some(size);
            let seen = have.iter().take(size.map_or(have.len(), |it| usize::try_from(it).unwrap()));
            let mut expected: Vec<&Signed> = seen.filter(|it| filter.matches(it)).collect();
            expected.sort_by(|one, other| newest_first(one, other));
            let whole: Vec<EventId> = expected.iter().map(|it| it.id()).collect();
            let limit = filter.limit.map_or(usize::MAX, |it| usize::try_from(it).unwrap());
            let ids = |found: &[Stored]| found.iter().map(|it| it.id).collect::<Vec<_>>();
            let query = Query { filter: filter.clone(), size, after: None };
            let found = log.query(&query).unwrap();
            prop_assert_eq!(ids(&found), &whole[..whole.len().min(limit)], "{:?}", query);
            if size.is_none() {
                prop_assert_eq!(log.count(filter, 1000).unwrap(), whole.len() as u64);
            }
            // Page by page it is the same list.
            let (mut pages, mut after) = (Vec::new(), None);
            loop {
                let filter = Filter { limit: Some(7), ..filter.clone() };
                let page = log.query(&Query { filter, size, after }).unwrap();
                let Some(last) = page.last() else { break };
                after = Some(PageMark { created_at: last.created_at.0, id: last.id });
                pages.extend(ids(&page));
            }
            prop_assert_eq!(pages, whole);
        }
    }
}

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
fn the_tree_is_the_one_of_the_leaves() {
    let mut rig = Rig::new();
    let log = rig.open();
    let mut oracle = ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
    for number in 0..600 {
        let one = accepted(append(&log, post("0xA", number, &number.to_string())));
        oracle.push(Leaf::of(&one.event, one.at.clone()).to_bytes());
        if number % 37 == 0 || number > 590 {
            assert_eq!(log.head().1.as_bytes().as_slice(), oracle.root().as_bytes().as_slice(), "{number}");
        }
    }
    let head = log.head();
    drop(log);
    assert_eq!(rig.open().head(), head);
}

#[test]
fn a_walk_along_a_subspace_leads_to_its_first_event_and_misses_none() {
    let mut rig = Rig::new();
    let log = rig.open();
    for number in 0..30 {
        append(&log, post(if number % 3 == 0 { "0xA" } else { "0xB" }, number, &number.to_string()));
    }
    let sid = Sid::parse("0xA").ok();
    let (mut before, mut link, mut seen) = (None, None, BTreeSet::new());
    while let Some(step) = log.walk(sid.as_ref(), before).unwrap() {
        assert!(link.is_none_or(|it| it == step.stored.leaf), "each leaf is the one that the next names");
        seen.insert(step.stored.at.seq);
        (before, link) = (step.before, step.stored.at.prev);
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 10);
    assert_eq!(link, None);
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
    let head = log.head();
    assert_eq!(head.0, which * 10, "all of a batch, or nothing");
    assert_eq!(rig.tally.read(|_, size| size), head.0);

    pages("100000");
    let outcomes = log.append(batch(which * 10)).unwrap();
    assert!(outcomes.iter().all(|it| matches!(it, Outcome::Accepted(_))), "they can be sent again");
    assert!(log.failure().is_none());
    let last = log.by_seq(head.0 + 9).unwrap().unwrap();
    assert_eq!((last.at.n, last.at.tick), (head.0 + 10, head.0 + 10), "no counter was lost or counted twice");
    let (leaves, _) = log.chain(Sid::parse("0xA").ok().as_ref(), None, 10_000).unwrap();
    assert_eq!(crate::tree::check_chain(&leaves), Ok(None));
    let head = log.head();
    drop(log);
    assert_eq!(rig.open().head(), head);
}

#[test]
fn a_second_process_is_told_that_the_log_is_in_use() {
    let mut rig = Rig::new();
    let log = rig.open();
    assert!(matches!(rig.try_open(), Err(OpenError::Locked { .. })));
    drop(log);
    assert!(rig.try_open().is_ok());
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
        let at = it.len() / 2;
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
