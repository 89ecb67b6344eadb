-- The first schema: deliveries in, checkouts with their journal and actions, and what is watched.
--
-- Hot tables have keys that grow with time, so that new rows share pages; what is pending, due or
-- leased is found through partial indexes, so that the cost of a payment does not grow with history.
-- Times are Unix microseconds in UTC, amounts minor units. Sums are kept in two parts
-- (value = high * 2^32 + low), because a sum of 64-bit amounts may pass 64 bits.

-- Deliveries. `id` is the time of arrival in microseconds, pushed up where needed to be unique and
-- to grow even when the clock steps back.
CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY,
    sender      TEXT    NOT NULL,
    delivery_id TEXT    NOT NULL,
    key         BLOB    NOT NULL,
    received_at INTEGER NOT NULL,
    is_signed   INTEGER NOT NULL CHECK (is_signed IN (0, 1)),
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'taken', 'ignored', 'parked')),
    why         TEXT
) STRICT;

CREATE INDEX inbox_pending ON inbox (id) WHERE state = 'pending';
CREATE INDEX inbox_parked ON inbox (id) WHERE state = 'parked';

-- Raw bodies, apart from the hot table and pruned before it.
CREATE TABLE bodies (
    id   INTEGER PRIMARY KEY REFERENCES inbox (id),
    body BLOB NOT NULL
) STRICT;

-- What was delivered before: a digest of sender and delivery id, and one of the body, which tells a
-- repetition from a conflict.
CREATE TABLE delivery_keys (
    key       BLOB    NOT NULL PRIMARY KEY,
    body_hash BLOB    NOT NULL,
    inbox     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Deliveries that failed verification, bounded by count and bytes.
CREATE TABLE quarantine (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    size        INTEGER NOT NULL,
    sender      TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    diagnosis   TEXT    NOT NULL,
    envelope    TEXT    NOT NULL,
    body        BLOB    NOT NULL
) STRICT;

CREATE INDEX quarantine_sizes ON quarantine (id, size);

CREATE TABLE checkouts (
    nr                INTEGER PRIMARY KEY,
    id                TEXT    NOT NULL UNIQUE,
    shop              TEXT    NOT NULL,
    reference         TEXT,
    verdict           TEXT    NOT NULL,
    reason            TEXT    NOT NULL,
    since             INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    changed_at        INTEGER NOT NULL,
    suspense_minor    INTEGER,
    suspense_currency TEXT,
    wake_at           INTEGER,
    version           INTEGER NOT NULL CHECK (version >= 1),
    head              TEXT    NOT NULL,
    document          TEXT    NOT NULL,
    CHECK ((suspense_minor IS NULL) = (suspense_currency IS NULL))
) STRICT;

CREATE UNIQUE INDEX checkouts_order ON checkouts (reference, shop) WHERE reference IS NOT NULL;
CREATE INDEX checkouts_wake ON checkouts (wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX checkouts_standing ON checkouts (shop, verdict, since, id);
CREATE INDEX checkouts_rest ON checkouts (changed_at)
    WHERE wake_at IS NULL AND verdict IN ('settled', 'returned', 'closed', 'foreign');

-- Where each payment lives.
CREATE TABLE payments (
    account  TEXT NOT NULL,
    payment  TEXT NOT NULL,
    checkout TEXT NOT NULL REFERENCES checkouts (id),
    PRIMARY KEY (account, payment)
) STRICT, WITHOUT ROWID;

CREATE INDEX payments_checkout ON payments (checkout);

-- Append-only and chained per checkout.
CREATE TABLE journal (
    nr       INTEGER PRIMARY KEY,
    checkout TEXT    NOT NULL REFERENCES checkouts (id),
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    facts    TEXT    NOT NULL,
    decision TEXT    NOT NULL,
    previous TEXT    NOT NULL,
    hash     TEXT    NOT NULL,
    UNIQUE (checkout, seq)
) STRICT;

-- Wanted actions. `version` is the checkout's version that last wanted the action; `lane` keeps
-- actions that give money back apart, so that they can be held back as a whole.
CREATE TABLE actions (
    nr           INTEGER PRIMARY KEY,
    checkout     TEXT    NOT NULL REFERENCES checkouts (id),
    key          TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    shop         TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    destination  TEXT    NOT NULL,
    lane         TEXT    NOT NULL CHECK (lane IN ('ask', 'give_back')),
    due          INTEGER NOT NULL,
    planned      TEXT    NOT NULL,
    attempts     INTEGER NOT NULL CHECK (attempts >= 0),
    last_sent_at INTEGER,
    sent_before  INTEGER,
    lease        TEXT    CHECK (lease IN ('attempt', 'lost')),
    token        TEXT,
    until        INTEGER,
    UNIQUE (checkout, key),
    CHECK ((token IS NULL) = (until IS NULL) AND (token IS NULL) = (lease IS NULL))
) STRICT;

CREATE INDEX actions_free ON actions (destination, lane, due) WHERE token IS NULL;
CREATE INDEX actions_due ON actions (due, kind, token) WHERE token IS NULL;
CREATE INDEX actions_leased ON actions (until, kind) WHERE token IS NOT NULL;

-- How many checkouts of a shop stand where, with their money in suspense; '' for no currency.
CREATE TABLE standings (
    shop     TEXT    NOT NULL,
    verdict  TEXT    NOT NULL,
    currency TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    high     INTEGER NOT NULL,
    low      INTEGER NOT NULL,
    PRIMARY KEY (shop, verdict, currency)
) STRICT, WITHOUT ROWID;

-- What the guard counts, by the minute; '' for no currency.
CREATE TABLE tallies (
    shop     TEXT    NOT NULL,
    minute   INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    currency TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    high     INTEGER NOT NULL,
    low      INTEGER NOT NULL,
    PRIMARY KEY (shop, minute, kind, currency)
) STRICT, WITHOUT ROWID;

CREATE INDEX tallies_minute ON tallies (minute);

-- `epoch` is an unsigned 64-bit number in twenty digits, so that text order is its order.
CREATE TABLE shops (
    shop        TEXT NOT NULL PRIMARY KEY,
    epoch       TEXT,
    brake_cause TEXT,
    brake_at    INTEGER,
    CHECK ((brake_cause IS NULL) = (brake_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    account          TEXT    NOT NULL PRIMARY KEY,
    first_started_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sweeps (
    account    TEXT    NOT NULL,
    listing    INTEGER NOT NULL,
    mark       INTEGER NOT NULL,
    swept_at   INTEGER,
    last_error TEXT,
    PRIMARY KEY (account, listing)
) STRICT, WITHOUT ROWID;

-- One row, written by the readiness probe; the ballast makes it need as much room as a delivery.
CREATE TABLE probe (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    at      INTEGER NOT NULL,
    ballast BLOB    NOT NULL
) STRICT;
