//! Work that all cores share.

use std::{num::NonZero, thread};

use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Does something on as many cores as there are, but no more than so many, and returns what each of them made of it.
pub(super) fn on_each<R: Send>(most: usize, work: impl Fn() -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get).min(most);
    let here = sched_getcpu();
    thread::scope(|scope| {
        let elsewhere = || {
            leave(here);
            work()
        };
        let others = (1..cores).map(|_| scope.spawn(elsewhere)).collect::<Vec<_>>();
        if cores > 1 {
            // Who waits for this core begins, and leaves it.
            thread::yield_now();
        }
        let mut results = vec![work()];
        let join = |it: thread::ScopedJoinHandle<'_, R>| {
            it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        results.extend(others.into_iter().map(join));
        results
    })
}

/// Leaves a core to the thread that works there.
///
/// Linux often puts a new thread where the one was that made it, and looks for a better place only at its next tick,
/// when a good part of the work could be done. Where this is forbidden, as it is to a hardened service, the thread stays
/// where it is.
fn leave(core: usize) {
    if sched_getcpu() != core {
        return;
    }
    let Ok(all) = sched_getaffinity(None) else { return };
    let mut others = all;
    others.unset(core);
    if sched_setaffinity(None, &others).is_ok() {
        // From here on the kernel decides again. If it does not take back the set that it gave, the thread, which does
        // not live long, goes on without that core.
        let _ = sched_setaffinity(None, &all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_core_works_once_and_none_is_lost_to_a_thread_for_good() {
        let before = sched_getaffinity(None).unwrap();
        let cores = thread::available_parallelism().unwrap().get();
        let sets = on_each(usize::MAX, || {
            leave(sched_getcpu());
            sched_getaffinity(None).unwrap()
        });
        assert_eq!(sets.len(), cores);
        assert!(sets.iter().all(|it| *it == before));
        assert_eq!(on_each(1, || ()).len(), 1);
    }
}
