//! The log against a list in memory: order, counters, links, subspaces, the tree.

mod faults;
mod index;
mod queue;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Mutex,
};

use base::{Sha256, UnixSeconds, time::HandClock};
use tempfile::TempDir;

use super::*;
use crate::{
    event::{Draft, EventId, Kind, Leaf, Scheme, Sid, Signed, Tag},
    filter::Filter,
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
    /// What the clock shows at the next opening.
    now: UnixSeconds,
    tally: Arc<Live<Tally>>,
    seen: Arc<Mutex<Vec<u64>>>,
    /// How writing goes, as the observer hears it.
    failing: Arc<Mutex<Vec<&'static str>>>,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, now: NOW, tally: Arc::default(), seen: Arc::default(), failing: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.sqlite")
    }

    fn try_open(&mut self) -> Result<Log, OpenError> {
        self.tally = Arc::default();
        let (seen, failing) = (self.seen.clone(), self.failing.clone());
        let hear = move |it: Told<'_>| match it {
            Told::New(new) => seen.lock().unwrap().extend(new.iter().map(|it| it.at.seq)),
            Told::Fails(_) => failing.lock().unwrap().push("fails"),
            Told::GoesOn => failing.lock().unwrap().push("goes on"),
        };
        let options = Options {
            policy: Policy::default(),
            clock: Arc::new(HandClock::at(self.now)),
            folds: vec![self.tally.clone()],
            observer: Some(Box::new(hear)),
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
fn a_kind_that_no_subspace_declares_is_counted_from_its_first_event_on() {
    let mut rig = Rig::new();
    let log = rig.open();
    for (n, content) in [(1, "first"), (2, "second")] {
        let draft = Draft { kind: Kind(30799), content: content.to_owned(), ..post_draft() };
        assert_eq!(accepted(append(&log, key(0).sign(draft, Scheme::SpecEip191))).at.n, n);
    }
    let space = log.space(Sid::parse("0xA").ok().as_ref(), None).unwrap().unwrap();
    assert_eq!(space.clock.get(&Kind(30799)), Some(&2));
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
    let sid = first.sid().cloned();
    append(&log, post(sid.as_ref().unwrap().as_str(), 1, "an orphan, before its subspace"));
    for event in [first, make(1, "2")] {
        accepted(append(&log, event));
    }
    let space = log.space(sid.as_ref(), None).unwrap().unwrap();
    assert_eq!((space.genesis, space.tick, space.is_verified), (Some(1), 3, true));
    assert_eq!(log.space(sid.as_ref(), Some(1)).unwrap().unwrap().genesis, None, "not made yet");
}

/// An event that many filters tell apart by something.

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
