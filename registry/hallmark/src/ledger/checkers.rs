//! The few threads that check signatures: as many as there are cores, and always the same ones.
//!
//! - On the runtime's own threads, whoever wants something else of the daemon would wait behind them. Its threads for
//!   what blocks take turns, and each would begin with a cold memory of whom it has met lately.
//! - Whoever comes while all are busy waits in one queue, in order; if that is full, before it.

use std::{
    io,
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{Semaphore, oneshot};

/// How many checks may wait in the queue.
const PLACES: usize = 256;

type Check = Box<dyn FnOnce() + Send>;

/// The way to the threads, which end with it.
pub(super) struct Checkers {
    queue: Sender<Check>,
    places: Arc<Semaphore>,
}

/// What was to be checked was not: the thread has panicked, or none is left.
#[derive(Debug)]
pub(super) struct Unchecked;

impl Checkers {
    /// Starts the threads.
    pub(super) fn start() -> io::Result<Self> {
        let (queue, checks) = bounded(PLACES);
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            let checks = checks.clone();
            thread::Builder::new().name("checker".to_owned()).spawn(move || work(&checks))?;
        }
        Ok(Self { queue, places: Arc::new(Semaphore::new(PLACES)) })
    }

    /// Runs `check` on one of the threads, unless whoever asks has gone before its turn.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        check: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unchecked> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Unchecked)?;
        let (answer, checked) = oneshot::channel();
        let in_turn = move || {
            drop(place);
            if !answer.is_closed() {
                // Whoever asked may go at any time.
                let _ = answer.send(check());
            }
        };
        // There is room for as many as have places.
        self.queue.try_send(Box::new(in_turn)).map_err(|_| Unchecked)?;
        checked.await.map_err(|_| Unchecked)
    }
}

fn work(checks: &Receiver<Check>) {
    for check in checks {
        // Whoever asked hears that nothing was checked; the thread goes on with the next.
        if catch_unwind(AssertUnwindSafe(check)).is_err() {
            tracing::error!("A thread that checks signatures had panicked and goes on: report this");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use futures_util::{FutureExt as _, future::join_all};
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn more_than_the_queue_holds_are_all_checked_though_some_panic() {
        let checkers = Checkers::start().unwrap();
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
    async fn who_has_gone_is_not_checked_and_leaves_no_place_behind() {
        let checkers = Checkers::start().unwrap();
        // All threads are busy, so that nothing else begins.
        let (until, wait) = bounded::<()>(0);
        let busy = (0..thread::available_parallelism().map_or(1, NonZero::get)).map(|_| {
            let wait = wait.clone();
            Box::pin(checkers.run(move || wait.recv().is_err()))
        });
        let mut busy: Vec<_> = busy.collect();
        for it in &mut busy {
            assert!(it.now_or_never().is_none());
        }
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
