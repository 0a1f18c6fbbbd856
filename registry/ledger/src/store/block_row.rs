//! Rows of the index that hold many short runs.

use rusqlite::params;

use super::{Store, StoreError};

impl Store {
    /// Writes a block of an era. SQLite's integers have a sign: its order is that of the keys in the blocks.
    pub(crate) fn put_block(&self, era: u64, last: i64, runs: &[u8]) -> Result<(), StoreError> {
        self.put("INSERT INTO block (era, last, runs) VALUES (?1, ?2, ?3)", params![era, last, runs])
    }

    /// Returns the one block of an era that may hold a run of a key.
    pub(crate) fn block(&self, era: u64, key: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT runs FROM block WHERE era = ?1 AND last >= ?2 ORDER BY last LIMIT 1";
        self.one(sql, params![era, key], |row| row.get(0))
    }
}
