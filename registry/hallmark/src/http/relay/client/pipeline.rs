//! The events of one client on their way into the log: checked and written in groups, in the order in which they came.
//!
//! - What comes together is checked together, on one of the threads for that: to wake a thread costs as much as to check
//!   a signature. A group is small enough that several threads share what one client sends.
//! - Groups are written in order: parents before children.
//! - Only so many events are under way, and only so many bytes; the client waits with the next.

use std::{
    future::poll_fn,
    mem,
    task::{Context, Poll},
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesOrdered};
use ledger::{AppendError, Claimed, EventId, Outcome, Prepared, VerifyError};

use crate::ledger::Ledger;

/// How many events of one client are checked or written at once, and how many bytes, but for the last of them.
const EVENTS_MAX: usize = 256;
const BYTES_MAX: usize = 2 << 20;
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
    gathered: Group<Claimed>,
    checking: FuturesOrdered<BoxFuture<'static, (Size, Stage)>>,
    /// Proven, not given to the log yet.
    kept: Group<Prepared>,
    writing: FuturesOrdered<BoxFuture<'static, (Size, Stage)>>,
    /// How much there is in all of these.
    size: Size,
}

/// How many events, and how long they are together.
#[derive(Clone, Copy, Default)]
struct Size {
    events: usize,
    bytes: usize,
}

/// Events that go on together.
struct Group<T> {
    events: Vec<T>,
    size: Size,
}

impl Pipeline {
    /// Says whether one more may come.
    pub(super) fn has_room(&self) -> bool {
        self.size.events < EVENTS_MAX && self.size.bytes < BYTES_MAX
    }

    /// Takes an event that is to be checked with those that come right behind it.
    pub(super) fn gather(&mut self, claimed: Claimed, ledger: &Ledger) {
        let is_alone = Ledger::takes_long(claimed.kind());
        if is_alone {
            self.check(ledger);
        }
        let bytes = claimed.bytes();
        self.gathered.add(claimed, bytes, &mut self.size);
        if is_alone || self.gathered.size.events >= GROUP_MAX {
            self.check(ledger);
        }
    }

    /// Has what is gathered checked.
    pub(super) fn check(&mut self, ledger: &Ledger) {
        let Some(Group { events, size }) = self.gathered.take() else { return };
        let ledger = ledger.clone();
        let check = async move {
            let ids: Vec<EventId> = events.iter().map(Claimed::id).collect();
            let stage = match ledger.verify(events).await {
                Ok(verified) => Stage::Checked(verified),
                Err(error) => Stage::Settled(ids.into_iter().map(|it| (it, Err(error.clone()))).collect()),
            };
            (size, stage)
        };
        self.checking.push_back(check.boxed());
    }

    /// Takes an event that is to be written with the others of its group.
    pub(super) fn keep(&mut self, prepared: Prepared) {
        let bytes = prepared.bytes();
        self.kept.add(prepared, bytes, &mut self.size);
    }

    /// Has what is kept written. It is queued now, so that the order is the client's own.
    pub(super) fn write(&mut self, ledger: &Ledger) {
        let Some(Group { events, size }) = self.kept.take() else { return };
        let ids: Vec<EventId> = events.iter().map(|it| it.event().id()).collect();
        let outcomes = ledger.submit(events);
        let write = async move {
            let settled = match outcomes.await {
                Ok(outcomes) => ids.into_iter().zip(outcomes.into_iter().map(Ok)).collect(),
                Err(error) => ids.into_iter().map(|it| (it, Err(error.clone()))).collect(),
            };
            (size, Stage::Settled(settled))
        };
        self.writing.push_back(write.boxed());
    }

    /// Waits for the next group, whose events are no longer counted then; `None` if none is under way.
    pub(super) fn next(&mut self) -> impl Future<Output = Option<Stage>> {
        poll_fn(|context| self.poll(context))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Stage>> {
        // Most clients only listen.
        if self.size.events == 0 {
            return Poll::Ready(None);
        }
        // Who waits longest is answered first.
        for groups in [&mut self.writing, &mut self.checking] {
            if let Poll::Ready(Some((size, stage))) = groups.poll_next_unpin(context) {
                self.size.events -= size.events;
                self.size.bytes -= size.bytes;
                return Poll::Ready(Some(stage));
            }
        }
        if self.writing.is_empty() && self.checking.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<T> Default for Group<T> {
    fn default() -> Self {
        Self { events: Vec::new(), size: Size::default() }
    }
}

impl<T> Group<T> {
    /// Adds an event of so many bytes, here and to a total.
    fn add(&mut self, event: T, bytes: usize, total: &mut Size) {
        self.events.push(event);
        for size in [&mut self.size, total] {
            size.events += 1;
            size.bytes += bytes;
        }
    }

    /// Takes all of them, if there are any.
    fn take(&mut self) -> Option<Self> {
        (self.size.events > 0).then(|| mem::take(self))
    }
}
