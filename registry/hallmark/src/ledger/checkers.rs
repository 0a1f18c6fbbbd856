//! The few threads that check signatures: as many as there are cores, and always the same ones.
//!
//! - On the runtime's own threads, whoever wants something else of the daemon would wait behind them. Its threads for
//!   what blocks take turns, and each would begin with a cold memory of whom it has met lately.
//! - Whoever comes while all are busy waits in one queue, in order; if that is full, before it.
//! - Events that wait for one thread anyway are checked together, whoever sent them: that takes less time for each.

use std::{
    io, iter,
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use ledger::{Claimed, Leniency, Prepared, VerifyError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How many checks may wait in the queue.
const PLACES: usize = 256;
/// How many of them one thread takes at once.
const TAKEN_MAX: usize = 4;

/// The way to the threads, which end with it.
pub(super) struct Checkers {
    queue: Sender<(Check, OwnedSemaphorePermit)>,
    places: Arc<Semaphore>,
}

enum Check {
    Events(Events),
    Other(Box<dyn FnOnce() + Send>),
}

/// Events that somebody asks about.
struct Events {
    claimed: Vec<Claimed>,
    answer: oneshot::Sender<Vec<Verified>>,
}

type Verified = Result<Prepared, VerifyError>;

/// What was to be checked was not: the thread has panicked, or none is left.
#[derive(Debug)]
pub(super) struct Unchecked;

impl Checkers {
    /// Starts the threads.
    pub(super) fn start(leniency: Leniency) -> io::Result<Self> {
        let (queue, checks) = bounded(PLACES);
        let threads = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        for _ in 0..threads.get() {
            let checks = checks.clone();
            thread::Builder::new()
                .name("checker".to_owned())
                .spawn(move || work(&checks, threads, leniency))?;
        }
        Ok(Self { queue, places: Arc::new(Semaphore::new(PLACES)) })
    }

    /// Verifies events on one of the threads, unless whoever asks has gone before their turn.
    pub(super) async fn verify(&self, claimed: Vec<Claimed>) -> Result<Vec<Verified>, Unchecked> {
        let (answer, verified) = oneshot::channel();
        self.put(Check::Events(Events { claimed, answer })).await?;
        verified.await.map_err(|_| Unchecked)
    }

    /// Runs `check` on one of the threads, unless whoever asks has gone before its turn.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        check: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unchecked> {
        let (answer, checked) = oneshot::channel();
        let in_turn = move || {
            if !answer.is_closed() {
                // Whoever asked may go at any time.
                let _ = answer.send(check());
            }
        };
        self.put(Check::Other(Box::new(in_turn))).await?;
        checked.await.map_err(|_| Unchecked)
    }

    async fn put(&self, check: Check) -> Result<(), Unchecked> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Unchecked)?;
        // There is room for as many as have places.
        self.queue.try_send((check, place)).map_err(|_| Unchecked)
    }
}

fn work(checks: &Receiver<(Check, OwnedSemaphorePermit)>, threads: NonZero<usize>, leniency: Leniency) {
    for first in checks {
        // What waits is for the other threads too.
        let more = (checks.len() / threads).min(TAKEN_MAX - 1);
        let mut events = Vec::new();
        for (check, _) in iter::once(first).chain(checks.try_iter().take(more)) {
            match check {
                Check::Events(it) => events.push(it),
                Check::Other(check) => go_on_after(check),
            }
        }
        go_on_after(|| verify(events, leniency));
    }
}

fn verify(mut asked: Vec<Events>, leniency: Leniency) {
    asked.retain(|it| !it.answer.is_closed());
    let mut claimed = Vec::with_capacity(asked.iter().map(|it| it.claimed.len()).sum());
    let counts = asked.iter_mut().map(|it| {
        let count = it.claimed.len();
        claimed.append(&mut it.claimed);
        count
    });
    let counts: Vec<_> = counts.collect();
    let mut verified = Prepared::of_all(claimed, leniency).into_iter();
    for (it, count) in asked.into_iter().zip(counts) {
        // Whoever asked may go at any time.
        let _ = it.answer.send(verified.by_ref().take(count).collect());
    }
}

