//! The one writer: takes what is queued, gives each event its place, commits, and only then answers.
//!
//! A batch is one transaction. If it fails, nothing of it happened, and what is in memory is read again from disk.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base::{Clock, Sha256, UnixSeconds};
use foldhash::fast::RandomState;

use super::{
    AppendError, Done, Job, Observer, Outcome, Prepared, Queue, Shared, Told,
    era::{ERA_EVENTS, Indexed},
    spaces::Spaces,
};
use crate::{
    admission::{self, Policy},
    event::{Accepted, BodyId, EventId, Leaf, Position, Signed},
    fold::{self, Derived},
    store::{EventRow, EventRows, Store, StoreError},
    tree::{Frontier, leaf_hash},
};

/// The most events in one transaction. More would make the first of them wait.
const BATCH_MAX: usize = 2048;

/// Everything that only the writer touches.
pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    /// How many events wait in the queue.
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) policy: Policy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) folds: Vec<Arc<dyn Derived>>,
    pub(super) observer: Option<Observer>,
    /// `None` after a failure, until it could be read again.
    pub(super) state: Option<State>,
}

/// What follows from the log, kept at hand for the next event.
#[derive(Debug)]
pub(super) struct State {
    pub(super) spaces: Spaces,
    pub(super) frontier: Frontier,
}

/// What a transaction has appended so far.
struct Appended {
    new: Vec<Arc<Accepted>>,
    /// What is indexed of each of them.
    indexed: Vec<Indexed>,
    bodies: HashMap<BodyId, usize, RandomState>,
    depths: HashMap<EventId, u64, RandomState>,
}

impl Appended {
    fn with_room(events: usize) -> Self {
        Self {
            new: Vec::with_capacity(events),
            indexed: Vec::with_capacity(events),
            bodies: HashMap::with_capacity_and_hasher(events, RandomState::default()),
            depths: HashMap::with_capacity_and_hasher(events, RandomState::default()),
        }
    }
}

impl State {
    /// Reads what is at hand from the file.
    pub(super) fn load(store: &Store) -> Result<Self, StoreError> {
        let size = store.size()?;
        Ok(Self { spaces: Spaces::load(store)?, frontier: Frontier::load(store, size)? })
    }
}

impl Writer {
    /// Works until nobody can ask for anything any more. Keeps the folds first if they have just caught up with much.
    pub(super) fn run(mut self, mut jobs: Queue, caught_up: bool) {
        if caught_up {
            self.keep_folds();
        }
        while let Some(first) = jobs.first() {
            let (mut batch, mut events) = (Vec::new(), 0);
            let mut next = Some(first);
            while let Some(job) = next.take() {
                match job {
                    Job::Append(more, done) => {
                        events += more.len();
                        self.waiting.fetch_sub(more.len(), Ordering::Relaxed);
                        batch.push((more, done));
                    }
                    // In its own turn: it may rest on what is appended before it.
                    Job::Write(work) => {
                        self.answer(std::mem::take(&mut batch));
                        work(&mut self.store);
                    }
                }
                if events < BATCH_MAX {
                    next = jobs.next(events);
                }
            }
            self.answer(batch);
            if let Err(error) = self.store.shorten_journal() {
                self.fails(&Arc::new(error));
            }
            jobs.wrote(events);
        }
        // The folds' state is written once more, so that the next start has nothing to apply.
        self.keep_folds();
        // Whoever copies or moves the file of a log that is closed has all of it.
        if let Err(error) = self.store.end_journal() {
            self.fails(&Arc::new(error));
        }
    }

