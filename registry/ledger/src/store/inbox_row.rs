//! Rows of the inbox: how far each relay was heard that is followed.

use rusqlite::params;

use super::{Store, StoreError};

/// How far one relay was heard, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InboxRow {
    pub(crate) heard_until: u64,
    pub(crate) swept_at: u64,
}

impl Store {
    /// Returns how far a relay was heard, if it ever was to the end.
    pub(crate) fn heard(&self, relay: &str) -> Result<Option<InboxRow>, StoreError> {
        let sql = "SELECT heard_until, swept_at FROM inbox WHERE relay = ?1";
        self.one(sql, [relay], |row| Ok(InboxRow { heard_until: row.get(0)?, swept_at: row.get(1)? }))
    }

    /// Writes how far a relay was heard.
    pub(crate) fn put_heard(&self, relay: &str, row: InboxRow) -> Result<(), StoreError> {
        self.put(
            "INSERT INTO inbox (relay, heard_until, swept_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (relay) DO UPDATE SET heard_until = ?2, swept_at = ?3",
            params![relay, row.heard_until, row.swept_at],
        )
    }
}
