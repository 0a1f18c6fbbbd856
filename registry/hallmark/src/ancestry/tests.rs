//! The graph over a real log in a file.

use base::{UnixSeconds, time::HandClock};
use ledger::{Draft, Kind, Options, Outcome, Policy, Prepared, Scheme, SecretKey, Tag};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A log with its graph.
struct Rig {
    folder: TempDir,
    ancestry: Arc<Ancestry>,
    log: Option<Arc<Log>>,
}

impl Rig {
    fn new(bytes_max: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rig =
            Self { folder, ancestry: Arc::new(Ancestry::new(bytes_max, BTreeSet::new())), log: None };
        rig.open(bytes_max);
        rig
    }

    fn open(&mut self, bytes_max: usize) {
        self.begin(bytes_max);
        while !self.ancestry.read_on().unwrap() {}
    }

    /// Opens the log and reads none of it for the graph yet, unless it is small.
    fn begin(&mut self, bytes_max: usize) {
        self.log = None;
        self.ancestry = Arc::new(Ancestry::new(bytes_max, BTreeSet::new()));
        let options = Options {
            policy: Policy::default(),
            clock: Arc::new(HandClock::at(UnixSeconds(2_000_000))),
            folds: vec![self.ancestry.clone()],
            observer: None,
        };
        let log = Arc::new(Log::open(&self.folder.path().join("ledger.sqlite"), options).unwrap());
        self.ancestry.follow(&log);
        self.log = Some(log);
    }

    fn append(&self, events: &[Signed]) {
        let events = events.iter().cloned().map(Prepared::from).collect();
        let outcomes = self.log.as_ref().unwrap().append(events).unwrap();
        assert!(outcomes.iter().all(|it| matches!(it, Outcome::Accepted(_))), "{outcomes:?}");
    }

