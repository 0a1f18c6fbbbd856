-- Until when all is here that a relay had which is followed, and when it was last asked for all that it has.
CREATE TABLE inbox (
    relay TEXT PRIMARY KEY,
    heard_until INTEGER NOT NULL,
    swept_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
