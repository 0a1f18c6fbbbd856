//! The board between a follower's thread and everybody else: what is known on one side, bells on the other.
//!
//! Bounded by construction: a hundred changes before the thread looks are one bell.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base::UnixSeconds;

use super::{FollowError, Look, Snapshot, Tracking};

#[derive(Debug)]
pub(crate) struct Board<T, R> {
    state: Mutex<State<T, R>>,
    changed: Condvar,
    /// Set once, at the end; long work looks at it too.
    pub(crate) stop: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct State<T, R> {
    pub(crate) snapshot: Arc<Snapshot<T, R>>,
    /// Tickets handed out to those who ask for a look.
    asked: u64,
    /// The newest ticket whose look has ended.
    pub(crate) answered: u64,
    stirred: bool,
    /// Something moved, so that the watches may no longer be where they were set.
    shaken: bool,
}

/// Why the thread wakes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rung {
    /// It is time to end.
    Stop,
    /// Somebody asked for a look.
    Asked,
    /// Something changed.
    Stirred,
    /// Nothing happened in the time given.
    Silence,
}

impl<T, R> Board<T, R> {
    pub(crate) fn new(tracking: Tracking) -> Self {
        let snapshot = Arc::new(Snapshot {
            good: None,
            look: Look::Failed(Arc::new(FollowError::NotYet)),
            looked_at: UnixSeconds(0),
            reloads: 0,
            tracking,
            sequence: 0,
        });
        let state = State { snapshot, asked: 0, answered: 0, stirred: false, shaken: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), stop: AtomicBool::new(false) }
    }

    pub(crate) fn latest(&self) -> Arc<Snapshot<T, R>> {
        Arc::clone(&self.lock().snapshot)
    }

    pub(crate) fn publish(&self, snapshot: &Arc<Snapshot<T, R>>) {
        self.lock().snapshot = Arc::clone(snapshot);
        self.ring();
    }

    pub(crate) fn wait_until(
        &self,
        patience: Duration,
        condition: impl Fn(&State<T, R>) -> bool,
    ) -> Option<Arc<Snapshot<T, R>>> {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), patience, |state| !condition(state))
            .unwrap_or_else(PoisonError::into_inner);
        condition(&state).then(|| Arc::clone(&state.snapshot))
    }

    /// Asks for a look and returns its ticket.
    pub(crate) fn ask(&self) -> u64 {
        let mut state = self.lock();
        state.asked += 1;
        self.changed.notify_all();
        state.asked
    }

    /// Says that something changed, and whether watches may have moved with it.
    pub(crate) fn stir(&self, shaken: bool) {
        let mut state = self.lock();
        state.stirred = true;
        state.shaken |= shaken;
        self.changed.notify_all();
    }

    /// Wakes everybody up to look at their conditions again.
    pub(crate) fn ring(&self) {
        // Taking the lock first: a bell between a sleeper's check and its sleep would be lost.
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Begins a look: forgets the bells so far and returns the ticket that it answers, and whether watches may have moved.
    pub(crate) fn begin(&self) -> (u64, bool) {
        let mut state = self.lock();
        state.stirred = false;
        (state.asked, std::mem::take(&mut state.shaken))
    }

    /// Ends the look that [`Board::begin`] began.
    pub(crate) fn end(&self, ticket: u64) {
        self.lock().answered = ticket;
        self.ring();
    }

    /// Sleeps until a bell rings or `patience` is over.
    pub(crate) fn sleep(&self, patience: Duration) -> Rung {
        let wake_up_at = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            let left = wake_up_at.saturating_duration_since(Instant::now());
            match self.rung(&state) {
                Rung::Silence if left.is_zero() => return Rung::Silence,
                Rung::Silence => {
                    let woken = self.changed.wait_timeout(state, left);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
                rung => return rung,
            }
        }
    }

    /// Sleeps until nothing has stirred for `quiet`, but no longer than `patience`.
    pub(crate) fn settle(&self, quiet: Duration, patience: Duration) -> Rung {
        let end = Instant::now() + patience;
        loop {
            self.lock().stirred = false;
            match self.sleep(quiet.min(end.saturating_duration_since(Instant::now()))) {
                Rung::Stirred if Instant::now() < end => {}
                Rung::Silence => return Rung::Stirred,
                rung => return rung,
            }
        }
    }

    fn rung(&self, state: &State<T, R>) -> Rung {
        match () {
            () if self.stop.load(Ordering::SeqCst) => Rung::Stop,
            () if state.asked > state.answered => Rung::Asked,
            () if state.stirred => Rung::Stirred,
            () => Rung::Silence,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T, R>> {
        // Every write under this lock is one assignment: a panic elsewhere leaves nothing half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
