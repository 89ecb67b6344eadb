-- Settled orders whose shop named a customer: by what they are alike, and which other settled order
-- looks like the same purchase made twice (`twin`). `mark` is a shortened SHA-256 of shop and word.
CREATE TABLE sightings (
    checkout TEXT    NOT NULL PRIMARY KEY REFERENCES checkouts (id),
    shop     TEXT    NOT NULL,
    mark     TEXT    NOT NULL,
    currency TEXT    NOT NULL,
    minor    INTEGER NOT NULL,
    paid_at  INTEGER NOT NULL,
    twin     TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX sightings_alike ON sightings (shop, mark, currency, minor, paid_at);
CREATE INDEX sightings_twins ON sightings (twin) WHERE twin IS NOT NULL;
CREATE INDEX sightings_shown ON sightings (paid_at) WHERE twin IS NOT NULL;
