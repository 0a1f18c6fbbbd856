//! Rows of the index: closed eras, and the runs of postings in each.

use rusqlite::{Row, params};

use super::{Store, StoreError};

/// A closed era: between which seconds its events were signed, and their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EraRow {
    pub(crate) no: u64,
    pub(crate) newest: u64,
    pub(crate) oldest: u64,
    pub(crate) names: Vec<u8>,
}

impl Store {
    /// Writes a closed era, without its runs.
    pub(crate) fn put_era(&self, era: &EraRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO era (no, newest, oldest, names) VALUES (?1, ?2, ?3, ?4)";
        self.put(sql, params![era.no, era.newest, era.oldest, era.names])
    }

    /// Reads the closed eras in order.
    pub(crate) fn eras(&self) -> Result<Vec<EraRow>, StoreError> {
        let mut eras = Vec::new();
        let read = |row: &Row<'_>| {
            Ok(EraRow { no: row.get(0)?, newest: row.get(1)?, oldest: row.get(2)?, names: row.get(3)? })
        };
        self.each("SELECT no, newest, oldest, names FROM era ORDER BY no", [], read, |it| {
            eras.push(it);
            Ok(())
        })?;
        Ok(eras)
    }

    /// Writes one chunk of a run. Whoever writes many does it in the order of their keys.
    pub(crate) fn put_chunk(
        &self,
        era: u64,
        key: u64,
        chunk: u64,
        oldest: u64,
        postings: &[u8],
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO run (era, key, chunk, oldest, postings) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.put(sql, params![era, signed(key), chunk, oldest, postings])
    }

    /// Returns the first chunk from `chunk` on that reaches back to `until` or further, and its number.
    pub(crate) fn chunk(
        &self,
        era: u64,
        key: u64,
        chunk: u64,
        until: u64,
    ) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let sql = "SELECT chunk, postings FROM run
                   WHERE era = ?1 AND key = ?2 AND chunk >= ?3 AND oldest <= ?4 ORDER BY chunk LIMIT 1";
        self.one(sql, params![era, signed(key), chunk, until], |row| Ok((row.get(0)?, row.get(1)?)))
    }
}

/// SQLite's integers have a sign; the bits are the same.
fn signed(key: u64) -> i64 {
    key.cast_signed()
}