    /// Appends the events of some jobs and answers each job.
    fn answer(&mut self, jobs: Vec<(Vec<Prepared>, Done)>) {
        let (waiting, events): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|(events, done)| ((events.len(), done), events)).unzip();
        let mut queue: VecDeque<Prepared> = events.into_iter().flatten().collect();
        let mut outcomes = Vec::with_capacity(queue.len());
        let mut failure = None;
        while !queue.is_empty() {
            match self.close_full_era().and_then(|()| self.commit(&mut queue)) {
                Ok(found) => outcomes.extend(found),
                Err(error) => {
                    failure = Some(Arc::new(error));
                    break;
                }
            }
        }
        if let Some(error) = &failure {
            self.state = None;
            self.fails(error);
        }
        let mut outcomes = outcomes.into_iter();
        for (length, done) in waiting {
            let own: Vec<Outcome> = outcomes.by_ref().take(length).collect();
            match &failure {
                Some(error) if own.len() < length => done(Err(AppendError::Store(error.clone()))),
                _ => done(Ok(own)),
            }
        }
        // Nobody waits for this one; if it fails, the next append tries again and says so.
        if failure.is_none()
            && let Err(error) = self.close_full_era()
        {
            self.fails(&Arc::new(error));
        }
    }

    /// Appends what is queued in one transaction, up to the end of the era.
    fn commit(&mut self, queue: &mut VecDeque<Prepared>) -> Result<Vec<Outcome>, StoreError> {
        let now = self.clock.now();
        let mut state = match self.state.take() {
            Some(state) => state,
            None => State::load(&self.store)?,
        };
        let room = ERA_EVENTS - state.frontier.size() % ERA_EVENTS;
        let mut appended = Appended::with_room(queue.len().min(BATCH_MAX));
        let mut outcomes = Vec::new();
        let rules = Rules { shared: &self.shared, policy: &self.policy, folds: &self.folds, now };
        self.store.transact(|store| {
            let mut rows = store.event_rows()?;
            while (appended.new.len() as u64) < room && outcomes.len() < BATCH_MAX {
                let Some(next) = queue.pop_front() else { break };
                outcomes.push(append(store, &mut rows, &mut state, &rules, next, &mut appended)?);
            }
            state.spaces.write(store)
        })?;
        self.shared.publish(&appended.new, &appended.indexed, state.frontier.root());
        self.state = Some(state);
        fold::apply_all(&self.folds, &appended.new);
        // What was there already, or is refused, writes nothing.
        if !appended.new.is_empty() {
            if self.shared.forget_failure() {
                self.tell(Told::GoesOn);
            }
            self.tell(Told::New(&appended.new));
        }
        Ok(outcomes)
    }

    /// Writes the index of an era that is full, and the folds' state with it.
    fn close_full_era(&mut self) -> Result<(), StoreError> {
        let Some(full) = self.shared.full_era() else {
            return Ok(());
        };
        let folds = &self.folds;
        let closed = self.store.transact(|store| {
            save(store, folds)?;
            full.write(store)
        })?;
        drop(full);
        self.shared.close_era(closed);
        Ok(())
    }

    fn keep_folds(&mut self) {
        let folds = &self.folds;
        if let Err(error) = self.store.transact(|store| save(store, folds)) {
            self.fails(&Arc::new(error));
        }
    }

    fn fails(&self, error: &Arc<StoreError>) {
        self.shared.note_failure(error);
        self.tell(Told::Fails(error));
    }

    fn tell(&self, told: Told<'_>) {
        if let Some(observer) = &self.observer {
            observer(told);
        }
    }
}

fn save(store: &Store, folds: &[Arc<dyn Derived>]) -> Result<(), StoreError> {
    let mut kept = folds.iter().filter(|it| !it.reads_by_itself());
    kept.try_for_each(|it| store.put_snapshot(it.name(), it.version(), it.size(), &it.save()))
}

/// What an event is held against.
struct Rules<'w> {
    shared: &'w Shared,
    policy: &'w Policy,
    folds: &'w [Arc<dyn Derived>],
    now: UnixSeconds,
}

