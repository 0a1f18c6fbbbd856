//! The desk where looks arrive: decides what is news, reads what is new, publishes it.

use std::sync::Arc;

use base::{Clock, Sha256};

use super::{Board, FollowError, Good, Listener, Look, Origin, Reader, Snapshot, Tracking};
use crate::hashed::Hashed;

pub(crate) struct Desk<T, R> {
    pub(crate) board: Arc<Board<T, R>>,
    read: Reader<T, R>,
    tell: Listener<T, R>,
    clock: Arc<dyn Clock>,
    last: Option<Last<R>>,
}

/// The last bytes that were read, so that the same bytes are not read again.
struct Last<R> {
    digest: Sha256,
    held: bool,
    report: Arc<R>,
}

impl<T, R> Desk<T, R> {
    pub(crate) fn new(
        tracking: Tracking,
        read: Reader<T, R>,
        tell: Listener<T, R>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { board: Arc::new(Board::new(tracking)), read, tell, clock, last: None }
    }

    /// Takes the bytes that a look gave, and says whether they hold.
    pub(crate) fn take(&mut self, found: Hashed, origin: Origin) -> bool {
        let before = self.board.latest();
        let digest = found.digest();
        let mut reloads = before.reloads;
        let mut value = None;
        let known = self.last.take().filter(|it| it.digest == digest);
        let last = known.unwrap_or_else(|| {
            let (read, report) = (self.read)(found);
            reloads += 1;
            value = read.map(Arc::new);
            Last { digest, held: value.is_some(), report: Arc::new(report) }
        });
        let report = Arc::clone(&last.report);
        let (held, fresh) = (last.held, reloads > before.reloads);
        self.last = Some(last);
        let (good, look) = if held {
            (self.good(&before, value, digest, origin), Look::Good(report))
        } else {
            (copy(before.good.as_ref()), Look::Bad { digest, origin, report })
        };
        let moved = good.as_ref().map(|it| &it.origin) != before.good.as_ref().map(|it| &it.origin);
        let news = fresh || moved || matches!(before.look, Look::Failed(_));
        let tracking = before.tracking.clone();
        self.publish(Snapshot { good, look, reloads, tracking, ..self.next(&before, news) }, news);
        held
    }

    /// Takes a look that gave no bytes. The same failure again is no news.
    pub(crate) fn fail(&mut self, error: FollowError) {
        let before = self.board.latest();
        let same = matches!(&before.look, Look::Failed(known) if known.to_string() == error.to_string());
        let look = Look::Failed(Arc::new(error));
        self.publish(Snapshot { look, ..self.next(&before, !same) }, !same);
    }

    /// Notes how changes are noticed from now on.
    pub(crate) fn track(&mut self, tracking: Tracking) {
        let before = self.board.latest();
        if before.tracking != tracking {
            self.publish(Snapshot { tracking, ..self.next(&before, true) }, true);
        }
    }

    fn good(
        &self,
        before: &Snapshot<T, R>,
        value: Option<Arc<T>>,
        digest: Sha256,
        origin: Origin,
    ) -> Option<Good<T>> {
        match (value, before.good.as_ref()) {
            (Some(value), _) => Some(Good { value, digest, origin, since: self.clock.now() }),
            (None, Some(good)) => {
                Some(Good { value: Arc::clone(&good.value), digest, origin, since: good.since })
            }
            (None, None) => None,
        }
    }

    fn next(&self, before: &Snapshot<T, R>, news: bool) -> Snapshot<T, R> {
        Snapshot {
            good: copy(before.good.as_ref()),
            look: before.look.clone(),
            looked_at: self.clock.now(),
            reloads: before.reloads,
            tracking: before.tracking.clone(),
            sequence: before.sequence + u64::from(news),
        }
    }

    fn publish(&mut self, snapshot: Snapshot<T, R>, news: bool) {
        let snapshot = Arc::new(snapshot);
        self.board.publish(&snapshot);
        if news {
            (self.tell)(&snapshot);
        }
    }
}

fn copy<T>(good: Option<&Good<T>>) -> Option<Good<T>> {
    good.map(|it| Good {
        value: Arc::clone(&it.value),
        digest: it.digest,
        origin: it.origin.clone(),
        since: it.since,
    })
}
