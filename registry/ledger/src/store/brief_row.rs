//! Rows of the log as most who ask need them: the event itself, and what it can be asked for by without its JSON.

use std::marker::PhantomData;

use base::{Address, UnixSeconds};
use rusqlite::{CachedStatement, OptionalExtension as _, Row};

use super::{Store, StoreError, Stored};
use crate::event::{Claimed, EventId, Kind};

/// An event as a subscriber is sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    pub(crate) space: u64,
    /// Its place.
    pub seq: u64,
    /// Its id.
    pub id: EventId,
    /// Who signed it.
    pub author: Address,
    /// Its kind.
    pub kind: Kind,
    /// When, by its author's word.
    pub created_at: UnixSeconds,
    /// The event as JSON, as its author signed it.
    pub json: String,
}

/// What every row has that is held against a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance<'r> {
    pub(crate) seq: u64,
    pub(crate) space: u64,
    pub(crate) id: EventId,
    pub(crate) author: Address,
    pub(crate) kind: Kind,
    pub(crate) created_at: UnixSeconds,
    pub(crate) json: &'r str,
}

/// A row, as far as somebody reads it: each column that is not asked for is time that is saved.
pub(crate) trait Found: Sized {
    /// Asks for the event at a place.
    const SQL: &'static str;

    /// Reads what was asked for.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self>;

    /// Takes as much of a row that was read whole.
    fn of(stored: Stored) -> Self;

    /// Returns what is held against a filter.
    fn glance(&self) -> Glance<'_>;
}

/// Events by their places, as rows of one form, with a statement that is looked up once.
pub(crate) struct Events<'s, R> {
    store: &'s Store,
    statement: CachedStatement<'s>,
    form: PhantomData<R>,
}

impl Store {
    /// Makes ready to read many events, one after the other.
    pub(crate) fn events<R: Found>(&self) -> Result<Events<'_, R>, StoreError> {
        let statement = self.conn.prepare_cached(R::SQL).map_err(|it| self.error(it))?;
        Ok(Events { store: self, statement, form: PhantomData })
    }
}

impl<R: Found> Events<'_, R> {
    /// Returns the event at a place.
    pub(crate) fn at(&mut self, seq: u64) -> Result<Option<R>, StoreError> {
        let found = self.statement.query_row([seq], R::read).optional();
        found.map_err(|it| self.store.error(it))
    }
}

impl Glance<'_> {
    /// Reads the event's JSON. Fails only if the file is damaged: what is stored was verified before.
    pub(crate) fn claimed(&self) -> Result<Claimed, StoreError> {
        let damaged = |what: String| StoreError::Row { table: "event", row: self.seq.to_string(), what };
        let claimed = Claimed::parse_stored(self.json).map_err(|it| damaged(it.to_string()))?;
        let is_so =
            (claimed.id(), claimed.kind(), claimed.created_at()) == (self.id, self.kind, self.created_at);
        if is_so { Ok(claimed) } else { Err(damaged("its JSON is another event's".to_owned())) }
    }
}

impl Found for Brief {
    const SQL: &'static str =
        "SELECT seq, space, kind, created_at, id, author, json FROM event WHERE seq = ?1";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            space: row.get(1)?,
            kind: Kind(row.get(2)?),
            created_at: UnixSeconds(row.get(3)?),
            id: EventId::from_bytes(row.get(4)?),
            author: Address::from_bytes(row.get(5)?),
            json: row.get(6)?,
        })
    }

    fn of(stored: Stored) -> Self {
        let Stored { space, id, author, kind, created_at, at, json, .. } = stored;
        Self { space, seq: at.seq, id, author, kind, created_at, json }
    }

    fn glance(&self) -> Glance<'_> {
        let Self { space, seq, id, author, kind, created_at, json } = self;
        Glance {
            seq: *seq,
            space: *space,
            id: *id,
            author: *author,
            kind: *kind,
            created_at: *created_at,
            json,
        }
    }
}
