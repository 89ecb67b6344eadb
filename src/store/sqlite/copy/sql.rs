//! The statements that read an SQLite store out and write one anew.
//!
//! Columns stand in the order of the raw rows; every table is read in the order of its key. What a
//! row has in the other database alone comes from the row it belongs to. Rows to write are `$1`, bytes
//! and foreign texts lie in `$2`, as everywhere in this store.

use crate::store::copy::Table;

pub(super) const HAS_SCHEMA: &str =
    "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
pub(super) const CLEAR: &str = "DELETE FROM delivery_keys; DELETE FROM bodies; \
    DELETE FROM inbox; DELETE FROM quarantine; DELETE FROM sightings; DELETE FROM actions; \
    DELETE FROM journal; DELETE FROM payments; DELETE FROM checkouts; DELETE FROM standings; \
    DELETE FROM tallies; DELETE FROM shops; DELETE FROM accounts; DELETE FROM sweeps; \
    DELETE FROM instance";

const DELIVERIES: &str = "SELECT i.id, i.sender, i.delivery_id, i.key, i.received_at, \
    i.is_signed, i.state, i.why, k.body_hash, b.body \
    FROM inbox i LEFT JOIN delivery_keys k ON k.key = i.key AND k.inbox = i.id \
    LEFT JOIN bodies b ON b.id = i.id ORDER BY i.id";
const QUARANTINE: &str = "SELECT id, size, sender, received_at, diagnosis, envelope, body \
    FROM quarantine ORDER BY id";
const CHECKOUTS: &str = "SELECT id, shop, reference, verdict, reason, since, created_at, \
    changed_at, suspense_minor, suspense_currency, wake_at, version, head, document \
    FROM checkouts ORDER BY id";
const PAYMENTS: &str = "SELECT p.account, p.payment, c.shop, p.checkout FROM payments p \
    LEFT JOIN checkouts c ON c.id = p.checkout ORDER BY p.account, p.payment";
const JOURNAL: &str = "SELECT j.checkout, j.seq, c.shop, j.at, j.facts, j.decision, j.previous, \
    j.hash FROM journal j LEFT JOIN checkouts c ON c.id = j.checkout ORDER BY j.checkout, j.seq";
const ACTIONS: &str = "SELECT checkout, key, version, shop, kind, destination, lane, due, \
    planned, attempts, last_sent_at, sent_before, lease, token, until \
    FROM actions ORDER BY checkout, key";
const SIGHTINGS: &str = "SELECT checkout, shop, mark, currency, minor, paid_at, twin \
    FROM sightings ORDER BY checkout";
const STANDINGS: &str = "SELECT shop, verdict, currency, count, high, low FROM standings \
    ORDER BY shop, verdict, currency";
const TALLIES: &str = "SELECT shop, minute, kind, currency, count, high, low FROM tallies \
    ORDER BY shop, minute, kind, currency";
const SHOPS: &str = "SELECT shop, epoch, brake_cause, brake_at FROM shops ORDER BY shop";
const ACCOUNTS: &str = "SELECT account, first_started_at FROM accounts ORDER BY account";
const SWEEPS: &str = "SELECT account, listing, mark, swept_at, last_error FROM sweeps \
    ORDER BY account, listing";
const INSTANCE: &str = "SELECT nr, home, generation, started_at FROM instance ORDER BY nr";

const INTO_DELIVERIES: &[&str] = &[
    "INSERT INTO inbox (id, sender, delivery_id, key, received_at, is_signed, state, why) \
     SELECT value ->> 0, value ->> 1, \
       CAST(substr($2, value ->> '$[2][0]', value ->> '$[2][1]') AS TEXT), \
       substr($2, value ->> '$[3][0]', value ->> '$[3][1]'), value ->> 4, value ->> 5, \
       value ->> 6, CAST(substr($2, value ->> '$[7][0]', value ->> '$[7][1]') AS TEXT) \
     FROM jsonb_each($1)",
    "INSERT INTO delivery_keys (key, body_hash, inbox) \
     SELECT substr($2, value ->> '$[3][0]', value ->> '$[3][1]'), \
       substr($2, value ->> '$[8][0]', value ->> '$[8][1]'), value ->> 0 \
     FROM jsonb_each($1) WHERE value ->> 8 IS NOT NULL",
    "INSERT INTO bodies (id, body) \
     SELECT value ->> 0, substr($2, value ->> '$[9][0]', value ->> '$[9][1]') \
     FROM jsonb_each($1) WHERE value ->> 9 IS NOT NULL",
];
const INTO_QUARANTINE: &[&str] = &[
    "INSERT INTO quarantine (id, size, sender, received_at, diagnosis, envelope, body) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, \
       CAST(substr($2, value ->> '$[4][0]', value ->> '$[4][1]') AS TEXT), \
       CAST(substr($2, value ->> '$[5][0]', value ->> '$[5][1]') AS TEXT), \
       substr($2, value ->> '$[6][0]', value ->> '$[6][1]') \
     FROM jsonb_each($1)",
];
const INTO_CHECKOUTS: &[&str] = &[
    "INSERT INTO checkouts (id, shop, reference, verdict, reason, since, created_at, changed_at, \
       suspense_minor, suspense_currency, wake_at, version, head, document) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
       value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, \
       value ->> 12, CAST(substr($2, value ->> '$[13][0]', value ->> '$[13][1]') AS TEXT) \
     FROM jsonb_each($1)",
];
const INTO_PAYMENTS: &[&str] = &["INSERT INTO payments (account, payment, checkout) \
     SELECT value ->> 0, value ->> 1, value ->> 3 FROM jsonb_each($1)"];
