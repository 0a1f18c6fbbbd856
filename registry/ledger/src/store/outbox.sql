-- What is to be published, and where. A row stays after it is done, so that nothing is sent twice.
CREATE TABLE outbox (
    relay TEXT NOT NULL,
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    due INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (relay, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_due ON outbox (relay, due, seq) WHERE state = 0;

-- Up to which place in the log events were looked at for each relay.
CREATE TABLE outbox_seen (relay TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
