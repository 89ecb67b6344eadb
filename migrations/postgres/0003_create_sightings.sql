-- Settled orders whose shop named a customer: by what they are alike, and which other settled order
-- looks like the same purchase made twice (`twin`). `mark` is a shortened SHA-256 of shop and word.
CREATE TABLE sightings (
    checkout TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    shop     TEXT   COLLATE "C" NOT NULL,
    mark     TEXT   COLLATE "C" NOT NULL,
    currency TEXT   COLLATE "C" NOT NULL,
    minor    BIGINT NOT NULL,
    paid_at  BIGINT NOT NULL,
    twin     TEXT   COLLATE "C"
);

CREATE INDEX sightings_alike ON sightings (shop, mark, currency, minor, paid_at);
CREATE INDEX sightings_twins ON sightings (twin) WHERE twin IS NOT NULL;
CREATE INDEX sightings_shown ON sightings (paid_at) WHERE twin IS NOT NULL;
