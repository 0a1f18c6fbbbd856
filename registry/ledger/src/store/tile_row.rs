//! Rows of the tree's tiles and of the folds' snapshots.

use base::Sha256;
use rusqlite::{Row, params};

use super::{Store, StoreError};

impl Store {
    /// Writes the root of a complete tile.
    pub(crate) fn put_tile(&self, level: u8, n: u64, root: Sha256) -> Result<(), StoreError> {
        let sql = "INSERT INTO tile (level, n, root) VALUES (?1, ?2, ?3)";
        self.put(sql, params![level, n, root.as_bytes()])
    }

    /// Returns the roots of some tiles of a level.
    pub(crate) fn tiles(&self, level: u8, from: u64, until: u64) -> Result<Vec<Sha256>, StoreError> {
        let mut roots = Vec::new();
        let sql = "SELECT root FROM tile WHERE level = ?1 AND n >= ?2 AND n < ?3 ORDER BY n";
        let root = |row: &Row<'_>| row.get(0).map(Sha256::from_bytes);
        self.each(sql, params![level, from, until], root, |it| {
            roots.push(it);
            Ok(())
        })?;
        Ok(roots)
    }

    /// Returns how many whole tiles of leaves there are.
    pub(crate) fn leaf_tiles(&self) -> Result<u64, StoreError> {
        let last: Option<Option<u64>> =
            self.one("SELECT max(n) FROM tile WHERE level = 0", [], |row| row.get(0))?;
        Ok(last.flatten().map_or(0, |it| it + 1))
    }

    /// Writes the state of a fold after `size` events.
    pub(crate) fn put_snapshot(
        &self,
        fold: &str,
        version: u32,
        size: u64,
        state: &[u8],
    ) -> Result<(), StoreError> {
        self.put(
            "INSERT INTO snapshot (fold, version, size, digest, state) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (fold) DO UPDATE SET version = ?2, size = ?3, digest = ?4, state = ?5",
            params![fold, version, size, Sha256::of(state).as_bytes(), state],
        )
    }

    /// Returns a fold's last state and the number of events it is after, if this version of the fold wrote it.
    pub(crate) fn snapshot(&self, fold: &str, version: u32) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let sql = "SELECT size, digest, state FROM snapshot WHERE fold = ?1 AND version = ?2";
        let found: Option<(u64, [u8; 32], Vec<u8>)> =
            self.one(sql, params![fold, version], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        // One that is damaged is as good as none: the log has it all.
        Ok(found.filter(|it| Sha256::of(&it.2).as_bytes() == &it.1).map(|it| (it.0, it.2)))
    }
}
