//! The hall: those clients that listen, and the criers who tell them what comes into the log.
//!
//! - To wake a task for each of a thousand clients costs more than to tell them. So a crier goes round, and sends to all
//!   that wait; who is busy or has not read what it was sent gets its news from its own task (see [`Line`]).
//! - A crier that falls behind reads on in the log: nobody misses an event for that.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
};

use ledger::{Accepted, Log, StoreError};
use tokio::{
    runtime::Handle,
    sync::{
        Notify,
        broadcast::{Receiver, error::RecvError},
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    line::{Line, Missed},
    round::Round,
};
use crate::ledger::Ledger;

/// How many events a crier takes along on one round.
const ROUND_MAX: usize = 64;

/// Those who listen. Each is told by one of a few criers.
pub(in crate::http) struct Hall {
    rooms: Vec<Arc<Room>>,
    next: AtomicUsize,
}

/// Those who are told by one crier.
struct Room {
    ledger: Ledger,
    inside: Mutex<Inside>,
    /// Rings when there is somebody again.
    entered: Notify,
}

#[derive(Default)]
struct Inside {
    lines: BTreeMap<u64, Weak<Line>>,
    next_place: u64,
    /// Whether somebody has come or gone since the crier looked.
    has_changed: bool,
    /// Whether there is an ear, here or with the crier.
    is_heard: bool,
    /// What the crier is to hear with, from the moment on when somebody came.
    ear: Option<Ear>,
}

/// A client's place in the hall; it is told nothing more once this is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    number: u64,
}

impl Hall {
    /// Opens the hall. Half of the machine's cores may be busy with telling; the others write, check and answer.
    pub(in crate::http) fn open(ledger: &Ledger, runtime: &Handle) -> Self {
        let criers = available_parallelism().map_or(1, |it| (it.get() / 2).max(1));
        let rooms = (0..criers).map(|_| {
            let (inside, entered) = (Mutex::default(), Notify::new());
            let room = Arc::new(Room { ledger: ledger.clone(), inside, entered });
            let (crier, timers) = (Arc::clone(&room), runtime.clone());
            let crying = runtime.spawn_blocking(move || crier.cry(&timers));
            runtime.spawn(async move {
                if crying.await.is_err() {
                    tracing::error!(
                        "Who tells clients of the relay what comes in had panicked: restart the daemon and report this"
                    );
                }
            });
            room
        });
        Self { rooms: rooms.collect(), next: AtomicUsize::new(0) }
    }

    /// Lets a client in: whatever is written from now on, it is told.
    pub(super) fn enter(&self, line: &Arc<Line>) -> Option<Place> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let room = self.rooms.get(turn.checked_rem(self.rooms.len())?)?;
        let mut inside = room.inside();
        let number = inside.next_place;
        inside.next_place += 1;
        inside.lines.insert(number, Arc::downgrade(line));
        inside.has_changed = true;
        if !mem::replace(&mut inside.is_heard, true) {
            let (news, log) = (room.ledger.accepted(), Arc::clone(room.ledger.log()));
            inside.ear = Some(Ear::new(news, log));
            room.entered.notify_one();
        }
        Some(Place { room: Arc::clone(room), number })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.room.inside();
        inside.lines.remove(&self.number);
        inside.has_changed = true;
    }
}

impl Room {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever is in the room what comes into the log, until the stop. Blocks as long.
    fn cry(&self, runtime: &Handle) {
        // What waits for a socket needs the runtime's clock.
        let _inside = runtime.enter();
        let stop = self.ledger.stop();
        while runtime.block_on(unless_stopped(stop, self.entered.notified())).is_some() {
            let Some(mut ear) = self.inside().ear.take() else { continue };
            let mut lines = Vec::new();
            // Nothing is sent from within a task: a task may only do so much before others have their turn.
            while let Some(heard) = runtime.block_on(unless_stopped(stop, ear.hear())) {
                // Only now: whoever came before this was written is to be told.
                if !self.look_round(&mut lines) {
                    break;
                }
                let told = heard.each(&ear.log, |events| tell(&lines, events));
                if let Err(error) = told {
                    tracing::error!(
                        "Clients of the relay are let go, since what they are to be told could not be read: {error:#}"
                    );
                    lines.iter().filter_map(Weak::upgrade).for_each(|it| it.miss(Missed::Unreadable));
                }
            }
        }
    }

    /// Notes who is there. If nobody is, nothing needs to be heard any more.
    fn look_round(&self, lines: &mut Vec<Weak<Line>>) -> bool {
        let mut inside = self.inside();
        if mem::take(&mut inside.has_changed) {
            *lines = inside.lines.values().cloned().collect();
        }
        inside.is_heard = !lines.is_empty();
        inside.is_heard
    }
}

