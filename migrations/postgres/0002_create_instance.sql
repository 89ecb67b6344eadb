-- Where the store was last started and how often it was started at all: a store that comes up in
-- another place was moved or copied, one that counts fewer starts than the file beside it was
-- restored from an older copy.
CREATE TABLE instance (
    nr         BIGINT NOT NULL PRIMARY KEY CHECK (nr = 1),
    home       TEXT   NOT NULL,
    generation BIGINT NOT NULL CHECK (generation >= 1),
    started_at BIGINT NOT NULL
);