/// Appends one event inside a transaction, or says why not.
fn append(
    store: &Store,
    rows: &mut EventRows<'_>,
    state: &mut State,
    rules: &Rules<'_>,
    prepared: Prepared,
    appended: &mut Appended,
) -> Result<Outcome, StoreError> {
    let Prepared { event, json, indexed } = prepared;
    let Rules { shared, policy, folds, now } = *rules;
    if let Some(first) = known(store, shared, appended, event.body())? {
        return Ok(Outcome::Duplicate(first));
    }
    let (sid, kind) = (event.sid(), event.kind());
    let space = state.spaces.at(store, sid)?;
    if let Err(refusal) = admission::admit(&event, now, policy, space.known(kind), |it| space.count(it)) {
        return Ok(Outcome::Refused(refusal));
    }
    for fold in folds {
        if let Err(refusal) = fold.examine(&event, &mut appended.new.iter().map(Arc::as_ref)) {
            return Ok(Outcome::Refused(refusal));
        }
    }
    let (head, n, tick) = (space.head, space.count(kind) + 1, space.tick + 1);
    let seq = state.frontier.size();
    let depth = depth(store, shared, appended, &event)?;
    let at = Position { seq, n, tick, depth, prev: head.map(|it| it.1), received: now };
    let leaf = leaf_hash(&Leaf::of(&event, at.clone()).to_bytes());
    let space = state.spaces.number(store, sid)?;
    let accepted = Arc::new(Accepted::new(event, at, json));
    rows.append(&EventRow { space, prev_seq: head.map(|it| it.0), accepted: &accepted, leaf })?;
    for tile in state.frontier.push(leaf) {
        store.put_tile(tile.level, tile.n, tile.root)?;
    }
    state.spaces.take(store, &accepted.event, (seq, leaf))?;
    appended.bodies.insert(accepted.event.body(), appended.new.len());
    appended.depths.insert(accepted.event.id(), depth);
    appended.new.push(accepted.clone());
    appended.indexed.push(indexed);
    Ok(Outcome::Accepted(accepted))
}

/// Returns the event that has this body already.
fn known(
    store: &Store,
    shared: &Shared,
    appended: &Appended,
    body: BodyId,
) -> Result<Option<Arc<Accepted>>, StoreError> {
    if let Some(first) = appended.bodies.get(&body).and_then(|it| appended.new.get(*it)) {
        return Ok(Some(first.clone()));
    }
    for seq in shared.places(body.digest().as_bytes()) {
        if let Some(stored) = store.stored(seq)?.filter(|it| it.body == body) {
            return stored.event().map(|it| Some(Arc::new(it)));
        }
    }
    Ok(None)
}

/// Returns one more than the depth of the deepest parent that is here; 0 without any.
fn depth(store: &Store, shared: &Shared, appended: &Appended, event: &Signed) -> Result<u64, StoreError> {
    let mut depth = 0;
    for parent in event.parents() {
        if let Some(found) = appended.depths.get(&parent) {
            depth = depth.max(found + 1);
            continue;
        }
        for seq in shared.places(parent.as_bytes()) {
            if let Some(found) = store.depth(seq, parent)? {
                depth = depth.max(found + 1);
            }
        }
    }
    Ok(depth)
}

impl Frontier {
    /// Reads the right edge of the tree from complete tiles, and from the leaves behind them.
    pub(super) fn load(store: &Store, size: u64) -> Result<Self, StoreError> {
        use crate::tree::TILE_HEIGHT;
        let mut frontier = Self::default();
        let levels = (0..64 / TILE_HEIGHT).rev();
        for level in levels {
            let height = level * TILE_HEIGHT;
            let (from, until) = (frontier.size() >> height, size >> height);
            let roots: Vec<Sha256> = match level.checked_sub(1) {
                None => store.leaves(from, until)?,
                Some(_) if from == until => Vec::new(),
                Some(tiles) => store.tiles(tiles, from, until)?,
            };
            for root in roots {
                frontier.push_subtree(height, root);
            }
        }
        Ok(frontier)
    }
}
