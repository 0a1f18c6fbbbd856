//! Rows of the index: closed eras, and the runs of postings in each.

use rusqlite::{CachedStatement, Row, Statement, ToSql, params};

use super::{Store, StoreError};

/// A closed era: between which seconds its events were signed, and their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EraRow {
    pub(crate) no: u64,
    pub(crate) newest: u64,
    pub(crate) oldest: u64,
    pub(crate) names: Vec<u8>,
}

/// A chunk of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRow {
    /// SQLite's integers have a sign; the bits are those of the key.
    pub(crate) key: i64,
    pub(crate) number: u64,
    pub(crate) oldest: u64,
    pub(crate) postings: Vec<u8>,
}

/// How many chunks one statement writes: an era has a quarter of a million, and a statement costs as much as a row.
const ROWS: usize = 32;

/// Writes chunks, which have to come in the order of their keys.
pub(crate) struct Chunks<'s> {
    store: &'s Store,
    era: u64,
    statement: CachedStatement<'s>,
    rows: Vec<ChunkRow>,
}

impl Chunks<'_> {
    /// Writes a chunk, with others.
    pub(crate) fn put(&mut self, row: ChunkRow) -> Result<(), StoreError> {
        self.rows.push(row);
        if self.rows.len() < ROWS {
            return Ok(());
        }
        let written = execute(&mut self.statement, self.era, &self.rows);
        self.rows.clear();
        written.map_err(|it| self.store.error(it))
    }

    /// Writes those that are left.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        let Self { store, era, rows, .. } = self;
        if rows.is_empty() {
            return Ok(());
        }
        let statement = store.conn.prepare(&insert(rows.len()));
        let written = statement.and_then(|mut it| execute(&mut it, era, &rows));
        written.map_err(|it| store.error(it))
    }
}

/// Returns the statement that writes so many chunks.
fn insert(rows: usize) -> String {
    let values = vec!["(?, ?, ?, ?, ?)"; rows].join(", ");
    format!("INSERT INTO run (era, key, chunk, oldest, postings) VALUES {values}")
}

fn execute(statement: &mut Statement<'_>, era: u64, rows: &[ChunkRow]) -> rusqlite::Result<()> {
    let mut places = 1..;
    for row in rows {
        let values: [&dyn ToSql; 5] = [&era, &row.key, &row.number, &row.oldest, &row.postings];
        for (value, place) in values.into_iter().zip(places.by_ref()) {
            statement.raw_bind_parameter(place, value)?;
        }
    }
    statement.raw_execute().map(drop)
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

    /// Makes ready to write the chunks of an era's runs.
    pub(crate) fn chunks(&self, era: u64) -> Result<Chunks<'_>, StoreError> {
        let statement = self.conn.prepare_cached(&insert(ROWS)).map_err(|it| self.error(it))?;
        Ok(Chunks { store: self, era, statement, rows: Vec::with_capacity(ROWS) })
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
