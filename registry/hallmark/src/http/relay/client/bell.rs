//! Looks at some things only after one of them has called.
//!
//! A task is polled as a whole, whatever woke it. A client that publishes is woken for each group of its events that was
//! checked or written, and each time its socket, the clock and the stop would be looked at for nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// Stands between a task and what it waits for.
pub(super) struct Bell {
    wire: Arc<Wire>,
    /// What those are given that may ring.
    waker: Waker,
}

struct Wire {
    rang: AtomicBool,
    task: AtomicWaker,
}

impl Default for Bell {
    /// Has rung: nobody could ring before it was there.
    fn default() -> Self {
        let wire = Arc::new(Wire { rang: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { waker: Waker::from(Arc::clone(&wire)), wire }
    }
}

impl Bell {
    /// Returns what rings it.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Has the next [`Bell::poll`] look, whoever calls.
    pub(super) fn ring(&self) {
        self.wire.rang.store(true, Ordering::Release);
    }

    /// Looks, if it has rung since nothing was found the last time.
    pub(super) fn poll<T>(
        &self,
        context: &mut Context<'_>,
        look: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // Before the look at whether it rang: what rings from now on wakes this task.
        self.wire.task.register(context.waker());
        if !self.wire.rang.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let found = look(&mut Context::from_waker(&self.waker));
        if found.is_ready() {
            // Whoever was not asked, or has more, was not told whom to wake.
            self.ring();
        }
        found
    }
}

impl Wake for Wire {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        future::poll_fn,
        time::Duration,
    };

    use futures_util::FutureExt as _;
    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    #[tokio::test]
    async fn it_looks_when_somebody_rang_and_at_no_other_time() {
        let (bell, looks) = (Bell::default(), Cell::new(0));
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = RefCell::new(receiver);
        let ask = || {
            poll_fn(|context| {
                bell.poll(context, |context| {
                    looks.set(looks.get() + 1);
                    receiver.borrow_mut().poll_recv(context)
                })
            })
        };
        // The first look finds nothing; the task is polled again for other reasons.
        for _ in 0..3 {
            assert!(ask().now_or_never().is_none());
        }
        assert_eq!(looks.get(), 1);
        tokio::spawn(async move { sender.send(7) });
        let heard = timeout(Duration::from_mins(1), ask()).await;
        assert_eq!(heard, Ok(Some(7)), "whoever waits is woken");
        assert_eq!(looks.get(), 2);
    }

    #[test]
    fn who_has_more_is_asked_again() {
        let (bell, context) = (Bell::default(), &mut Context::from_waker(Waker::noop()));
        let (mut left, mut looks) = (2, 0);
        let mut ask = || {
            bell.poll(context, |_| {
                looks += 1;
                left -= 1;
                if left >= 0 { Poll::Ready(left) } else { Poll::Pending }
            })
        };
        assert_eq!(
            [ask(), ask(), ask(), ask()],
            [Poll::Ready(1), Poll::Ready(0), Poll::Pending, Poll::Pending]
        );
        bell.ring();
        assert_eq!(ask(), Poll::Pending);
        assert_eq!(looks, 4);
    }
}