    fn line(&self, start: &Signed, at: u64) -> String {
        let text = serde_json::json!({
            "v": "1", "s": start.id().to_string(), "o": { "ut": "U" }, "ctl": { "maxN": 500, "gas": 1_000_000 },
            "j": { "jid": "J", "m": "OP_AI_EVAL", "mod": "m:1", "limit": 500, "spec": [
                { "n": "weight", "sel": "meta.weight", "agg": "sum", "t": "num" },
                { "n": "last", "sel": "meta.weight", "agg": "last", "t": "num" },
                { "n": "height", "sel": "blk.height", "agg": "max", "t": "num" },
            ] },
        });
        let item = ::lineage::Item::admit(&text.to_string()).unwrap();
        let model = ::lineage::Model::read(r#"{"eng":"linreg","in":[],"w":[],"b":"1"}"#).unwrap();
        let asked = Asked { item: &item, model: &model, at: Some(at) };
        let evaluated = self.ancestry.evaluate(&asked).unwrap();
        format!("{} {}", evaluated.evaluation.to_line(), evaluated.at.root)
    }
}

/// A fact of a few kinds that rests on some before it, and names a dataset.
fn facts(shapes: &[(u8, u8, Vec<prop::sample::Index>)]) -> Vec<Signed> {
    let key = SecretKey::from_bytes([5; 32]).unwrap();
    let mut events: Vec<Signed> = Vec::new();
    for (second, (kind, name, parents)) in (0..).zip(shapes) {
        let kind = [Kind::DATASET, Kind::FINETUNE, Kind::MODEL][usize::from(*kind) % 3];
        let name = format!("corpus-{}", name % 3);
        let mut tags = vec![
            Tag::pair("d", "subspace_op"),
            Tag::pair("sid", "0xMG"),
            Tag::pair("dataset_id", &name),
            Tag::pair("weight", &second.to_string()),
        ];
        if !events.is_empty() {
            tags.extend(parents.iter().map(|it| Tag::pair("parent", &it.get(&events).id().to_string())));
        }
        let created_at = UnixSeconds(1_000_000 - second);
        let draft = Draft { created_at, kind, tags: tags.into_iter().collect(), content: String::new() };
        events.push(key.sign(draft, Scheme::SpecEip191));
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn however_the_log_grew_and_after_every_restart_the_answer_is_the_same(
        shapes in prop::collection::vec((any::<u8>(), any::<u8>(), prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 2..16),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        at in any::<prop::sample::Index>(),
    ) {
        let events = facts(&shapes);
        let whole = Rig::new(1 << 30);
        whole.append(&events);
        // The other grows in pieces, is asked in between, and is closed and opened again.
        let mut pieces = Rig::new(1 << 30);
        let mut ends: Vec<usize> = cuts.iter().map(|it| it.index(events.len())).chain([events.len()]).collect();
        ends.sort_unstable();
        let mut begin = 0;
        for end in ends {
            pieces.append(&events[begin..end]);
            if end > 0 {
                pieces.line(&events[0], end as u64);
            }
            pieces.open(1 << 30);
            begin = end;
        }
        let at = at.index(events.len()) as u64 + 1;
        for start in &events[..usize::try_from(at).unwrap()] {
            prop_assert_eq!(whole.line(start, at), pieces.line(start, at));
        }
    }
}

#[test]
fn what_comes_while_somebody_looks_is_there_for_the_next_one() {
    let events = facts(&[(0, 0, vec![]), (1, 0, vec![]), (2, 0, vec![])]);
    let rig = Rig::new(1 << 30);
    rig.append(&events[..1]);
    rig.ancestry
        .look(|graph| {
            // The thread that writes does not wait for this look to end.
            rig.append(&events[1..]);
            assert_eq!(graph.len(), 1);
        })
        .unwrap();
    assert_eq!(rig.ancestry.look(Graph::len).unwrap(), 3);
    assert_eq!(rig.ancestry.size(), 3);
}

#[test]
fn a_graph_that_has_its_share_of_memory_says_so_and_answers_nothing() {
    let shapes = vec![(0, 0, vec![]); usize::try_from(LOOK_EVERY).unwrap() + 2];
    let events = facts(&shapes);
    let rig = Rig::new(1);
    rig.append(&events);
    let error = rig.ancestry.look(Graph::len).unwrap_err().to_string();
    assert!(error.contains("from place 1023 on"), "{error}");
    let trouble = rig.ancestry.point(None).unwrap();
    assert_eq!(trouble.seq, events.len() as u64, "the log itself goes on");
}

/// Asks a real log about a card: nobody can say whether its name was used before, until all is read.
fn card_event(start: &Signed) -> Signed {
    let content = serde_json::json!({
        "v": "1", "s": start.id().to_string(), "o": { "ut": "U" }, "ctl": { "maxN": 500, "gas": 1_000_000 },
        "j": { "jid": "J", "m": "OP_AI_EVAL", "mod": "m:1", "limit": 500, "spec": [
            { "n": "weight", "sel": "meta.weight", "agg": "sum", "t": "num" },
        ] },
    });
    let tags =
        [Tag::pair("d", "subspace_op"), Tag::pair("sid", "0xMG"), Tag::pair("compute_type", "lineage")];
    let draft = Draft {
        created_at: UnixSeconds(1_000_000),
        kind: Kind::COMPUTE,
        tags: tags.into_iter().collect(),
        content: content.to_string(),
    };
    SecretKey::from_bytes([6; 32]).unwrap().sign(draft, Scheme::SpecEip191)
}

/// Facts that rest on the one before.
fn chain(length: usize) -> Vec<Signed> {
    facts(&vec![(0, 0, vec![]); length])
}

#[test]
fn a_log_is_read_step_by_step_and_what_comes_meanwhile_has_its_place() {
    let events = chain(12);
    let mut rig = Rig::new(1 << 30);
    rig.append(&events[..10]);
    rig.begin(1 << 30);
    let lack = |rig: &Rig| rig.ancestry.look(Graph::len).unwrap_err().to_string();
    assert_eq!(lack(&rig), "lineage graph: 0 of 10 events read");
    assert!(!rig.ancestry.read_on().unwrap());
    rig.append(&events[10..11]);
    assert_eq!(lack(&rig), "lineage graph: 4 of 11 events read");
    assert!(matches!(rig.ancestry.point(None), Err(Trouble::NotWhole(NotWhole::BeingRead(_)))));
    let card = card_event(&events[0]);
    let offer = |rig: &Rig| rig.log.as_ref().unwrap().append(vec![card.clone().into()]).unwrap().remove(0);
    let Outcome::Refused(refusal) = offer(&rig) else { panic!("nobody can judge a card yet") };
    assert_eq!(
        format!("{}: {refusal}", refusal.prefix()),
        "error: lineage graph: 4 of 11 events read; send the event again"
    );
    assert!(!rig.ancestry.read_on().unwrap());
    assert!(rig.ancestry.read_on().unwrap(), "the last step takes what came meanwhile");
    rig.append(&events[11..]);
    assert_eq!((rig.ancestry.look(Graph::len).unwrap(), rig.ancestry.size()), (12, 12));
    let whole = Rig::new(1 << 30);
    whole.append(&events);
    for at in 1..=12 {
        assert_eq!(rig.line(&events[0], at), whole.line(&events[0], at));
    }
    assert!(matches!(offer(&rig), Outcome::Accepted(_)));
}

#[test]
fn the_last_step_and_what_comes_at_the_same_time_meet_without_a_gap() {
    let events = chain(400);
    let mut rig = Rig::new(1 << 30);
    rig.append(&events[..200]);
    rig.begin(1 << 30);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| while !rig.ancestry.read_on().unwrap() {});
        // Each comes by itself, so that there are many chances to miss one.
        events[200..].chunks(1).for_each(|it| rig.append(it));
        reader.join().unwrap();
    });
    assert_eq!((rig.ancestry.look(Graph::len).unwrap(), rig.ancestry.size()), (400, 400));
    let whole = Rig::new(1 << 30);
    whole.append(&events);
    assert_eq!(rig.line(&events[0], 400), whole.line(&events[0], 400));
}

#[test]
fn what_cannot_be_read_is_said_and_reading_goes_on_where_it_was() {
    let events = chain(9);
    let mut rig = Rig::new(1 << 30);
    rig.append(&events);
    rig.begin(1 << 30);
    assert!(!rig.ancestry.read_on().unwrap());
    rig.ancestry.stumble("the disk is gone".to_owned());
    let said = rig.ancestry.look(Graph::len).unwrap_err().to_string();
    assert!(said.contains("from place 4 on") && said.contains("the disk is gone"), "{said}");
    while !rig.ancestry.read_on().unwrap() {}
    assert_eq!(rig.ancestry.look(Graph::len).unwrap(), 9);
}
