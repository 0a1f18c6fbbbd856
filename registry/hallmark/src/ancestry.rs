//! The log as a graph, in memory: who rests on whom, and what each event says, ready to be crawled.
//!
//! - It follows the log as a fold does: read from the first event at every start, extended by every append, in the
//!   log's order, so that names mean the same events after every restart.
//! - The thread that writes waits for no reader: what comes while somebody crawls is kept, and taken in before the next
//!   look.
//! - The log counts its places from 0, lineage from 1: `at.seq` is how many events the log had, as a checkpoint says it.
//! - It takes its share of memory and no more; past that it says that it is not whole, and answers nothing.

mod admission;
mod cards;
mod evaluate;
mod impact;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use ::lineage::{Content, Event, Graph};
use base::Sha256;
use ledger::{Accepted, Derived, Log, Objection, Signed};

use self::{admission::Verdicts, cards::Cards};
pub(crate) use self::{
    cards::Card,
    evaluate::{Asked, Evaluated, Trouble},
    impact::{Impact, Target},
};

/// How many events may wait for readers to end before the thread that writes waits too.
const WAITING_MAX: usize = 1 << 16;
/// After how many events the memory is looked at again.
const LOOK_EVERY: u64 = 1024;

/// The graph over one log.
pub(crate) struct Ancestry {
    graph: RwLock<Graph>,
    /// What came while the graph was being read, in order.
    waiting: Mutex<VecDeque<Event>>,
    /// How many events have come.
    size: AtomicU64,
    /// From which place on events are not in the graph; the largest number while all are.
    cut_at: AtomicU64,
    bytes_max: usize,
    /// Kinds that only the operator may see: no UPDATE rests on them, since saying what it should be would tell.
    closed: BTreeSet<u32>,
    cards: RwLock<Cards>,
    verdicts: Mutex<Verdicts>,
    /// The log it follows: known as soon as that is open.
    log: OnceLock<Weak<Log>>,
}

/// The graph does not hold the whole log.
#[derive(Debug, thiserror::Error)]
#[error(
    "the graph of the log has its share of memory, and lacks what came from place {cut_at} on: raise [ledger] \
     graph_bytes_max and restart the daemon"
)]
pub(crate) struct NotWhole {
    cut_at: u64,
}

impl Ancestry {
    /// Begins without events.
    pub(crate) fn new(bytes_max: usize, closed: BTreeSet<u32>) -> Self {
        Self {
            graph: RwLock::default(),
            waiting: Mutex::default(),
            size: AtomicU64::new(0),
            cut_at: AtomicU64::new(u64::MAX),
            bytes_max,
            closed,
            cards: RwLock::default(),
            verdicts: Mutex::default(),
            log: OnceLock::new(),
        }
    }

    /// Names the log that it follows.
    pub(crate) fn follow(&self, log: &Arc<Log>) {
        // A second log would be another daemon's.
        let _ = self.log.set(Arc::downgrade(log));
        let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
        graph.settle();
        tracing::debug!("The graph of the log has {} events, {} bytes", graph.len(), graph.memory_bytes());
    }

    /// Looks at the graph as it is now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Graph) -> T) -> Result<T, NotWhole> {
        if !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
            self.take_waiting(&mut graph);
        }
        let cut_at = self.cut_at.load(Ordering::Acquire);
        if cut_at != u64::MAX {
            return Err(NotWhole { cut_at });
        }
        Ok(look(&self.graph.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Keeps in columns what a card that is in force asks for.
    pub(crate) fn keep_for(&self, item: &::lineage::Item) {
        let columns = self.graph.write().unwrap_or_else(PoisonError::into_inner).keep_for(item);
        tracing::debug!("The graph of the log has {columns} columns");
    }

    fn log(&self) -> Option<Arc<Log>> {
        self.log.get().and_then(Weak::upgrade)
    }

    fn cards(&self) -> std::sync::RwLockReadGuard<'_, Cards> {
        self.cards.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what waits into the graph, in order.
    fn take_waiting(&self, graph: &mut Graph) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(event) = waiting.pop_front() {
            self.push(graph, &event);
        }
    }

    fn push(&self, graph: &mut Graph, event: &Event) {
        if self.cut_at.load(Ordering::Acquire) != u64::MAX {
            return;
        }
        let is_full = event.seq.is_multiple_of(LOOK_EVERY) && graph.memory_bytes() > self.bytes_max;
        let pushed = if is_full { None } else { graph.push_by_name(event).ok() };
        if pushed.is_none() {
            self.cut_at.store(event.seq - 1, Ordering::Release);
            let error = NotWhole { cut_at: event.seq - 1 };
            tracing::error!("{error}; until then no gate opens and no card is evaluated");
        }
    }
}

impl Derived for Ancestry {
    fn name(&self) -> &'static str {
        "ancestry"
    }

    fn version(&self) -> u32 {
        1
    }

    /// Begins anew: the graph is quicker to build than to store.
    fn restore(&self, _: Option<(u64, Vec<u8>)>) {}

    fn apply(&self, accepted: &Accepted) {
        if accepted.at.seq != self.size.load(Ordering::Acquire) {
            return;
        }
        self.cards.write().unwrap_or_else(PoisonError::into_inner).take(accepted);
        let event = event_of(&accepted.event, accepted.at.seq);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(event);
        let is_crowded = waiting.len() > WAITING_MAX;
        drop(waiting);
        if is_crowded {
            self.take_waiting(&mut self.graph.write().unwrap_or_else(PoisonError::into_inner));
        } else if let Ok(mut graph) = self.graph.try_write() {
            self.take_waiting(&mut graph);
        }
        self.size.store(accepted.at.seq + 1, Ordering::Release);
    }

    fn examine(&self, event: &Signed, pending: &mut dyn Iterator<Item = &Accepted>) -> Result<(), Objection> {
        self.admit(event, pending)
    }

    fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    fn save(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// Returns an event as lineage sees it, at its place in the log.
fn event_of(event: &Signed, seq: u64) -> Event {
    Event {
        id: event.id().to_string(),
        pubkey: event.author().as_str().to_owned(),
        created_at: event.created_at().0,
        kind: u32::from(event.kind().0),
        tags: tags_of(event),
        content: Content::of_text(event.content()),
        seq: seq + 1,
    }
}

fn tags_of(event: &Signed) -> Vec<Vec<String>> {
    let elements = |it: &ledger::Tag| {
        std::iter::once(it.name().to_owned()).chain(it.values().iter().cloned()).collect::<Vec<_>>()
    };
    event.tags().iter().map(elements).collect()
}

/// Returns a digest as lineage writes it.
fn hex_text(digest: &Sha256) -> String {
    format!("0x{digest}")
}

#[cfg(test)]
mod tests {
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
}
