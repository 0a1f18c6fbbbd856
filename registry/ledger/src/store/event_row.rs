//! Rows of the log.

use base::{Address, Sha256, UnixSeconds, hex};
use rusqlite::{CachedStatement, Row, params};

use super::{
    Store, StoreError,
    brief_row::{Found, Glance},
};
use crate::event::{Accepted, BodyId, EventId, Kind, Position, Scheme, Sid};

/// Reads events, those that `$which` says.
macro_rules! events {
    ($which:literal) => {
        concat!(
            "SELECT seq, space, kind, n, tick, depth, created_at, received, scheme, prev_seq, id, body, author, \
             leaf, prev, json FROM event ",
            $which
        )
    };
}

/// An event as the log holds it. What can be asked without reading its JSON stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub(crate) space: u64,
    pub(crate) scheme: u8,
    pub(crate) prev_seq: Option<u64>,
    /// Its id.
    pub id: EventId,
    /// The digest of its body.
    pub body: BodyId,
    /// Who signed it.
    pub author: Address,
    /// Its kind.
    pub kind: Kind,
    /// When, by its author's word.
    pub created_at: UnixSeconds,
    /// Its place.
    pub at: Position,
    /// The hash of its leaf in the tree.
    pub leaf: Sha256,
    /// The event as JSON, as its author signed it: what a subscriber is sent.
    pub json: String,
}

/// What is written of one event.
pub(crate) struct EventRow<'e> {
    pub(crate) space: u64,
    pub(crate) prev_seq: Option<u64>,
    pub(crate) accepted: &'e Accepted,
    pub(crate) leaf: Sha256,
}

/// Appends events, which are many: the statement is looked up once.
pub(crate) struct EventRows<'s> {
    store: &'s Store,
    insert: CachedStatement<'s>,
}

impl Found for Stored {
    const SQL: &'static str = events!("WHERE seq = ?1");

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let at = Position {
            seq: row.get(0)?,
            n: row.get(3)?,
            tick: row.get(4)?,
            depth: row.get(5)?,
            received: UnixSeconds(row.get(7)?),
            prev: row.get::<_, Option<[u8; 32]>>(14)?.map(Sha256::from_bytes),
        };
        Ok(Self {
            at,
            space: row.get(1)?,
            kind: Kind(row.get(2)?),
            created_at: UnixSeconds(row.get(6)?),
            scheme: row.get(8)?,
            prev_seq: row.get(9)?,
            id: EventId::from_bytes(row.get(10)?),
            body: BodyId::from_digest(Sha256::from_bytes(row.get(11)?)),
            author: Address::from_bytes(row.get(12)?),
            leaf: Sha256::from_bytes(row.get(13)?),
            json: row.get(15)?,
        })
    }

    fn of(stored: Stored) -> Self {
        stored
    }

    fn glance(&self) -> Glance<'_> {
        Glance {
            seq: self.at.seq,
            space: self.space,
            id: self.id,
            author: self.author,
            kind: self.kind,
            created_at: self.created_at,
            json: &self.json,
        }
    }
}

impl Stored {
    /// Reads the event itself. Fails only if the file is damaged: what is stored was verified before.
    pub fn event(&self) -> Result<Accepted, StoreError> {
        let claimed = self.glance().claimed()?;
        let scheme = scheme_of(self.scheme).ok_or_else(|| {
            let (row, what) = (self.at.seq.to_string(), "unknown scheme".to_owned());
            StoreError::Row { table: "event", row, what }
        })?;
        let event = claimed.trust(self.body, scheme);
        Ok(Accepted::new(event, self.at.clone(), self.json.clone()))
    }
}

impl EventRows<'_> {
    /// Appends one event.
    pub(crate) fn append(&mut self, row: &EventRow<'_>) -> Result<(), StoreError> {
        let (event, at) = (&row.accepted.event, &row.accepted.at);
        let inserted = self.insert.execute(params![
            at.seq,
            row.space,
            event.kind().0,
            at.n,
            at.tick,
            at.depth,
            event.created_at().0,
            at.received.0,
            scheme_number(event.scheme()),
            row.prev_seq,
            event.id().as_bytes(),
            event.body().digest().as_bytes(),
            event.author().address().as_bytes(),
            row.leaf.as_bytes(),
            at.prev.as_ref().map(Sha256::as_bytes),
            row.accepted.json(),
        ]);
        inserted.map(drop).map_err(|it| self.store.error(it))
    }
}

impl Store {
    /// Makes ready to append events.
    pub(crate) fn event_rows(&self) -> Result<EventRows<'_>, StoreError> {
        let sql = "INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
        let insert = self.conn.prepare_cached(sql).map_err(|it| self.error(it))?;
        Ok(EventRows { store: self, insert })
    }

    /// Returns the event at a place.
    pub(crate) fn stored(&self, seq: u64) -> Result<Option<Stored>, StoreError> {
        // Somebody may ask for a place that no number of SQLite's can have.
        let Ok(seq) = i64::try_from(seq) else {
            return Ok(None);
        };
        self.one(Stored::SQL, [seq], Stored::read)
    }

    /// Reads the events of some places, in order.
    pub(crate) fn stored_between(
        &self,
        from: u64,
        until: u64,
        each: impl FnMut(Stored) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each(events!("WHERE seq >= ?1 AND seq < ?2 ORDER BY seq"), [from, until], Stored::read, each)
    }

    /// Returns how many events there are.
    pub(crate) fn size(&self) -> Result<u64, StoreError> {
        let last: Option<Option<u64>> = self.one("SELECT max(seq) FROM event", [], |row| row.get(0))?;
        Ok(last.flatten().map_or(0, |it| it + 1))
    }

    /// Returns what a parent is asked for: its depth, if the event at this place has this id.
    pub(crate) fn depth(&self, seq: u64, id: EventId) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT depth FROM event WHERE seq = ?1 AND id = ?2";
        self.one(sql, params![seq, id.as_bytes()], |row| row.get(0))
    }

    /// Returns the leaf hashes of some places.
    pub(crate) fn leaves(&self, from: u64, until: u64) -> Result<Vec<Sha256>, StoreError> {
        let mut leaves = Vec::new();
        let sql = "SELECT leaf FROM event WHERE seq >= ?1 AND seq < ?2 ORDER BY seq";
        let leaf = |row: &Row<'_>| row.get(0).map(Sha256::from_bytes);
        self.each(sql, [from, until], leaf, |it| {
            leaves.push(it);
            Ok(())
        })?;
        Ok(leaves)
    }
}

const SCHEMES: [Scheme; 5] =
    [Scheme::SpecEip191, Scheme::SpecRaw, Scheme::SpecText, Scheme::Sdk, Scheme::SdkUtf16];

fn scheme_of(number: u8) -> Option<Scheme> {
    SCHEMES.get(usize::from(number)).copied()
}

fn scheme_number(scheme: Scheme) -> u8 {
    // The order of the list is part of the file's format.
    let found = (0_u8..).zip(SCHEMES).find(|it| it.1 == scheme);
    found.map_or(0, |it| it.0)
}

/// Names the sid of a row's text form, for messages.
pub(super) fn sid_of(text: &str) -> Option<Sid> {
    Sid::parse(text).ok()
}

/// Reads a digest column that may be missing.
pub(super) fn digest(bytes: Option<[u8; 32]>) -> Option<Sha256> {
    bytes.map(Sha256::from_bytes)
}

impl std::fmt::Display for Stored {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "event {} at {} by {}", self.id, self.at.seq, hex::text(self.author.as_bytes()))
    }
}