fn tell(lines: &[Weak<Line>], events: &[Arc<Accepted>]) {
    let mut round = Round::new(events);
    for line in lines.iter().filter_map(Weak::upgrade) {
        line.tell(&mut round);
    }
}

async fn unless_stopped<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        done = work => Some(done),
    }
}

/// Hears of every event that comes into the log, once, in its order.
struct Ear {
    news: Receiver<Arc<Accepted>>,
    log: Arc<Log>,
    /// The place of the next event.
    next: u64,
}

/// What an ear has heard: events that came one behind the other, behind some that it missed.
struct Heard {
    missed_from: u64,
    events: Vec<Arc<Accepted>>,
}

impl Ear {
    /// Begins to hear. What comes before the log's size is read here is left to whoever reads the log.
    fn new(news: Receiver<Arc<Accepted>>, log: Arc<Log>) -> Self {
        let (next, _) = log.head();
        Self { news, log, next }
    }

    /// Waits for what comes next, and takes what has come right behind it.
    async fn hear(&mut self) -> Heard {
        let missed_from = self.next;
        let mut events: Vec<Arc<Accepted>> = Vec::new();
        while events.is_empty() {
            match self.news.recv().await {
                Ok(first) if first.at.seq >= self.next => events.push(first),
                // What was missed shows in the places of what comes.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                // The log has ended, and so does the daemon.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
        while events.len() < ROUND_MAX {
            match self.news.try_recv() {
                Ok(next) => events.push(next),
                Err(_) => break,
            }
        }
        self.next = events.last().map_or(missed_from, |it| it.at.seq + 1);
        Heard { missed_from, events }
    }
}

impl Heard {
    /// Has all of it told in rounds, from the first that was missed.
    fn each(self, log: &Log, mut tell: impl FnMut(&[Arc<Accepted>])) -> Result<(), StoreError> {
        let until = self.events.first().map_or(self.missed_from, |it| it.at.seq);
        let mut from = self.missed_from;
        while from < until {
            let (end, mut round) = (until.min(from + ROUND_MAX as u64), Vec::new());
            log.range(from, end, |stored| {
                round.push(Arc::new(stored.event()?));
                Ok(())
            })?;
            tell(&round);
            from = end;
        }
        tell(&self.events);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{ops::Range, time::Duration};

    use base::{Clock as _, SystemClock};
    use ledger::{
        Options, Outcome, Policy, Prepared, Scheme, SecretKey, Sid, Told,
        kinds::{Operation, Post},
    };
    use tokio::{sync::broadcast, time::timeout};

    use super::*;

    fn prepared(number: usize) -> Prepared {
        let operation = Operation {
            created_at: SystemClock.now(),
            sid: Sid::parse("0xMG").ok(),
            content: number.to_string(),
            ..Operation::default()
        };
        let draft = Post::default().draft(operation);
        SecretKey::from_bytes([1; 32]).unwrap().sign(draft, Scheme::SpecRaw).into()
    }

    #[tokio::test]
    async fn who_falls_behind_reads_on_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, _) = broadcast::channel(2);
        let teller = sender.clone();
        let observer = move |told: Told<'_>| {
            if let Told::New(new) = told {
                for it in new {
                    drop(teller.send(Arc::clone(it)));
                }
            }
        };
        let options = Options {
            policy: Policy::default(),
            clock: Arc::new(SystemClock),
            folds: Vec::new(),
            observer: Some(Box::new(observer)),
        };
        let log = Arc::new(Log::open(&folder.path().join("ledger.sqlite"), options).unwrap());
        let append = |numbers: Range<usize>| {
            let count = numbers.len();
            let outcomes = log.append(numbers.map(prepared).collect()).unwrap();
            let taken = outcomes.iter().filter(|it| matches!(it, Outcome::Accepted(_)));
            assert_eq!(taken.count(), count, "{outcomes:?}");
        };
        append(0..3);
        let mut ear = Ear::new(sender.subscribe(), Arc::clone(&log));
        let mut places = Vec::new();
        // Not behind, far behind, and not behind again.
        for until in [4, 400, 401] {
            append(3 + places.len()..until);
            while 3 + places.len() < until {
                let heard = timeout(Duration::from_mins(1), ear.hear()).await.expect("there is more");
                let heard = heard.each(&log, |round| {
                    assert!(round.len() <= ROUND_MAX);
                    places.extend(round.iter().map(|it| it.at.seq));
                });
                heard.unwrap();
            }
        }
        assert_eq!(places, (3..401).collect::<Vec<u64>>());
    }
}