/// Runs a check. If it panics, whoever asked hears that nothing was checked, and the thread goes on with the next.
fn go_on_after(check: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(check)).is_err() {
        tracing::error!("A thread that checks signatures had panicked and goes on: report this");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use futures_util::{
        FutureExt as _,
        future::{BoxFuture, join_all},
    };
    use ledger::{
        Limits, Scheme, SecretKey,
        kinds::{Operation, Post},
    };
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    /// Gives every thread something to do until the first of what is returned is gone.
    fn all_busy(checkers: &Checkers) -> (Sender<()>, Vec<BoxFuture<'_, Result<bool, Unchecked>>>) {
        let (until, wait) = bounded(0);
        let busy = (0..thread::available_parallelism().map_or(1, NonZero::get)).map(|_| {
            let wait = wait.clone();
            let mut busy = checkers.run(move || wait.recv().is_err()).boxed();
            assert!((&mut busy).now_or_never().is_none());
            busy
        });
        let busy = busy.collect();
        (until, busy)
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_are_all_checked_though_some_panic() {
        let checkers = Checkers::start(Leniency::default()).unwrap();
        let check = |number: usize| {
            checkers.run(move || {
                assert!(number % 100 != 99, "one of a hundred panics");
                number
            })
        };
        let found = timeout(PATIENCE, join_all((0..5 * PLACES).map(check))).await.unwrap();
        for (number, found) in found.into_iter().enumerate() {
            assert_eq!(found.ok(), (number % 100 != 99).then_some(number));
        }
    }

    #[tokio::test]
    async fn events_that_are_checked_together_are_each_answered_to_whoever_asked() {
        let checkers = Checkers::start(Leniency::default()).unwrap();
        let claimed = |number: u8| {
            let key = SecretKey::from_bytes([1 + number % 5; 32]).unwrap();
            let operation = Operation { content: number.to_string(), ..Operation::default() };
            let json = key.sign(Post::default().draft(operation), Scheme::Sdk).to_json();
            // Of every tenth, a digit of the signature is another.
            let digit = json.len() - 100;
            let other = if &json[digit..=digit] == "0" { "1" } else { "0" };
            let json =
                if number % 10 == 9 { [&json[..digit], other, &json[digit + 1..]].concat() } else { json };
            Claimed::parse(&json, &Limits::default()).unwrap()
        };
        let groups: Vec<Vec<_>> = (0..30).map(|it| (it..it + it % 8).map(claimed).collect()).collect();
        // All threads are busy, so that groups have to wait.
        let (until, _busy) = all_busy(&checkers);
        let mut asked: Vec<_> = groups.iter().map(|it| Box::pin(checkers.verify(it.clone()))).collect();
        for it in &mut asked {
            assert!(it.now_or_never().is_none());
        }
        // One goes before its turn.
        drop(asked.remove(11));
        drop(until);
        let found = timeout(PATIENCE, join_all(asked)).await.unwrap();
        let groups = groups.into_iter().enumerate().filter(|it| it.0 != 11);
        for ((_, group), found) in groups.zip(found) {
            let found: Vec<_> =
                found.unwrap().into_iter().map(|it| it.map(|it| it.event().clone())).collect();
            let alone: Vec<_> = group.into_iter().map(|it| it.verify(Leniency::default())).collect();
            assert_eq!(found, alone);
        }
    }

    #[tokio::test]
    async fn who_has_gone_is_not_checked_and_leaves_no_place_behind() {
        let checkers = Checkers::start(Leniency::default()).unwrap();
        // All threads are busy, so that nothing else begins.
        let (until, busy) = all_busy(&checkers);
        let begun = Arc::<AtomicUsize>::default();
        for _ in 0..PLACES {
            let counted = Arc::clone(&begun);
            let asked = checkers.run(move || counted.fetch_add(1, Ordering::Relaxed));
            assert!(asked.now_or_never().is_none(), "it waits for its turn, and goes");
        }
        drop(until);
        let own = timeout(PATIENCE, checkers.run(|| 7)).await.unwrap();
        assert_eq!(own.ok(), Some(7));
        assert_eq!(begun.load(Ordering::Relaxed), 0);
        for it in join_all(busy).await {
            assert!(it.unwrap());
        }
        assert_eq!(checkers.places.available_permits(), PLACES, "every place is free again");
    }
}
