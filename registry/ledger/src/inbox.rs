//! Following: until when all is here that another relay had, so that a restart does not ask for everything again.
//!
//! - Durable, in the log's own file: a log that is moved away or put back from a copy takes its cursors with it.
//! - No socket, and no decision what to ask for: the host says how far it heard, and reads it back.

use std::sync::Arc;

use base::UnixSeconds;

use crate::{
    log::{AppendError, Log},
    store::{InboxRow, StoreError},
};

/// The cursors of a log over the relays that it follows.
#[derive(Clone)]
pub struct Inbox {
    log: Arc<Log>,
}

/// How far a relay was heard, by our own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Until when all is here that came to the relay, but for what was signed long before it came while nobody here
    /// listened.
    pub until: UnixSeconds,
    /// When the relay was last asked for all that it has: what came before is here, whatever its date.
    pub swept_at: UnixSeconds,
}

impl Inbox {
    /// Opens the cursors of a log.
    pub fn new(log: Arc<Log>) -> Self {
        Self { log }
    }

    /// Returns how far a relay was heard, if it ever was to the end.
    pub fn heard(&self, relay: &str) -> Result<Option<Heard>, StoreError> {
        let row = self.log.reading(|store| store.heard(relay))?;
        Ok(row.map(|it| Heard { until: UnixSeconds(it.heard_until), swept_at: UnixSeconds(it.swept_at) }))
    }

    /// Notes how far a relay was heard; it is on disk when this returns.
    pub fn note(&self, relay: &str, heard: Heard) -> Result<(), AppendError> {
        let (relay, row) =
            (relay.to_owned(), InboxRow { heard_until: heard.until.0, swept_at: heard.swept_at.0 });
        self.log.write(move |store| store.put_heard(&relay, row))
    }
}

#[cfg(test)]
mod tests {
    use base::time::HandClock;

    use super::*;
    use crate::{Options, Policy};

    #[test]
    fn how_far_a_relay_was_heard_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let clock = Arc::new(HandClock::at(UnixSeconds(1_000_000)));
            let options = Options { policy: Policy::default(), clock, folds: Vec::new(), observer: None };
            Inbox::new(Arc::new(Log::open(&folder.path().join("ledger.sqlite"), options).unwrap()))
        };
        let heard = |until, swept_at| Heard { until: UnixSeconds(until), swept_at: UnixSeconds(swept_at) };
        let inbox = open();
        assert_eq!(inbox.heard("ws://one/").unwrap(), None);
        inbox.note("ws://one/", heard(10, 5)).unwrap();
        inbox.note("ws://other/", heard(7, 7)).unwrap();
        inbox.note("ws://one/", heard(20, 5)).unwrap();
        drop(inbox);
        let inbox = open();
        assert_eq!(inbox.heard("ws://one/").unwrap(), Some(heard(20, 5)));
        assert_eq!(inbox.heard("ws://other/").unwrap(), Some(heard(7, 7)));
    }
}
