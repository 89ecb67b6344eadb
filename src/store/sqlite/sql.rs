//! Every statement that the SQLite store runs, each with a name.
//!
//! Many rows go through one statement: `$1` is a JSON array with one array per row (`value ->> n`
//! is its column n), and long or foreign values lie end to end in one blob `$2`, from which a row
//! takes its part by position and length (`[position, length]` in the row). What is read in bulk comes
//! back alike, as one row (`packed`): the driver wakes its reader for each row and copies value by value.
//! Where a join must begin at the given rows it says `CROSS JOIN`, which SQLite does not reorder.

#[macro_use]
#[path = "sql/columns.rs"]
mod columns;

macro_rules! statements {
    ($( $(#[$doc:meta])* $name:ident = $sql:expr; )+) => {
        $( $(#[$doc])* pub(super) const $name: &str = $sql; )+

        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[ $( (stringify!($name), $name), )+ ];
    };
}

/// Who has a delivery waiting: from one to the next through the index, however many wait of each.
macro_rules! senders {
    () => {
        "s (sender) AS ( \
           SELECT * FROM (SELECT sender FROM inbox WHERE state = 'pending' ORDER BY sender LIMIT 1) \
           UNION ALL SELECT (SELECT i.sender FROM inbox i WHERE i.state = 'pending' \
             AND i.sender > s.sender ORDER BY i.sender LIMIT 1) FROM s WHERE s.sender IS NOT NULL)"
    };
}

/// Which shops have a checkout that is to be woken.
macro_rules! shops {
    () => {
        "s (shop) AS ( \
           SELECT * FROM (SELECT shop FROM checkouts WHERE wake_at IS NOT NULL ORDER BY shop LIMIT 1) \
           UNION ALL SELECT (SELECT c.shop FROM checkouts c WHERE c.wake_at IS NOT NULL \
             AND c.shop > s.shop ORDER BY c.shop LIMIT 1) FROM s WHERE s.shop IS NOT NULL)"
    };
}

/// Rows: id, sender, signed, received at, where its bytes begin in `$2`, bytes of the delivery id,
/// bytes of the body. A delivery's bytes are its key, its body's hash, its id and its body.
macro_rules! unknown_keys {
    () => {
        "INSERT INTO delivery_keys (key, body_hash, inbox) \
         SELECT substr($2, value ->> 4, 16), substr($2, (value ->> 4) + 16, 16), value ->> 0 \
         FROM jsonb_each($1)"
    };
}

macro_rules! unknown_inbox {
    () => {
        "INSERT INTO inbox (id, sender, delivery_id, key, received_at, is_signed, state) \
         SELECT value ->> 0, value ->> 1, \
           CAST(substr($2, (value ->> 4) + 32, value ->> 5) AS TEXT), \
           substr($2, value ->> 4, 16), value ->> 3, value ->> 2, 'pending' \
         FROM jsonb_each($1)"
    };
}

macro_rules! unknown_bodies {
    () => {
        "INSERT INTO bodies (id, body) \
         SELECT value ->> 0, substr($2, (value ->> 4) + 32 + (value ->> 5), value ->> 6) \
         FROM jsonb_each($1)"
    };
}

statements! {
    /// The write lock is taken at once; a transaction that reads first could not get it later.
    BEGIN_WRITING = "BEGIN IMMEDIATE";
    COMMIT = "COMMIT";
    ROLLBACK = "ROLLBACK";
    /// Readers of several statements see one moment.
    BEGIN_READING = "BEGIN";
    CHECKPOINT_PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)";
    CHECKPOINT_RESTART = "PRAGMA wal_checkpoint(RESTART)";
    HAS_SCHEMA = "SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations'";
    /// What the store was brought to: versions and names, in order.
    APPLIED =
        "SELECT version, description FROM _sqlx_migrations WHERE success ORDER BY version";
    SCHEMA_VERSION = "SELECT max(version) FROM _sqlx_migrations WHERE success";

    LAST_INBOX_ID = "SELECT max(id) FROM inbox";
    /// A whole transaction in one go, for deliveries that are likely new; a known key fails it.
    APPEND_UNKNOWN = concat!(
        "BEGIN IMMEDIATE; ", unknown_keys!(), "; ", unknown_inbox!(), "; ", unknown_bodies!(),
        "; COMMIT");
    /// Rows: key, body hash, inbox id. Known keys stay as they are.
    INSERT_DELIVERY_KEYS =
        "INSERT INTO delivery_keys (key, body_hash, inbox) \
         SELECT substr($2, value ->> '$[0][0]', value ->> '$[0][1]'), \
           substr($2, value ->> '$[1][0]', value ->> '$[1][1]'), value ->> 2 \
         FROM jsonb_each($1) WHERE true ON CONFLICT (key) DO NOTHING";
    SELECT_DELIVERY_KEYS =
        "SELECT k.key, k.body_hash, k.inbox FROM jsonb_each($1) \
         CROSS JOIN delivery_keys k \
         ON k.key = substr($2, value ->> '$[0][0]', value ->> '$[0][1]')";
    /// Rows: id, sender, delivery id, key, received at, signed, state, why.
    INSERT_INBOX =
        "INSERT INTO inbox (id, sender, delivery_id, key, received_at, is_signed, state, why) \
         SELECT value ->> 0, value ->> 1, \
           CAST(substr($2, value ->> '$[2][0]', value ->> '$[2][1]') AS TEXT), \
           substr($2, value ->> '$[3][0]', value ->> '$[3][1]'), \
           value ->> 4, value ->> 5, value ->> 6, value ->> 7 \
         FROM jsonb_each($1)";
    /// Rows: id, body.
    INSERT_BODIES =
        "INSERT INTO bodies (id, body) \
         SELECT value ->> 0, substr($2, value ->> '$[1][0]', value ->> '$[1][1]') \
         FROM jsonb_each($1)";
    /// Senders take turns. `$2` bounds the entries that are read of all together. A body of more than `$3`
    /// bytes stays behind; the first of a row's short columns is how long it is.
    SELECT_PENDING = concat!(
        "WITH RECURSIVE ", senders!(), ", \
         q (depth) AS (SELECT max(1, min($1, $2 / max(1, count(sender)))) FROM s), \
         w AS (SELECT i.id, row_number() OVER (PARTITION BY i.sender ORDER BY i.id) AS turn \
           FROM s CROSS JOIN inbox i ON i.state = 'pending' AND i.sender = s.sender \
           AND i.id <= coalesce((SELECT x.id FROM inbox x WHERE x.state = 'pending' \
             AND x.sender = s.sender ORDER BY x.id LIMIT 1 OFFSET (SELECT depth - 1 FROM q)), \
             9223372036854775807)), \
         r AS (SELECT id FROM w ORDER BY turn, id LIMIT $1) \
         SELECT ", with_long!("body", "octet_length(whole), json_array(", delivery_columns!(), ")"), " FROM ( \
           SELECT i.*, b.body AS whole, \
             CASE WHEN octet_length(b.body) <= $3 THEN b.body ELSE x'' END AS body \
           FROM r CROSS JOIN inbox i ON i.id = r.id CROSS JOIN bodies b ON b.id = i.id \
           ORDER BY i.id LIMIT -1)");
    SELECT_BODIES =
        "SELECT b.id, b.body FROM jsonb_each($1) r CROSS JOIN bodies b ON b.id = r.value";
    SELECT_PARKED =
        "SELECT id, sender, delivery_id, received_at, coalesce(why, '') AS why FROM inbox \
         WHERE state = 'parked' ORDER BY id DESC LIMIT $1";
    SELECT_STILL_PENDING =
        "SELECT json_group_array(i.id) FROM jsonb_each($1) r CROSS JOIN inbox i \
         ON i.id = r.value WHERE i.state = 'pending'";
    /// Rows: id, state, why (empty for none).
    UPDATE_INBOX =
        "UPDATE inbox SET state = r.state, why = r.why FROM ( \
           SELECT value ->> 0 AS id, value ->> 1 AS state, \
             nullif(CAST(substr($2, value ->> '$[2][0]', value ->> '$[2][1]') AS TEXT), '') \
               AS why \
           FROM jsonb_each($1)) r \
         WHERE inbox.id = r.id";

    INSERT_QUARANTINE =
        "INSERT INTO quarantine (size, sender, received_at, diagnosis, envelope, body) \
         VALUES ($1, $2, $3, $4, $5, $6)";
    /// The oldest give way until both bounds hold.
    BOUND_QUARANTINE =
        "DELETE FROM quarantine WHERE id IN (SELECT id FROM ( \
           SELECT id, row_number() OVER latest AS entries, sum(size) OVER latest AS bytes \
           FROM quarantine WINDOW latest AS (ORDER BY id DESC)) \
         WHERE entries > $1 OR bytes > $2)";
    SELECT_QUARANTINE =
        "SELECT id, sender, received_at, diagnosis, envelope, body FROM quarantine \
         ORDER BY id DESC LIMIT $1";
    SELECT_QUARANTINE_ONE =
        "SELECT id, sender, received_at, diagnosis, envelope, body FROM quarantine WHERE id = $1";
    DELETE_QUARANTINE = "DELETE FROM quarantine WHERE id = $1";

    /// Rows: shop, reference.
    SELECT_ORDER_HOMES =
        "SELECT json_group_array(json_array(c.shop, c.reference, c.id)) \
         FROM jsonb_each($1) r CROSS JOIN checkouts c \
         ON c.reference = r.value ->> 1 AND c.shop = r.value ->> 0";
    /// Rows: account, payment.
    SELECT_PAYMENT_HOMES =
        "SELECT json_group_array(json_array(p.account, p.payment, p.checkout)) \
         FROM jsonb_each($1) r CROSS JOIN payments p \
         ON p.account = r.value ->> 0 AND p.payment = r.value ->> 1";
    SELECT_CHECKOUTS = concat!(
        "SELECT ", with_long!("c.document", checkout_short_columns!()),
        " FROM jsonb_each($1) r CROSS JOIN checkouts c ON c.id = r.value");
    SELECT_ACTIONS = concat!(
        "SELECT ", with_long!("a.planned", action_short_columns!()),
        " FROM jsonb_each($1) r CROSS JOIN actions a ON a.checkout = r.value");
    /// The second part of each: the keys of the leased actions with weight.
    SELECT_STANDINGS =
        "SELECT json_group_array(json_array(json_array(c.id, c.version, c.head, c.shop, \
             c.verdict, c.suspense_minor, c.suspense_currency), \
           json((SELECT json_group_array(a.key) FROM actions a \
             WHERE a.checkout = c.id AND a.token IS NOT NULL \
               AND a.kind IN ('confirm', 'release', 'refund', 'void', 'cancel_refund'))))) \
         FROM jsonb_each($1) r CROSS JOIN checkouts c ON c.id = r.value";

    /// Rows: id, shop, reference, verdict, reason, [since, created at, changed at], [suspense,
    /// currency] or null, wake at, version, head, document. What never changes is not written anew, since
    /// an index is written wherever one of its columns is named.
    UPSERT_CHECKOUTS =
        "INSERT INTO checkouts (id, shop, reference, verdict, reason, since, created_at, \
           changed_at, suspense_minor, suspense_currency, wake_at, version, head, document) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, \
           value ->> '$[5][0]', value ->> '$[5][1]', value ->> '$[5][2]', value ->> '$[6][0]', \
           value ->> '$[6][1]', value ->> 7, value ->> 8, value ->> 9, \
           CAST(substr($2, value ->> '$[10][0]', value ->> '$[10][1]') AS TEXT) \
         FROM jsonb_each($1) WHERE true \
         ON CONFLICT (id) DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason, \
           since = excluded.since, changed_at = excluded.changed_at, \
           suspense_minor = excluded.suspense_minor, \
           suspense_currency = excluded.suspense_currency, wake_at = excluded.wake_at, \
           version = excluded.version, head = excluded.head, document = excluded.document";
    /// Rows: checkout, seq, at, facts, decision, previous, hash.
    INSERT_JOURNAL =
        "INSERT INTO journal (checkout, seq, at, facts, decision, previous, hash) \
         SELECT value ->> 0, value ->> 1, value ->> 2, \
           CAST(substr($2, value ->> '$[3][0]', value ->> '$[3][1]') AS TEXT), \
           CAST(substr($2, value ->> '$[4][0]', value ->> '$[4][1]') AS TEXT), \
           value ->> 5, value ->> 6 \
         FROM jsonb_each($1)";
    /// Rows: account, payment, checkout.
    UPSERT_PAYMENTS =
        "INSERT INTO payments (account, payment, checkout) \
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each($1) WHERE true \
         ON CONFLICT (account, payment) DO UPDATE SET checkout = excluded.checkout";
    /// Rows: checkout, key, token. Another token's lease stays.
    RELEASE_ACTIONS =
        "UPDATE actions SET token = NULL, until = NULL, lease = NULL WHERE nr IN ( \
           SELECT a.nr FROM jsonb_each($1) r CROSS JOIN actions a \
           ON a.checkout = r.value ->> 0 AND a.key = r.value ->> 1 \
           WHERE a.token = r.value ->> 2)";
    /// The same rows. What ends and is not wanted anew goes at once.
    DELETE_ENDED_ACTIONS =
        "DELETE FROM actions WHERE nr IN ( \
           SELECT a.nr FROM jsonb_each($1) r CROSS JOIN actions a \
           ON a.checkout = r.value ->> 0 AND a.key = r.value ->> 1 \
           WHERE a.token = r.value ->> 2)";
    /// Rows: checkout, key, version, shop, kind, destination, lane, due, planned,
    /// attempts. A leased action stays as it is.
    UPSERT_ACTIONS =
        "INSERT INTO actions (checkout, key, version, shop, kind, destination, lane, due, \
           planned, attempts) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
           value ->> 6, value ->> 7, \
           CAST(substr($2, value ->> '$[8][0]', value ->> '$[8][1]') AS TEXT), value ->> 9 \
         FROM jsonb_each($1) WHERE true \
         ON CONFLICT (checkout, key) DO UPDATE SET version = excluded.version, \
           shop = excluded.shop, kind = excluded.kind, destination = excluded.destination, \
           lane = excluded.lane, due = excluded.due, planned = excluded.planned, \
           attempts = max(attempts, excluded.attempts) \
         WHERE token IS NULL";
    /// Rows: checkout, version. What this version did not want anew goes, unless leased.
    DELETE_UNWANTED_ACTIONS =
        "DELETE FROM actions WHERE nr IN ( \
           SELECT a.nr FROM jsonb_each($1) r CROSS JOIN actions a ON a.checkout = r.value ->> 0 \
           WHERE a.token IS NULL AND a.version < r.value ->> 1)";
    /// Rows: shop, verdict, currency, count, high, low; all may be negative.
    ADD_STANDINGS =
        "INSERT INTO standings (shop, verdict, currency, count, high, low) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
         FROM jsonb_each($1) WHERE true \
         ON CONFLICT (shop, verdict, currency) DO UPDATE SET count = count + excluded.count, \
           high = high + excluded.high, low = low + excluded.low";
    /// Rows: shop, minute, kind, currency, count, high, low.
    ADD_TALLIES =
        "INSERT INTO tallies (shop, minute, kind, currency, count, high, low) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
           value ->> 6 \
         FROM jsonb_each($1) WHERE true \
         ON CONFLICT (shop, minute, kind, currency) DO UPDATE SET \
           count = count + excluded.count, high = high + excluded.high, low = low + excluded.low";
    DELETE_SIGHTINGS =
        "DELETE FROM sightings WHERE checkout IN (SELECT value FROM jsonb_each($1))";
    FORGET_TWINS =
        "UPDATE sightings SET twin = NULL WHERE twin IN (SELECT value FROM jsonb_each($1)) \
         RETURNING checkout";
    /// Rows: checkout, shop, mark, currency, minor, paid at.
    INSERT_SIGHTINGS =
        "INSERT INTO sightings (checkout, shop, mark, currency, minor, paid_at) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
         FROM jsonb_each($1)";
    /// Those of `$1`, and the lone ones that are like them, point to the latest other one that was
    /// paid within `$2`.
    PAIR_SIGHTINGS =
        "UPDATE sightings AS l SET twin = ( \
           SELECT o.checkout FROM sightings o WHERE o.shop = l.shop AND o.mark = l.mark \
           AND o.currency = l.currency AND o.minor = l.minor \
           AND o.paid_at BETWEEN l.paid_at - $2 AND l.paid_at + $2 AND o.checkout <> l.checkout \
           ORDER BY o.paid_at DESC, o.checkout LIMIT 1) \
         WHERE l.checkout IN ( \
           SELECT o.checkout FROM jsonb_each($1) r CROSS JOIN sightings n ON n.checkout = r.value \
           CROSS JOIN sightings o ON o.shop = n.shop AND o.mark = n.mark \
           AND o.currency = n.currency AND o.minor = n.minor \
           AND o.paid_at BETWEEN n.paid_at - $2 AND n.paid_at + $2 WHERE o.twin IS NULL)";
    SELECT_LOOKALIKES =
        "SELECT l.checkout, l.shop, c.reference, l.twin, l.currency, l.minor, l.paid_at \
         FROM sightings l CROSS JOIN checkouts c ON c.id = l.checkout \
         WHERE l.twin IS NOT NULL AND l.paid_at >= $1 ORDER BY l.paid_at DESC, l.checkout LIMIT $2";
    SELECT_TWINS =
        "SELECT checkout, twin FROM sightings \
         WHERE twin IS NOT NULL AND checkout IN (SELECT value FROM jsonb_each($1))";
    /// Rows: shop, epoch. The greatest stays.
    RAISE_EPOCHS =
        "INSERT INTO shops (shop, epoch) SELECT value ->> 0, value ->> 1 \
         FROM jsonb_each($1) WHERE true \
         ON CONFLICT (shop) DO UPDATE SET epoch = max(coalesce(epoch, ''), excluded.epoch)";

    /// Shops take turns. `$3` bounds the entries that are read of all together.
    SELECT_DUE_CHECKOUTS = concat!(
        "WITH RECURSIVE ", shops!(), ", \
         q (depth) AS (SELECT max(1, min($2, $3 / max(1, count(shop)))) FROM s), \
         w AS (SELECT c.shop, c.id, c.wake_at, \
             row_number() OVER (PARTITION BY c.shop ORDER BY c.wake_at, c.id) AS turn \
           FROM s CROSS JOIN checkouts c ON c.shop = s.shop AND c.wake_at <= $1 \
           AND c.wake_at <= coalesce((SELECT x.wake_at FROM checkouts x \
             WHERE x.shop = s.shop AND x.wake_at <= $1 ORDER BY x.wake_at, x.id \
             LIMIT 1 OFFSET (SELECT depth - 1 FROM q)), $1)), \
         r AS (SELECT shop, id, wake_at FROM w ORDER BY turn, wake_at, id LIMIT $2) \
         SELECT shop, id FROM r ORDER BY wake_at, id");
    SELECT_NEXT_DUE = concat!(
        "WITH RECURSIVE ", shops!(), " \
         SELECT min(at) FROM ( \
           SELECT min((SELECT min(c.wake_at) FROM checkouts c \
             WHERE c.shop = s.shop AND c.wake_at IS NOT NULL)) AS at FROM s \
           UNION ALL SELECT min(due) FROM actions WHERE token IS NULL \
           UNION ALL SELECT min(until) FROM actions WHERE token IS NOT NULL)");
    SELECT_LOST =
        "SELECT nr FROM actions WHERE token IS NOT NULL AND until <= $1 ORDER BY until, nr \
         LIMIT $2";
    /// Rows: destination, lane. Those that have something due.
    SELECT_DUE_LANES =
        "SELECT value ->> 0, value ->> 1 FROM jsonb_each($1) WHERE EXISTS ( \
           SELECT 1 FROM actions a WHERE a.destination = value ->> 0 AND a.lane = value ->> 1 \
           AND a.token IS NULL AND a.due <= $2)";
    SELECT_DUE_ACTIONS =
        "SELECT json_group_array(json_array(nr, due)) FROM (SELECT nr, due FROM actions \
         WHERE destination = $1 AND lane = $2 AND token IS NULL AND due <= $3 \
         ORDER BY due, nr LIMIT $4)";
    LEASE_ACTIONS =
        "UPDATE actions SET lease = 'attempt', token = $2 || '.' || lower(hex(randomblob(12))), \
           until = $3, attempts = attempts + 1, last_sent_at = $4 \
         WHERE nr IN (SELECT value FROM jsonb_each($1)) AND token IS NULL";
    LEASE_LOST =
        "UPDATE actions SET lease = 'lost', token = $2 || '.' || lower(hex(randomblob(12))), \
           until = $3 WHERE nr IN (SELECT value FROM jsonb_each($1))";
    /// Of these the ones that `$2` has leased.
    SELECT_LEASED = concat!(
        "SELECT ", with_long!("a.planned", action_short_columns!()),
        " FROM jsonb_each($1) r CROSS JOIN actions a ON a.nr = r.value \
          WHERE substr(a.token, 1, length($2) + 1) = $2 || '.'");
    END_LEASES = "UPDATE actions SET until = min(until, $1) WHERE token IS NOT NULL";

    SELECT_SHOP = "SELECT epoch, brake_cause, brake_at FROM shops WHERE shop = $1";
    SET_BRAKE =
        "INSERT INTO shops (shop, brake_cause, brake_at) VALUES ($1, $2, $3) \
         ON CONFLICT (shop) DO UPDATE SET brake_cause = excluded.brake_cause, \
           brake_at = excluded.brake_at";
    FORGET_TALLIES = "DELETE FROM tallies WHERE shop = $1 AND kind <> 'unclaimed'";
    SELECT_TALLIES =
        "SELECT kind, currency, sum(count) AS count, sum(high) AS high, sum(low) AS low \
         FROM tallies WHERE shop = $1 AND minute >= $2 GROUP BY kind, currency";
    INSERT_FIRST_START =
        "INSERT INTO accounts (account, first_started_at) VALUES ($1, $2) \
         ON CONFLICT (account) DO NOTHING";
    SELECT_FIRST_START = "SELECT first_started_at FROM accounts WHERE account = $1";
    SELECT_HOME = "SELECT home FROM instance WHERE nr = 1";
    STAMP_INSTANCE =
        "INSERT INTO instance (nr, home, generation, started_at) VALUES (1, $1, 1, $2) \
         ON CONFLICT (nr) DO UPDATE SET home = excluded.home, generation = generation + 1, \
           started_at = excluded.started_at \
         RETURNING generation";
    SELECT_SWEEPS =
        "SELECT account, listing, mark, swept_at, last_error FROM sweeps \
         ORDER BY account, listing";
    SET_SWEEP =
        "INSERT INTO sweeps (account, listing, mark, swept_at, last_error) \
         VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (account, listing) DO UPDATE SET mark = max(mark, excluded.mark), \
           swept_at = coalesce(excluded.swept_at, swept_at), last_error = excluded.last_error";

    /// All pairs that hold a checkout; there are at most ten per shop.
    SELECT_LANES =
        "SELECT shop, verdict FROM standings GROUP BY shop, verdict HAVING sum(count) > 0";
    SELECT_LANE =
        "SELECT since, id FROM checkouts WHERE shop = $1 AND verdict = $2 \
         AND (since, id) > ($3, $4) AND since < $5 ORDER BY since, id LIMIT $6";
    SELECT_NEWEST_ORDER =
        "SELECT since, reference FROM checkouts WHERE shop = $1 AND verdict = $2 \
         AND reason = $3 AND since <= $4 AND reference IS NOT NULL \
         ORDER BY since DESC, id DESC LIMIT 1";
    SELECT_BY_REFERENCE = concat!(
        "SELECT ", checkout_columns!(), " FROM checkouts c WHERE c.reference = $1");
    SELECT_JOURNAL = concat!(
        "SELECT ", entry_columns!(), " FROM journal j WHERE j.checkout = $1 AND j.seq > $2 \
         ORDER BY j.seq LIMIT $3");
    SELECT_AUDIT_PAGE = books!("FROM checkouts c WHERE c.id > $1 ORDER BY c.id LIMIT $2");
    SELECT_AUDIT_MARK =
        "SELECT max(id) FROM (SELECT c.id FROM checkouts c WHERE c.id > $1 ORDER BY c.id LIMIT $2)";
    /// Without a limit the inner statement would be made part of the outer one, and each journal be read
    /// more than once.
    SELECT_BOOKS = books!(
        "FROM jsonb_each($1) r CROSS JOIN checkouts c ON c.id = r.value \
         ORDER BY c.id LIMIT -1");
    /// Of those made up to `$4`: what rests and changed since; what rests and is still looked at; what
    /// does not rest, without the open ones. Each part has its index; $2 is the least moment there is.
    SELECT_MOVED =
        "SELECT id FROM (SELECT id FROM checkouts WHERE wake_at IS NULL \
           AND verdict IN ('settled', 'returned', 'closed', 'foreign') AND changed_at >= $1 \
         UNION ALL SELECT id FROM checkouts WHERE wake_at > $2 AND verdict <> 'open' \
         UNION ALL SELECT c.id FROM (SELECT DISTINCT shop FROM standings) s \
           CROSS JOIN json_each( \
             '[\"matching\",\"confirming\",\"releasing\",\"refunding\",\"held\"]') v \
           CROSS JOIN checkouts c ON c.shop = s.shop AND c.verdict = v.value) \
         WHERE +id > $3 AND +id <= $4 ORDER BY +id LIMIT $5";
    /// The same of those made after `$2`, one after the other.
    SELECT_MOVED_LATELY =
        "SELECT id FROM checkouts WHERE id > $2 AND verdict <> 'open' AND (changed_at >= $1 \
           OR wake_at IS NOT NULL OR verdict NOT IN ('settled', 'returned', 'closed', 'foreign')) \
         ORDER BY id LIMIT $3";
    SELECT_OVERVIEW =
        "SELECT s.shop, s.verdict, s.currency, s.count, s.high, s.low, \
           (SELECT min(c.since) FROM checkouts c WHERE c.shop = s.shop \
              AND c.verdict = s.verdict) AS oldest \
         FROM standings s ORDER BY s.shop, s.verdict, s.currency";
    SELECT_BACKLOG = concat!(
        "WITH RECURSIVE ", senders!(), " \
         SELECT (SELECT count(*) FROM inbox WHERE state = 'pending') AS pending, \
           (SELECT received_at FROM inbox WHERE id = (SELECT min((SELECT min(i.id) FROM inbox i \
             WHERE i.state = 'pending' AND i.sender = s.sender)) FROM s)) AS oldest_delivery, \
           (SELECT count(*) FROM inbox WHERE state = 'parked') AS parked, \
           (SELECT count(*) FROM quarantine) AS quarantined, \
           (SELECT min(due) FROM actions WHERE token IS NULL) AS oldest_due");
    COUNT_ACTIONS =
        "SELECT kind, sum(n) FROM ( \
           SELECT kind, count(*) AS n FROM actions WHERE token IS NULL GROUP BY kind \
           UNION ALL SELECT kind, count(*) FROM actions WHERE token IS NOT NULL GROUP BY kind) \
         GROUP BY kind";

    PRUNE_BODIES =
        "DELETE FROM bodies WHERE id IN (SELECT b.id FROM bodies b \
           CROSS JOIN inbox i ON i.id = b.id \
           WHERE b.id < $1 AND i.state IN ('taken', 'ignored') ORDER BY b.id LIMIT $2)";
    SELECT_OLD_DELIVERIES =
        "SELECT id FROM inbox WHERE id < $1 AND state <> 'pending' ORDER BY id LIMIT $2";
    DELETE_DELIVERY_KEYS =
        "DELETE FROM delivery_keys WHERE key IN ( \
           SELECT k.key FROM jsonb_each($1) r CROSS JOIN inbox i ON i.id = r.value \
           CROSS JOIN delivery_keys k ON k.key = i.key)";
    DELETE_BODIES = "DELETE FROM bodies WHERE id IN (SELECT value FROM jsonb_each($1))";
    DELETE_INBOX = "DELETE FROM inbox WHERE id IN (SELECT value FROM jsonb_each($1))";
    SELECT_OLD_CHECKOUTS =
        "SELECT id, version, head, shop, verdict, suspense_minor, suspense_currency \
         FROM checkouts c WHERE wake_at IS NULL \
         AND verdict IN ('settled', 'returned', 'closed', 'foreign') AND changed_at < $1 \
         AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.checkout = c.id AND a.token IS NOT NULL) \
         ORDER BY changed_at LIMIT $2";
    DELETE_JOURNALS =
        "DELETE FROM journal WHERE checkout IN (SELECT value FROM jsonb_each($1))";
    DELETE_PAYMENTS =
        "DELETE FROM payments WHERE checkout IN (SELECT value FROM jsonb_each($1))";
    DELETE_ACTIONS =
        "DELETE FROM actions WHERE checkout IN (SELECT value FROM jsonb_each($1))";
    DELETE_CHECKOUTS = "DELETE FROM checkouts WHERE id IN (SELECT value FROM jsonb_each($1))";
    PRUNE_TALLIES =
        "DELETE FROM tallies WHERE (shop, minute, kind, currency) IN ( \
           SELECT shop, minute, kind, currency FROM tallies WHERE minute < $1 LIMIT $2)";

    /// As large as a large delivery (64 KiB), so that a disk on which deliveries find no room is
    /// found full here too.
    PROBE =
        "INSERT INTO probe (id, at, ballast) VALUES (1, $1, randomblob(65536)) \
         ON CONFLICT (id) DO UPDATE SET at = excluded.at, ballast = excluded.ballast \
         RETURNING at";
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the text built here is a constant of ours behind EXPLAIN QUERY PLAN"
)]
mod tests {
    use super::*;
    use crate::core::plan::ActionKind;
    use crate::store::sqlite::SqliteStore;
    use sqlx::{AssertSqlSafe, Executor, Row, SqlSafeStr};

    /// Tables that grow with history, and their aliases here.
    const GROWING: [&str; 18] = [
        "checkouts",
        "c",
        "journal",
        "j",
        "inbox",
        "i",
        "bodies",
        "b",
        "payments",
        "p",
        "delivery_keys",
        "k",
        "actions",
        "a",
        "sightings",
        "l",
        "n",
        "o",
    ];
    /// Indexes over what is pending, parked, due or leased: reading one of them whole is no more
    /// than the work there is.
    const OF_OPEN_WORK: [&str; 5] = [
        "inbox_turns",
        "inbox_parked",
        "checkouts_turns",
        "actions_due",
        "actions_leased",
    ];

    /// Every statement by itself, those of a whole transaction too.
    fn singles() -> impl Iterator<Item = (&'static str, &'static str)> {
        let each = ALL.iter();
        each.flat_map(|(name, text)| text.split("; ").map(move |single| (*name, single)))
    }

    async fn schema() -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("s.db"))
            .await
            .unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn every_statement_is_prepared_on_the_real_schema() {
        let (_folder, store) = schema().await;
        let mut slot = store.write().unwrap().writer.slot().await;
        let connection = slot.connection().await.unwrap();
        for (name, statement) in singles() {
            let prepared = connection.prepare(statement.into_sql_str()).await;
            assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
        }
        assert!(
            connection
                .prepare("SELECT nothing FROM inbox".into_sql_str())
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn no_statement_reads_a_growing_table_from_end_to_end() {
        let (_folder, store) = schema().await;
        let mut slot = store.write().unwrap().writer.slot().await;
        let connection = slot.connection().await.unwrap();
        for (name, statement) in singles() {
            let is_plain = ["BEGIN", "COMMIT", "PRAGMA"]
                .iter()
                .any(|word| statement.starts_with(word));
            if is_plain {
                continue;
            }
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan = sqlx::query(explain)
                .fetch_all(&mut *connection)
                .await
                .unwrap();
            for step in plan {
                let step: String = step.get("detail");
                println!("{name}: {step}");
                let scanned = step.strip_prefix("SCAN ").unwrap_or("");
                let table = scanned.split(' ').next().unwrap_or("");
                let is_open_work = OF_OPEN_WORK.iter().any(|index| step.ends_with(index));
                assert!(!GROWING.contains(&table) || is_open_work, "{name}: {step}");
            }
        }
    }

    #[test]
    fn what_a_commit_looks_out_for_is_what_has_weight() {
        for kind in ActionKind::ALL {
            let named = SELECT_STANDINGS.contains(&format!("'{}'", kind.code()));
            assert_eq!(named, kind.has_weight(), "{kind:?}");
        }
    }
}
