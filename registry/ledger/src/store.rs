//! The one module with SQL: a SQLite file, its migrations, and typed rows in and out.
//!
//! - Events are only ever inserted. What else is written (counters, index runs, tiles, snapshots) follows from them.
//! - An existing file is looked at before anything is written to it. One that is damaged, or of another program, is
//!   left exactly as it is.
//! - A new file appears under its name only when it is complete.

mod block_row;
mod brief_row;
mod event_row;
mod inbox_row;
mod open;
mod outbox_row;
mod run_row;
mod space_row;
mod tile_row;

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

pub use self::{
    brief_row::Brief,
    event_row::Stored,
    open::{DamageError, OpenError},
};
pub(crate) use self::{
    brief_row::{Events, Found, Glance},
    event_row::{EventRow, EventRows},
    inbox_row::InboxRow,
    open::Access,
    outbox_row::{OutboxCount, PENDING},
    run_row::{ChunkRow, EraRow},
    space_row::{Counted, SpaceRow},
};

/// One connection to the file.
#[derive(Debug)]
pub(crate) struct Store {
    conn: rusqlite::Connection,
    path: PathBuf,
    /// The file that was opened.
    file: FileId,
    journal: Journal,
}

/// How long the journal is.
#[derive(Clone, Debug)]
struct Journal {
    /// As it was after the last commit.
    pages: Arc<AtomicI64>,
    /// With so many it is moved into the file.
    pages_max: i64,
}

/// Which file of the system something is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// Why a read or a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no: the disk is full, gone, or the file changed under it.
    #[error("the event log in {} cannot be used", path.display())]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file was moved, removed or replaced. What is written to it would be gone with the next start.
    #[error("{} is not the file that was opened: it was moved, removed or replaced meanwhile", path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// A row holds what was never written: the file is damaged.
    #[error("the event log is damaged: table `{table}`, row {row}: {what}")]
    Row {
        /// Which table.
        table: &'static str,
        /// Which row.
        row: String,
        /// What is wrong with it.
        what: String,
    },
}

/// Names what stands beside a log's file: SQLite's journal, the lock.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

impl FileId {
    fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|it| Self { device: it.dev(), inode: it.ino() })
    }
}

impl Store {
    /// Runs `work` in one transaction, which is on the disk when this returns.
    pub(crate) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // SQLite itself looks for that only where it has no write-ahead log: it would go on with a file that has no name
        // any more, and what was acknowledged would be lost.
        if FileId::at(&self.path).ok() != Some(self.file) {
            return Err(StoreError::Gone { path: self.path.clone() });
        }
        self.run("BEGIN IMMEDIATE")?;
        let outcome = work(self).and_then(|it| self.run("COMMIT").map(|()| it));
        if outcome.is_err() && !self.conn.is_autocommit() {
            // What cannot be rolled back either is rolled back when the file is opened again.
            let _ = self.run("ROLLBACK");
        }
        outcome
    }

    /// Moves the journal into the file if it has become long. That takes the disk some time, for which nobody should wait
    /// who was promised an answer after a commit: SQLite itself would do it within the commit.
    pub(crate) fn shorten_journal(&self) -> Result<(), StoreError> {
        if self.journal.pages.load(Ordering::Relaxed) < self.journal.pages_max {
            return Ok(());
        }
        // As far as nobody reads it; the rest waits for the next time.
        let moved = self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        moved.map_err(|it| self.error(it))
    }

    /// Runs `look` on the log as it is now, and takes the locks for that once and not for every row.
    pub(crate) fn at_once<T>(
        &self,
        look: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.put("BEGIN", [])?;
        // Whoever fails leaves the connection to be closed, and the transaction with it.
        let found = look(self)?;
        self.put("COMMIT", [])?;
        Ok(found)
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.conn.execute_batch(sql).map_err(|it| self.error(it))
    }

    /// Runs any statement, for a test that has to make something fail.
    #[cfg(test)]
    pub(crate) fn execute_for_tests(&self, sql: &str) -> Result<(), StoreError> {
        self.run(sql)
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), source }
    }

    /// Writes one row with a statement that is prepared once.
    fn put(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), StoreError> {
        let mut statement = self.conn.prepare_cached(sql).map_err(|it| self.error(it))?;
        statement.execute(params).map(drop).map_err(|it| self.error(it))
    }

    /// Reads at most one row.
    fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        use rusqlite::OptionalExtension as _;
        let mut statement = self.conn.prepare_cached(sql).map_err(|it| self.error(it))?;
        statement.query_row(params, read).optional().map_err(|it| self.error(it))
    }

    /// Reads rows until `each` has seen them all.
    fn each<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
        mut each: impl FnMut(T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.conn.prepare_cached(sql).map_err(|it| self.error(it))?;
        let rows = statement.query_map(params, read).map_err(|it| self.error(it))?;
        for row in rows {
            each(row.map_err(|it| self.error(it))?)?;
        }
        Ok(())
    }
}