const INTO_JOURNAL: &[&str] = &[
    "INSERT INTO journal (checkout, seq, at, facts, decision, previous, hash) \
     SELECT value ->> 0, value ->> 1, value ->> 3, \
       CAST(substr($2, value ->> '$[4][0]', value ->> '$[4][1]') AS TEXT), \
       CAST(substr($2, value ->> '$[5][0]', value ->> '$[5][1]') AS TEXT), \
       value ->> 6, value ->> 7 \
     FROM jsonb_each($1)",
];
const INTO_ACTIONS: &[&str] = &[
    "INSERT INTO actions (checkout, key, version, shop, kind, destination, lane, due, planned, \
       attempts, last_sent_at, sent_before, lease, token, until) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
       value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, \
       value ->> 12, value ->> 13, value ->> 14 \
     FROM jsonb_each($1)",
];
const INTO_SIGHTINGS: &[&str] = &[
    "INSERT INTO sightings (checkout, shop, mark, currency, minor, paid_at, twin) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
       value ->> 6 \
     FROM jsonb_each($1)",
];
const INTO_STANDINGS: &[&str] = &[
    "INSERT INTO standings (shop, verdict, currency, count, high, low) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
     FROM jsonb_each($1)",
];
const INTO_TALLIES: &[&str] = &[
    "INSERT INTO tallies (shop, minute, kind, currency, count, high, low) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
       value ->> 6 \
     FROM jsonb_each($1)",
];
const INTO_SHOPS: &[&str] = &["INSERT INTO shops (shop, epoch, brake_cause, brake_at) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each($1)"];
const INTO_ACCOUNTS: &[&str] = &["INSERT INTO accounts (account, first_started_at) \
     SELECT value ->> 0, value ->> 1 FROM jsonb_each($1)"];
const INTO_SWEEPS: &[&str] = &[
    "INSERT INTO sweeps (account, listing, mark, swept_at, last_error) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, \
       CAST(substr($2, value ->> '$[4][0]', value ->> '$[4][1]') AS TEXT) \
     FROM jsonb_each($1)",
];
const INTO_INSTANCE: &[&str] = &["INSERT INTO instance (nr, home, generation, started_at) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each($1)"];

/// The statement that reads a whole table, and those that write rows of it.
pub(super) fn of(table: Table) -> (&'static str, &'static [&'static str]) {
    match table {
        Table::Deliveries => (DELIVERIES, INTO_DELIVERIES),
        Table::Quarantine => (QUARANTINE, INTO_QUARANTINE),
        Table::Checkouts => (CHECKOUTS, INTO_CHECKOUTS),
        Table::Payments => (PAYMENTS, INTO_PAYMENTS),
        Table::Journal => (JOURNAL, INTO_JOURNAL),
        Table::Actions => (ACTIONS, INTO_ACTIONS),
        Table::Sightings => (SIGHTINGS, INTO_SIGHTINGS),
        Table::Standings => (STANDINGS, INTO_STANDINGS),
        Table::Tallies => (TALLIES, INTO_TALLIES),
        Table::Shops => (SHOPS, INTO_SHOPS),
        Table::Accounts => (ACCOUNTS, INTO_ACCOUNTS),
        Table::Sweeps => (SWEEPS, INTO_SWEEPS),
        Table::Instance => (INSTANCE, INTO_INSTANCE),
    }
}
