//! Rows of the outbox: what is to be published, where, and what became of it.

use std::collections::BTreeMap;

use rusqlite::{Row, params};

use super::{Store, StoreError};

/// The state of a row that is still to be sent. Others are final, and belong to whoever writes them.
pub(crate) const PENDING: u8 = 0;

/// One event for one relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutboxRow {
    pub(crate) seq: u64,
    pub(crate) tries: u32,
}

/// What one state of a relay's rows adds up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutboxCount {
    pub(crate) count: u64,
    /// The last thing that was noted.
    pub(crate) note: Option<String>,
}

impl Store {
    /// Returns up to which size of the log events were looked at for a relay.
    pub(crate) fn outbox_seen(&self, relay: &str) -> Result<u64, StoreError> {
        let sql = "SELECT size FROM outbox_seen WHERE relay = ?1";
        Ok(self.one(sql, [relay], |row| row.get(0))?.unwrap_or_default())
    }

    /// Notes events for a relay, and that the log was looked at up to `size`. To note one twice changes nothing.
    pub(crate) fn put_pending(&self, relay: &str, places: &[u64], size: u64) -> Result<(), StoreError> {
        for seq in places {
            self.put(
                "INSERT INTO outbox (relay, seq, state, tries, due, note) VALUES (?1, ?2, 0, 0, 0, '')
                 ON CONFLICT (relay, seq) DO NOTHING",
                params![relay, seq],
            )?;
        }
        self.put(
            "INSERT INTO outbox_seen (relay, size) VALUES (?1, ?2) ON CONFLICT (relay) DO UPDATE SET size = ?2",
            params![relay, size],
        )
    }

    /// Returns what is due for a relay, in the log's order.
    pub(crate) fn due(&self, relay: &str, now: u64, limit: u64) -> Result<Vec<OutboxRow>, StoreError> {
        let mut rows = Vec::new();
        let read = |row: &Row<'_>| Ok(OutboxRow { seq: row.get(0)?, tries: row.get(1)? });
        let sql = "SELECT seq, tries FROM outbox WHERE relay = ?1 AND state = 0 AND due <= ?2
                   ORDER BY due, seq LIMIT ?3";
        self.each(sql, params![relay, now, limit], read, |it| {
            rows.push(it);
            Ok(())
        })?;
        rows.sort_by_key(|it| it.seq);
        Ok(rows)
    }

    /// Returns when the next event for a relay is due, in seconds.
    pub(crate) fn next_due(&self, relay: &str) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT min(due) FROM outbox WHERE relay = ?1 AND state = 0";
        Ok(self.one(sql, [relay], |row| row.get(0))?.flatten())
    }

    /// Writes what became of one event at one relay, if it was in state `from`.
    pub(crate) fn settle(
        &self,
        relay: &str,
        seq: u64,
        (from, to): (u8, u8),
        due: u64,
        note: &str,
    ) -> Result<(), StoreError> {
        self.put(
            "UPDATE outbox SET state = ?4, tries = tries + 1, due = ?5, note = ?6
             WHERE relay = ?1 AND seq = ?2 AND state = ?3",
            params![relay, seq, from, to, due, note],
        )
    }

    /// Counts the events of a relay by state.
    pub(crate) fn outbox_counts(&self, relay: &str) -> Result<BTreeMap<u8, OutboxCount>, StoreError> {
        let mut counts = BTreeMap::new();
        let sql = "SELECT state, count(*), (SELECT note FROM outbox last WHERE last.relay = ?1
                       AND last.state = outbox.state AND last.note <> '' ORDER BY seq DESC LIMIT 1)
                   FROM outbox WHERE relay = ?1 GROUP BY state";
        let read =
            |row: &Row<'_>| Ok((row.get::<_, u8>(0)?, OutboxCount { count: row.get(1)?, note: row.get(2)? }));
        self.each(sql, [relay], read, |(state, count)| {
            counts.insert(state, count);
            Ok(())
        })?;
        Ok(counts)
    }
}
