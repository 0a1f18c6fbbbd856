//! Opening the file: looked at first, made whole or not at all, migrated step by step.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig, hooks::Wal};

use super::{FileId, Journal, Store, StoreError, beside};

/// What makes the file ours: "HLMK".
const APPLICATION_ID: i64 = 0x484c_4d4b;

/// Each takes the schema one step further. What was released is never changed, only followed.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema.sql"),
    include_str!("outbox.sql"),
    include_str!("inbox.sql"),
    include_str!("blocks.sql"),
];

/// The page of a new file: some events fit into one, and a commit of many writes few.
const PAGE_BYTES: u32 = 16 << 10;

/// How long the journal may get before it is moved into the file.
const JOURNAL_BYTES_MAX: i64 = 16 << 20;

/// How long a log that is being closed waits for those who still read.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// Files up to this size are read through when they are opened; larger ones while they are in use.
const READ_THROUGH_BYTES_MAX: u64 = 64 << 20;

/// Whether a connection may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The one writer.
    Write,
    /// One of many readers.
    Read,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file cannot be made or read.
    #[error("open the event log in {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("the event log in {} is in use by another process", path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
    },
    /// The file is missing, and its journal is not: a new file would be taken for the one that the journal is of.
    #[error(
        "there is no event log in {}, but the journal of one beside it: put the log back, or, to begin anew, move {} away too",
        path.display(), journal.display()
    )]
    Journal {
        /// Which file is missing.
        path: PathBuf,
        /// What is there.
        journal: PathBuf,
    },
    /// It is damaged. Nothing was written to it: put back a copy, or move it away to begin anew.
    #[error(
        "the event log in {} is damaged, and is left as it is: put back a copy, or move it away to begin anew; its journal \
         {}, if there is one, goes with it",
        path.display(), beside(path, "-wal").display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found.
        source: DamageError,
    },
    /// A newer program wrote it.
    #[error("the event log in {} has schema {found}; this program knows up to {known}", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: usize,
        /// The last one known here.
        known: usize,
    },
    /// SQLite cannot work with it.
    #[error("open the event log")]
    Store(#[from] StoreError),
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum DamageError {
    /// Not a SQLite file.
    #[error("it is not an SQLite database")]
    Header,
    /// A SQLite file of another program.
    #[error("it belongs to another program (application id {0:#x})")]
    Foreign(i64),
    /// SQLite's own check.
    #[error("SQLite's check says: {0}")]
    Check(String),
    /// SQLite fails to read it.
    #[error("it cannot be read")]
    Unreadable(#[source] rusqlite::Error),
    /// An event is not what its place in the tree says.
    #[error("event {seq}: {what}")]
    Event {
        /// Its place.
        seq: u64,
        /// What is wrong.
        what: String,
    },
    /// What is counted beside the events does not fit them: pages of another time, most often out of a journal.
    #[error("it has {events} events, and beside them {what}: is the journal beside it another file's?")]
    Counted {
        /// How many events there are.
        events: u64,
        /// What does not fit.
        what: String,
    },
    /// A row cannot be what was written.
    #[error("a row is not what was written")]
    Row(#[source] StoreError),
}

impl Store {
    /// Opens the file, made if it is missing, checked if it is not.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        match fs::metadata(path) {
            Ok(meta) => inspect(path, meta.len())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                check_alone(path)?;
                create(path)?;
            }
            Err(source) => return Err(io(source)),
        }
        let store = Self::connect(path, Access::Write)?;
        store.migrate()?;
        Ok(store)
    }

    /// Opens one more connection to a file that [`Store::open`] has opened.
    pub(crate) fn connect(path: &Path, access: Access) -> Result<Self, StoreError> {
        let error = |source| StoreError::Sqlite { path: path.to_owned(), source };
        let flags = match access {
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let mut conn =
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(error)?;
        conn.busy_timeout(Duration::from_secs(10)).map_err(error)?;
        conn.set_prepared_statement_cache_capacity(64);
        // In kilobytes. There is one writer, and there are several readers.
        let cache = if access == Access::Write { 32_000 } else { 8000 };
        let pragmas = format!("PRAGMA cache_size = -{cache}; PRAGMA temp_store = MEMORY;");
        conn.execute_batch(&pragmas).map_err(error)?;
        let mut journal = Journal { pages: Arc::default(), pages_max: i64::MAX };
        if access == Access::Write {
            // Until all was looked at, the journal stays beside the file, also if this ends here.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(error)?;
            // Without a meaning for a file that has its first page already.
            conn.pragma_update(None, "page_size", PAGE_BYTES).map_err(error)?;
            let page: i64 = conn.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(error)?;
            journal.pages_max = JOURNAL_BYTES_MAX / page.max(512);
            // See `Store::shorten_journal`.
            conn.execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
                 PRAGMA journal_size_limit = 67108864;",
            )
            .map_err(error)?;
            let pages = Arc::clone(&journal.pages);
            let note = move |_: &mut Wal, count: i32| {
                pages.store(count.into(), Ordering::Relaxed);
                Ok(())
            };
            conn.wal_hook(Some(note)).map_err(error)?;
        }
        let file = FileId::at(path).map_err(|_| StoreError::Gone { path: path.to_owned() })?;
        Ok(Self { conn, path: path.to_owned(), file, journal })
    }

    /// Lets the journal become part of the file for good: nothing is wrong with either.
    pub(crate) fn trust_journal(&self) -> Result<(), StoreError> {
        let off = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
        off.map(drop).map_err(|it| self.error(it))
    }

    /// Moves all of the journal into the file, unless somebody reads for so long that it has to stay: then it is whole in
    /// both together.
    pub(crate) fn end_journal(&self) -> Result<(), StoreError> {
        self.conn.busy_timeout(END_PATIENCE).map_err(|it| self.error(it))?;
        let busy = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        busy.map(drop).map_err(|it| self.error(it))
    }

    fn migrate(&self) -> Result<(), OpenError> {
        let version = self.number("PRAGMA user_version")?;
        let found = usize::try_from(version).unwrap_or(usize::MAX);
        if found > MIGRATIONS.len() {
            return Err(OpenError::Newer { path: self.path.clone(), found, known: MIGRATIONS.len() });
        }
        for (index, step) in MIGRATIONS.iter().enumerate().skip(found) {
            let next = index + 1;
            self.run(&format!(
                "BEGIN; {step} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {next}; COMMIT;"
            ))?;
        }
        Ok(())
    }

    fn number(&self, sql: &str) -> Result<i64, StoreError> {
        self.conn.query_row(sql, [], |row| row.get(0)).map_err(|it| self.error(it))
    }
}

