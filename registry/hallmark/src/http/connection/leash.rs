//! Lets go of a connection whose client asks for a file and then leaves it unread.
//!
//! In HTTP/2 a client can take from the socket and yet nothing of one answer, so the socket does not tell.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

/// One for each connection.
#[derive(Clone, Debug)]
pub(in crate::http) struct Leash {
    unread_max: Duration,
    cut: CancellationToken,
}

/// An answer that is being read.
#[derive(Debug)]
pub(in crate::http) struct Reading(watch::Sender<()>);

impl Leash {
    pub(super) fn new(unread_max: Duration) -> Self {
        Self { unread_max, cut: CancellationToken::new() }
    }

    /// Waits until a client has left an answer unread for too long.
    pub(super) async fn is_cut(&self) {
        self.cut.cancelled().await;
    }

    /// Begins to watch one answer, until what this returns is dropped.
    pub(in crate::http) fn watch(&self) -> Reading {
        let (tick, mut ticks) = watch::channel(());
        let Self { unread_max, cut } = self.clone();
        tokio::spawn(async move {
            while let Ok(ticked) = timeout(unread_max, ticks.changed()).await {
                if ticked.is_err() {
                    return;
                }
            }
            cut.cancel();
        });
        Reading(tick)
    }
}

impl Reading {
    /// Notes that the client asks for more.
    pub(in crate::http) fn goes_on(&self) {
        self.0.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_an_answer_that_stands_still_cuts_the_connection() {
        let leash = Leash::new(Duration::from_millis(600));
        drop(leash.watch());
        let reading = leash.watch();
        for _ in 0..6 {
            assert!(timeout(Duration::from_millis(200), leash.is_cut()).await.is_err());
            reading.goes_on();
        }
        leash.is_cut().await;
    }
}
