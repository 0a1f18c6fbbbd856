//! The log as a graph, in memory: who rests on whom, and what each event says, ready to be crawled.
//!
//! - It holds the log from the first event on, in the log's order, so that names mean the same events after every
//!   restart. What the log had before a start is read while the daemon serves; until then there is no answer.
//! - The thread that writes waits for no reader: what comes while somebody crawls is kept, and taken in before the next
//!   look.
//! - The log counts its places from 0, lineage from 1: `at.seq` is how many events the log had, as a checkpoint says it.
//! - It takes its share of memory and no more; past that it says that it is not whole, and answers nothing.

mod admission;
mod cards;
mod evaluate;
mod impact;
mod reading;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use ::lineage::{Fact, Graph, Id};
use base::Sha256;
use ledger::{Accepted, Derived, Log, Refusal, Signed, event::TagView};

use self::{admission::Verdicts, cards::Cards, reading::Reading};
pub(crate) use self::{
    cards::Card,
    evaluate::{Asked, Evaluated, Trouble},
    impact::{Impact, Target},
    reading::Progress,
};

/// How many events may wait for readers to end before the thread that writes waits too.
const WAITING_MAX: usize = 1 << 16;
/// After how many events the memory is looked at again.
const LOOK_EVERY: u64 = 1024;

/// The graph over one log.
pub(crate) struct Ancestry {
    graph: RwLock<Graph>,
    /// Whether all is here that the log had at the start.
    reading: Mutex<Reading>,
    /// What came while somebody looked at the graph, in order, with its place.
    waiting: Mutex<VecDeque<(Signed, u64)>>,
    /// How many events of the log were taken, from the first on without a gap.
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotWhole {
    /// What the log had at the start is still being read. This passes.
    #[error("lineage graph: {}", .0)]
    BeingRead(Progress),
    /// It cannot be read, and is tried again.
    #[error(
        "the lineage graph lacks what the log has from place {at} on, which cannot be read and is tried again: {why}"
    )]
    Unreadable {
        /// The first place that is not in the graph.
        at: u64,
        /// Why.
        why: String,
    },
    /// There is no more memory for it.
    #[error(
        "the graph of the log has its share of memory, and lacks what came from place {cut_at} on: raise [ledger] \
         graph_bytes_max and restart the daemon"
    )]
    Full {
        /// The first place that is not in the graph.
        cut_at: u64,
    },
}

impl Ancestry {
    /// Begins without events.
    pub(crate) fn new(bytes_max: usize, closed: BTreeSet<u32>) -> Self {
        Self {
            graph: RwLock::default(),
            reading: Mutex::default(),
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

    /// Looks at the graph as it is now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Graph) -> T) -> Result<T, NotWhole> {
        self.check_read()?;
        if !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
            self.take_waiting(&mut graph);
        }
        self.check_room()?;
        Ok(look(&self.graph.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Says whether there was memory for all that came.
    fn check_room(&self) -> Result<(), NotWhole> {
        match self.cut_at.load(Ordering::Acquire) {
            u64::MAX => Ok(()),
            cut_at => Err(NotWhole::Full { cut_at }),
        }
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

    /// Takes an event into the graph; nothing of it is copied unless somebody looks at the graph just now.
    fn take(&self, event: &Signed, seq: u64) {
        if let Ok(mut graph) = self.graph.try_write() {
            self.take_waiting(&mut graph);
            self.push(&mut graph, event, seq);
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back((event.clone(), seq));
        let is_crowded = waiting.len() > WAITING_MAX;
        drop(waiting);
        if is_crowded {
            self.take_waiting(&mut self.graph.write().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Puts what waits into the graph, in order.
    fn take_waiting(&self, graph: &mut Graph) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((event, seq)) = waiting.pop_front() {
            self.push(graph, &event, seq);
        }
    }

    /// Puts an event into the graph, or says once that there is no room.
    fn push(&self, graph: &mut Graph, event: &Signed, seq: u64) {
        if self.cut_at.load(Ordering::Acquire) != u64::MAX {
            return;
        }
        let placed = Placed { event, seq };
        let is_full = placed.seq().is_multiple_of(LOOK_EVERY) && graph.memory_bytes() > self.bytes_max;
        let pushed = if is_full { None } else { graph.push_by_name(&placed).ok() };
        if pushed.is_none() {
            self.cut_at.store(seq, Ordering::Release);
            let error = NotWhole::Full { cut_at: seq };
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

    /// The graph is quicker to build than to store, and too slow to build for a start to wait.
    fn reads_by_itself(&self) -> bool {
        true
    }

    fn restore(&self, _: Option<(u64, Vec<u8>)>) {}

    fn look_ahead(&self, next: &[Arc<Accepted>]) {
        // Nothing is looked up for events that the graph does not take now, and nobody is waited for.
        let is_next = next.first().is_some_and(|it| it.at.seq == self.size.load(Ordering::Acquire));
        if is_next && let Ok(graph) = self.graph.try_read() {
            let placed: Vec<Placed> =
                next.iter().map(|it| Placed { event: &it.event, seq: it.at.seq }).collect();
            graph.look_ahead(&placed);
        }
    }

    fn apply(&self, accepted: &Accepted) {
        if self.comes_by_reading(accepted.at.seq) || accepted.at.seq != self.size.load(Ordering::Acquire) {
            return;
        }
        self.cards.write().unwrap_or_else(PoisonError::into_inner).take(accepted);
        self.take(&accepted.event, accepted.at.seq);
        self.size.store(accepted.at.seq + 1, Ordering::Release);
    }

    fn examine(&self, event: &Signed, pending: &mut dyn Iterator<Item = &Accepted>) -> Result<(), Refusal> {
        self.admit(event, pending)
    }

    fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    fn save(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// An event at its place in the log, as lineage sees it.
struct Placed<'l> {
    event: &'l Signed,
    /// From 0.
    seq: u64,
}

impl Fact for Placed<'_> {
    fn id(&self) -> Id<'_> {
        Sha256::from_bytes(*self.event.id().as_bytes()).into()
    }

    fn pubkey(&self) -> &str {
        self.event.author().as_str()
    }

    fn created_at(&self) -> u64 {
        self.event.created_at().0
    }

    fn kind(&self) -> u32 {
        u32::from(self.event.kind().0)
    }

    fn tags(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        self.event.tags().iter().map(TagView::elements)
    }

    fn content(&self) -> &str {
        self.event.content()
    }

    fn seq(&self) -> u64 {
        self.seq + 1
    }
}

fn tags_of(event: &Signed) -> Vec<Vec<String>> {
    event.tags().iter().map(|it| it.elements().map(str::to_owned).collect()).collect()
}

/// Returns a digest as lineage writes it.
fn hex_text(digest: &Sha256) -> String {
    format!("0x{digest}")
}

#[cfg(test)]
mod tests;
