//! Rows of subspaces and their counters.

use std::collections::BTreeMap;

use base::Sha256;
use rusqlite::{Row, params};

use super::{
    Store, StoreError,
    event_row::{digest, sid_of},
};
use crate::event::{Kind, Sid};

/// A subspace as counted so far. Without a sid it is what is outside of any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpaceRow {
    pub(crate) no: u64,
    pub(crate) sid: Option<Sid>,
    pub(crate) tick: u64,
    /// The last event and its leaf.
    pub(crate) head: Option<(u64, Sha256)>,
    /// The place of the event that made it.
    pub(crate) genesis: Option<u64>,
    /// The digest of how its name, operations and rules are split.
    pub(crate) split: Option<Sha256>,
    pub(crate) clock: BTreeMap<Kind, u64>,
}

/// What all subspaces say together: by each of these, how many events there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The sum of all ticks.
    pub(crate) ticks: u64,
    /// The sum of all clocks.
    pub(crate) clocks: u64,
    /// The newest event that is the last of a subspace, and its leaf.
    pub(crate) head: Option<(u64, Sha256)>,
}

const COLUMNS: &str = "no, sid, tick, head, head_leaf, genesis, split";

impl Store {
    /// Returns a subspace with its counters.
    pub(crate) fn space(&self, sid: Option<&Sid>) -> Result<Option<SpaceRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM space WHERE sid = ?1");
        let Some(mut space) = self.one(&sql, [sid.map_or("", Sid::as_str)], read)? else {
            return Ok(None);
        };
        let pair = |row: &Row<'_>| Ok((Kind(row.get(0)?), row.get(1)?));
        self.each("SELECT kind, n FROM clock WHERE space = ?1", [space.no], pair, |(kind, n)| {
            space.clock.insert(kind, n);
            Ok(())
        })?;
        Ok(Some(space))
    }

    /// Returns what is counted of all subspaces.
    pub(crate) fn counted(&self) -> Result<Counted, StoreError> {
        let number = |sql: &str| Ok(self.one(sql, [], |row| row.get(0))?.unwrap_or_default());
        let head = "SELECT head, head_leaf FROM space WHERE head IS NOT NULL ORDER BY head DESC LIMIT 1";
        Ok(Counted {
            ticks: number("SELECT coalesce(sum(tick), 0) FROM space")?,
            clocks: number("SELECT coalesce(sum(n), 0) FROM clock")?,
            head: self.one(head, [], |row| Ok((row.get(0)?, Sha256::from_bytes(row.get(1)?))))?,
        })
    }

    /// Returns the number of a subspace.
    pub(crate) fn space_number(&self, sid: &Sid) -> Result<Option<u64>, StoreError> {
        self.one("SELECT no FROM space WHERE sid = ?1", [sid.as_str()], |row| row.get(0))
    }

    /// Returns the sid of a subspace by its number.
    pub(crate) fn sid(&self, no: u64) -> Result<Option<Sid>, StoreError> {
        let text: Option<String> = self.one("SELECT sid FROM space WHERE no = ?1", [no], |row| row.get(0))?;
        Ok(text.and_then(|it| sid_of(&it)))
    }

    /// Lists subspaces in the order in which they were first named, without their counters.
    pub(crate) fn spaces(&self, after: u64, limit: u64) -> Result<Vec<SpaceRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM space WHERE no > ?1 ORDER BY no LIMIT ?2");
        let mut spaces = Vec::new();
        self.each(&sql, [after, limit], read, |it| {
            spaces.push(it);
            Ok(())
        })?;
        Ok(spaces)
    }

    /// Returns the number of the last subspace.
    pub(crate) fn last_space(&self) -> Result<u64, StoreError> {
        let last: Option<Option<u64>> = self.one("SELECT max(no) FROM space", [], |row| row.get(0))?;
        Ok(last.flatten().unwrap_or_default())
    }

    /// Writes a subspace and the counters of those kinds.
    pub(crate) fn put_space(
        &self,
        space: &SpaceRow,
        kinds: impl IntoIterator<Item = Kind>,
    ) -> Result<(), StoreError> {
        let head = space.head;
        self.put(
            "INSERT INTO space (no, sid, tick, head, head_leaf, genesis, split) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (no) DO UPDATE SET tick = ?3, head = ?4, head_leaf = ?5, genesis = ?6, split = ?7",
            params![
                space.no,
                space.sid.as_ref().map_or("", Sid::as_str),
                space.tick,
                head.map(|it| it.0),
                head.map(|it| *it.1.as_bytes()),
                space.genesis,
                space.split.map(|it| *it.as_bytes()),
            ],
        )?;
        for kind in kinds {
            let n = space.clock.get(&kind).copied().unwrap_or_default();
            self.put(
                "INSERT INTO clock (space, kind, n) VALUES (?1, ?2, ?3)
                 ON CONFLICT (space, kind) DO UPDATE SET n = ?3",
                params![space.no, kind.0, n],
            )?;
        }
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<SpaceRow> {
    let sid: String = row.get(1)?;
    let head: Option<u64> = row.get(3)?;
    Ok(SpaceRow {
        no: row.get(0)?,
        sid: sid_of(&sid),
        tick: row.get(2)?,
        head: head.zip(digest(row.get(4)?)),
        genesis: row.get(5)?,
        split: digest(row.get(6)?),
        clock: BTreeMap::new(),
    })
}
