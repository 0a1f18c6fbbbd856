-- Short runs of the index, many in one row: most keys lead to one or two events. The last key of a row orders it. Files
-- from before have theirs in `run`, where they stay; long runs go there still.
CREATE TABLE block (
    era INTEGER NOT NULL,
    last INTEGER NOT NULL,
    runs BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX block_place ON block (era, last);
