//! The statements that read a PostgreSQL store out and write one anew.
//!
//! Columns stand in the order of the raw rows; every table is read in the order of its key.

use crate::store::copy::Table;

/// Held as long as the connection stands: one copy into a store at a time.
pub(super) const TRY_LOCK: &str = "SELECT pg_try_advisory_lock(7308895137226483046)";
/// Connections of daemons, and of commands that read the books.
pub(super) const COUNT_OTHERS: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'reconciled'";
pub(super) const HAS_SCHEMA: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
/// Whoever is in the way for longer stays there.
pub(super) const WAIT_BRIEFLY: &str = "SET lock_timeout = '5s'";
/// Nobody writes while the rows are read out; before the first look, so that nothing was written
/// between it and the lock.
pub(super) const LOCK_SOURCE: &str = "LOCK TABLE inbox, bodies, delivery_keys, quarantine, \
    checkouts, payments, journal, actions, sightings, standings, tallies, shops, accounts, \
    sweeps, instance IN SHARE MODE";
pub(super) const CLEAR: &str = "TRUNCATE inbox, bodies, delivery_keys, quarantine, checkouts, \
    payments, journal, actions, sightings, standings, tallies, shops, accounts, sweeps, instance";
pub(super) const ADVANCE_INBOX: &str = "SELECT setval('inbox_id_seq', \
    greatest(coalesce(max(id), 1), 1), max(id) IS NOT NULL) FROM inbox";
pub(super) const ADVANCE_QUARANTINE: &str = "SELECT setval('quarantine_id_seq', \
    greatest(coalesce(max(id), 1), 1), max(id) IS NOT NULL) FROM quarantine";

const DELIVERIES: &str = "SELECT i.id, i.sender, i.delivery_id, i.key, i.received_at, \
    i.is_signed::bigint, i.state, i.why, k.body_hash, b.body \
    FROM inbox i LEFT JOIN delivery_keys k ON k.key = i.key AND k.inbox = i.id \
    LEFT JOIN bodies b ON b.id = i.id ORDER BY i.id";
const QUARANTINE: &str = "SELECT id, size, sender, received_at, diagnosis, envelope, body \
    FROM quarantine ORDER BY id";
const CHECKOUTS: &str = "SELECT id, shop, reference, verdict, reason, since, created_at, \
    changed_at, suspense_minor, suspense_currency, wake_at, version, head, document \
    FROM checkouts ORDER BY id";
const PAYMENTS: &str =
    "SELECT account, payment, shop, checkout FROM payments ORDER BY account, payment";
const JOURNAL: &str = "SELECT checkout, seq, shop, at, facts, decision, previous, hash \
    FROM journal ORDER BY checkout, seq";
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

const INTO_DELIVERIES: &str = "WITH r AS MATERIALIZED ( \
      SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[], \
        $6::bigint[], $7::text[], $8::bytea[], $9::bytea[], $10::bytea[]) \
        AS u (id, sender, delivery_id, key, received_at, is_signed, state, why, body_hash, body)), \
    k AS ( \
      INSERT INTO delivery_keys (key, sender, body_hash, inbox) \
      SELECT key, sender, body_hash, id FROM r WHERE body_hash IS NOT NULL), \
    b AS ( \
      INSERT INTO bodies (id, sender, received_at, body) \
      SELECT id, sender, received_at, body FROM r WHERE body IS NOT NULL) \
    INSERT INTO inbox (id, sender, delivery_id, key, received_at, is_signed, state, why) \
    SELECT id, sender, delivery_id, key, received_at, is_signed, state, why FROM r";
const INTO_QUARANTINE: &str = "INSERT INTO quarantine (id, size, sender, received_at, diagnosis, \
    envelope, body) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], \
    $5::bytea[], $6::bytea[], $7::bytea[])";
const INTO_CHECKOUTS: &str = "INSERT INTO checkouts (id, shop, reference, verdict, reason, since, \
    created_at, changed_at, suspense_minor, suspense_currency, wake_at, version, head, document) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], \
    $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], \
    $12::bigint[], $13::text[], $14::bytea[])";
const INTO_PAYMENTS: &str = "INSERT INTO payments (account, payment, shop, checkout) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])";
const INTO_JOURNAL: &str = "INSERT INTO journal (checkout, seq, shop, at, facts, decision, \
    previous, hash) SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], \
    $5::bytea[], $6::bytea[], $7::text[], $8::text[])";
const INTO_ACTIONS: &str = "INSERT INTO actions (checkout, key, version, shop, kind, destination, \
    lane, due, planned, attempts, last_sent_at, sent_before, lease, token, until) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], \
    $6::text[], $7::text[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[], \
    $12::bigint[], $13::text[], $14::text[], $15::bigint[])";
const INTO_SIGHTINGS: &str = "INSERT INTO sightings (checkout, shop, mark, currency, minor, \
    paid_at, twin) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], \
    $5::bigint[], $6::bigint[], $7::text[])";
const INTO_STANDINGS: &str = "INSERT INTO standings (shop, verdict, currency, count, high, low) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], \
    $6::bigint[])";
const INTO_TALLIES: &str = "INSERT INTO tallies (shop, minute, kind, currency, count, high, low) \
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], \
    $6::bigint[], $7::bigint[])";
const INTO_SHOPS: &str = "INSERT INTO shops (shop, epoch, brake_cause, brake_at) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])";
const INTO_ACCOUNTS: &str = "INSERT INTO accounts (account, first_started_at) \
    SELECT * FROM unnest($1::text[], $2::bigint[])";
const INTO_SWEEPS: &str = "INSERT INTO sweeps (account, listing, mark, swept_at, last_error) \
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])";
const INTO_INSTANCE: &str = "INSERT INTO instance (nr, home, generation, started_at) \
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[])";

/// The statement that reads a whole table, and the one that writes rows of it.
pub(super) fn of(table: Table) -> (&'static str, &'static str) {
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