/// Makes sure that no journal of an earlier file is there: SQLite would read it into a new one.
fn check_alone(path: &Path) -> Result<(), OpenError> {
    for journal in ["-wal", "-journal"].map(|it| beside(path, it)) {
        if fs::metadata(&journal).is_ok_and(|it| it.len() > 0) {
            return Err(OpenError::Journal { path: path.to_owned(), journal });
        }
    }
    Ok(())
}

/// Makes a complete file under another name, then gives it its own.
fn create(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(io)?;
    let new = tempfile::Builder::new().prefix("ledger-new-").tempfile_in(folder).map_err(io)?;
    let store = Store::connect(new.path(), Access::Write)?;
    store.migrate()?;
    // One plain file, so that the name is all it takes.
    store.run("PRAGMA journal_mode = DELETE;")?;
    drop(store);
    let file = new.persist_noclobber(path).map_err(|it| io(it.error))?;
    file.sync_all().map_err(io)?;
    fs::File::open(folder).and_then(|it| it.sync_all()).map_err(io)
}

/// Looks at an existing file without writing to it.
fn inspect(path: &Path, size_bytes: u64) -> Result<(), OpenError> {
    let damaged = |source| OpenError::Damaged { path: path.to_owned(), source };
    let unreadable = |source| damaged(DamageError::Unreadable(source));
    let mut header = [0; 16];
    let read = fs::File::open(path).and_then(|mut it| io::Read::read_exact(&mut it, &mut header));
    match read {
        Ok(()) if &header == b"SQLite format 3\0" => {}
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            return Err(OpenError::Io { path: path.to_owned(), source: error });
        }
        _ => return Err(damaged(DamageError::Header)),
    }
    // A connection that may write recovers the journal of a crash, which is how SQLite means it to be read.
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(unreadable)?;
    conn.execute_batch("PRAGMA query_only = ON;").map_err(unreadable)?;
    // Closing it must not move the journal into the file either.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(unreadable)?;
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(unreadable);
    let id = number("PRAGMA application_id")?;
    if id != APPLICATION_ID {
        return Err(damaged(DamageError::Foreign(id)));
    }
    if size_bytes <= READ_THROUGH_BYTES_MAX {
        let said: String =
            conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(unreadable)?;
        if said != "ok" {
            return Err(damaged(DamageError::Check(said)));
        }
    }
    Ok(())
}
