-- Names and values that hold for the whole file, such as the log's origin.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Subspaces as counted so far. The one with the empty sid holds what is outside of any.
CREATE TABLE space (
    no INTEGER PRIMARY KEY,
    sid TEXT NOT NULL UNIQUE,
    tick INTEGER NOT NULL,
    head INTEGER,
    head_leaf BLOB,
    genesis INTEGER,
    split BLOB
) STRICT;

CREATE TABLE clock (
    space INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (space, kind)
) STRICT, WITHOUT ROWID;

-- The log. Appended to, never changed. It has no index but its sequence: see `run`.
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    space INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    n INTEGER NOT NULL,
    tick INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    received INTEGER NOT NULL,
    scheme INTEGER NOT NULL,
    prev_seq INTEGER,
    id BLOB NOT NULL,
    body BLOB NOT NULL,
    author BLOB NOT NULL,
    leaf BLOB NOT NULL,
    prev BLOB,
    json TEXT NOT NULL
) STRICT;

-- The index, in eras of so many events. The newest era is in memory; here are the closed ones, written once, in order.
CREATE TABLE era (
    no INTEGER PRIMARY KEY,
    newest INTEGER NOT NULL,
    oldest INTEGER NOT NULL,
    names BLOB NOT NULL
) STRICT;

CREATE TABLE run (
    era INTEGER NOT NULL,
    key INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    oldest INTEGER NOT NULL,
    postings BLOB NOT NULL,
    PRIMARY KEY (era, key, chunk)
) STRICT, WITHOUT ROWID;

-- Roots of complete tiles of 256 hashes. Tiles of leaves are read from `event`.
CREATE TABLE tile (
    level INTEGER NOT NULL,
    n INTEGER NOT NULL,
    root BLOB NOT NULL,
    PRIMARY KEY (level, n)
) STRICT, WITHOUT ROWID;

-- State of the folds after so many events.
CREATE TABLE snapshot (
    fold TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    size INTEGER NOT NULL,
    digest BLOB NOT NULL,
    state BLOB NOT NULL
) STRICT, WITHOUT ROWID;
