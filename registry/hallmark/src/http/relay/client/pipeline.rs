//! The events of one client on their way into the log: checked and written in groups, in the order in which they came.
//!
//! - What comes together is checked together, on one of the threads for that: to wake a thread costs as much as to check
//!   a signature. A group is small enough that several threads share what one client sends.
//! - Groups are written in order: parents before children.
//! - Only so many events are under way; the client waits with the next.

use std::{
    future::poll_fn,
    mem,
    task::{Context, Poll},
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesOrdered};
use ledger::{AppendError, Claimed, EventId, Outcome, Prepared, VerifyError};

use crate::ledger::Ledger;

/// How many events of one client are checked or written at once.
const EVENTS_MAX: usize = 256;
/// How many are checked in one go.
const GROUP_MAX: usize = 64;

/// What became of events that a client sent, in their order.
pub(super) enum Stage {
    /// Whether they are what they say.
    Checked(Vec<Result<Prepared, VerifyError>>),
    /// What the log says; or why nobody knows.
    Settled(Vec<(EventId, Result<Outcome, AppendError>)>),
}

/// The events of one client that are under way.
#[derive(Default)]
pub(super) struct Pipeline {
    /// Not given to anybody yet.
    gathered: Vec<Claimed>,
    checking: FuturesOrdered<BoxFuture<'static, Stage>>,
    /// Proven, not given to the log yet.
    kept: Vec<Prepared>,
    writing: FuturesOrdered<BoxFuture<'static, Stage>>,
    /// How many there are in all of these.
    count: usize,
}

impl Pipeline {
    /// Says whether one more may come.
    pub(super) fn has_room(&self) -> bool {
        self.count < EVENTS_MAX
    }

    /// Takes an event that is to be checked with those that come right behind it.
    pub(super) fn gather(&mut self, claimed: Claimed, ledger: &Ledger) {
        let is_alone = Ledger::takes_long(claimed.kind());
        if is_alone {
            self.check(ledger);
        }
        self.count += 1;
        self.gathered.push(claimed);
        if is_alone || self.gathered.len() >= GROUP_MAX {
            self.check(ledger);
        }
    }

    /// Has what is gathered checked.
    pub(super) fn check(&mut self, ledger: &Ledger) {
        let group = mem::take(&mut self.gathered);
        if group.is_empty() {
            return;
        }
        let ledger = ledger.clone();
        let check = async move {
            let ids: Vec<EventId> = group.iter().map(Claimed::id).collect();
            match ledger.verify(group).await {
                Ok(verified) => Stage::Checked(verified),
                Err(error) => Stage::Settled(ids.into_iter().map(|it| (it, Err(error.clone()))).collect()),
            }
        };
        self.checking.push_back(check.boxed());
    }

    /// Takes an event that is to be written with the others of its group.
    pub(super) fn keep(&mut self, prepared: Prepared) {
        self.count += 1;
        self.kept.push(prepared);
    }

    /// Has what is kept written. It is queued now, so that the order is the client's own.
    pub(super) fn write(&mut self, ledger: &Ledger) {
        let group = mem::take(&mut self.kept);
        if group.is_empty() {
            return;
        }
        let ids: Vec<EventId> = group.iter().map(|it| it.event().id()).collect();
        let outcomes = ledger.submit(group);
        let write = async move {
            Stage::Settled(match outcomes.await {
                Ok(outcomes) => ids.into_iter().zip(outcomes.into_iter().map(Ok)).collect(),
                Err(error) => ids.into_iter().map(|it| (it, Err(error.clone()))).collect(),
            })
        };
        self.writing.push_back(write.boxed());
    }

    /// Waits for the next group, whose events are no longer counted then; `None` if none is under way.
    pub(super) fn next(&mut self) -> impl Future<Output = Option<Stage>> {
        poll_fn(|context| self.poll(context))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Stage>> {
        // Who waits longest is answered first.
        for groups in [&mut self.writing, &mut self.checking] {
            if let Poll::Ready(Some(stage)) = groups.poll_next_unpin(context) {
                self.count -= stage.len();
                return Poll::Ready(Some(stage));
            }
        }
        if self.writing.is_empty() && self.checking.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl Stage {
    fn len(&self) -> usize {
        match self {
            Self::Checked(group) => group.len(),
            Self::Settled(group) => group.len(),
        }
    }
}
