//! Every statement that the PostgreSQL store runs, each with a name.
//!
//! Many rows go through one statement: each parameter is one column of them, an array, and
//! `unnest` makes rows of the arrays. What is about a checkout names its shop, so that tables which
//! are partitioned or spread by the shop are asked in one place; no statement asks for a unique key
//! that such tables could not have.

#[macro_use]
#[path = "sql/columns.rs"]
mod columns;
#[macro_use]
#[path = "sql/turns.rs"]
mod turns;

macro_rules! statements {
    ($( $(#[$doc:meta])* $name:ident = $sql:expr; )+) => {
        $( $(#[$doc])* pub(super) const $name: &str = $sql; )+

        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[ $( (stringify!($name), $name), )+ ];
    };
}

statements! {
    /// Said in full, since the server's defaults may be others.
    BEGIN_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
    /// All statements see one moment.
    BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    COMMIT = "COMMIT";
    ROLLBACK = "ROLLBACK";
    /// `$1` is a limit in milliseconds; with `$2` it holds for the transaction only. A server that
    /// would acknowledge what it has not synced is told to sync for us. Nothing is asked that takes
    /// longer than to compile it. `$3` is `off` where rows are found one by one through indexes: a
    /// plan that was made while a table was small, to read it whole, would stay as the table grows; and
    /// one plan then does for all values.
    SETTINGS =
        "SELECT set_config('statement_timeout', $1, $2), \
           set_config('idle_in_transaction_session_timeout', $1, $2), \
           set_config('jit', 'off', $2), set_config('synchronous_commit', CASE \
             WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on' \
             ELSE current_setting('synchronous_commit') END, $2), \
           set_config('enable_seqscan', $3, $2), set_config('enable_hashjoin', $3, $2), \
           set_config('enable_mergejoin', $3, $2), set_config('enable_bitmapscan', $3, $2), \
           set_config('enable_material', $3, $2), set_config('plan_cache_mode', \
             CASE $3 WHEN 'off' THEN 'force_generic_plan' ELSE 'auto' END, $2)";
    ENCODING = "SELECT current_setting('server_encoding')";
    IS_STANDBY = "SELECT pg_is_in_recovery()";
    HAS_SCHEMA = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    /// What the store was brought to: versions and names, in order.
    APPLIED =
        "SELECT version, description FROM _sqlx_migrations WHERE success ORDER BY version";
    SCHEMA_VERSION = "SELECT max(version) FROM _sqlx_migrations WHERE success";
    /// Held until the transaction ends, so that a pooler cannot lose it.
    LOCK_SCHEMA = "SELECT pg_advisory_xact_lock(7308895137226483045)";
    FORGET_STATEMENTS = "DEALLOCATE ALL";

    /// Columns: key, sender, body hash, delivery id, received at, signed, body; then the state and
    /// why of all. The first of each key that is unknown goes in; the answer tells which, counted
    /// from 1. Keys are taken in their order, so that two who append the same never wait for each
    /// other in a circle. `IS TRUE` makes the server look each row up in a hash of the keys taken,
    /// where it would join them otherwise, each with each.
    APPEND =
        "WITH r AS MATERIALIZED ( \
           SELECT nextval('inbox_id_seq') AS id, u.* FROM unnest($1::bytea[], $2::text[], \
             $3::bytea[], $4::bytea[], $5::bigint[], $6::smallint[], $7::bytea[]) \
             WITH ORDINALITY AS u (key, sender, body_hash, delivery_id, received_at, is_signed, \
               body, nr)), \
         k AS ( \
           INSERT INTO delivery_keys (key, sender, body_hash, inbox) \
           SELECT key, sender, body_hash, id FROM r ORDER BY key, nr \
           ON CONFLICT (key) DO NOTHING RETURNING inbox), \
         i AS ( \
           INSERT INTO inbox (id, sender, delivery_id, key, received_at, is_signed, state, why) \
           SELECT id, sender, delivery_id, key, received_at, is_signed, $8::text, $9::bytea \
           FROM r WHERE (id IN (SELECT inbox FROM k)) IS TRUE), \
         b AS ( \
           INSERT INTO bodies (id, sender, received_at, body) \
           SELECT id, sender, received_at, body FROM r WHERE (id IN (SELECT inbox FROM k)) IS TRUE) \
         SELECT nr FROM r WHERE (id IN (SELECT inbox FROM k)) IS TRUE";
    SELECT_DELIVERY_KEYS =
        "SELECT key, body_hash FROM delivery_keys WHERE key = ANY($1)";
    /// Senders take turns. `$2` bounds the entries that are read of all together.
    SELECT_PENDING = concat!(
        "WITH RECURSIVE ", senders!("true"), ", ", waiting!("$1", "$2", "true"), " \
         SELECT ", delivery_columns!(), " FROM r ", deliveries!(), " ORDER BY i.id");
    /// `$1` chooses at `$2` for the time until `$3`, `$4` deliveries and `$5` checkouts at most, of
    /// those that nobody else has claimed. `LOCK_CLAIMS` comes first, in a statement of its own: one
    /// that begins before another daemon's choice is committed does not see it.
    CLAIM = concat!(
        "WITH RECURSIVE o AS MATERIALIZED (SELECT \
           ARRAY(SELECT unnest(deliveries) FROM claims WHERE holder <> $1 AND until > $2) \
             AS deliveries, \
           ARRAY(SELECT unnest(checkouts) FROM claims WHERE holder <> $1 AND until > $2) \
             AS checkouts), ",
        senders!("true"), ", ",
        waiting!("$4", "$6", "i.id <> ALL ((SELECT deliveries FROM o)::bigint[])"), ", ",
        shops!("true"), ", ",
        due!("$2", "$5", "$6", "c.id <> ALL ((SELECT checkouts FROM o)::text[])"), ", \
         g AS (DELETE FROM claims WHERE holder <> $1 AND until <= $2), \
         k AS (INSERT INTO claims (holder, until, deliveries, checkouts) \
           SELECT $1, $3, ARRAY(SELECT id FROM r), ARRAY(SELECT id FROM e) \
           WHERE EXISTS (SELECT FROM r) OR EXISTS (SELECT FROM e) \
           ON CONFLICT (holder) DO UPDATE SET until = excluded.until, \
             deliveries = excluded.deliveries, checkouts = excluded.checkouts) \
         SELECT ARRAY(SELECT id FROM r), ARRAY(SELECT shop FROM e ORDER BY wake_at, id), \
           ARRAY(SELECT id FROM e ORDER BY wake_at, id)");
    /// Choosing takes milliseconds. Who waits longer than `lock_timeout` waits for a daemon that
    /// stands still or is cut off.
    LOCK_CLAIMS =
        "SELECT pg_advisory_xact_lock(7308896, 0) FROM set_config('lock_timeout', '500ms', true)";
    /// `IS TRUE` keeps the server from going through all that is pending instead.
    SELECT_CLAIMED = concat!(
        "SELECT ", delivery_columns!(), " FROM unnest($1::bigint[]) AS r (id) ", deliveries!(), " \
         ORDER BY i.id");
    SELECT_PARKED =
        "SELECT id, sender, delivery_id, received_at, coalesce(why, '') AS why FROM inbox \
         WHERE state = 'parked' ORDER BY id DESC LIMIT $1";
    LOCK_PENDING =
        "SELECT i.id FROM (SELECT id FROM unnest($1::bigint[]) AS u (id) ORDER BY id) AS r \
         CROSS JOIN LATERAL (SELECT i.id FROM inbox i WHERE i.id = r.id \
           AND (i.state = 'pending') IS TRUE FOR UPDATE) i";
    /// Columns: id, state, why.
    UPDATE_INBOX =
        "UPDATE inbox SET state = r.state, why = r.why \
         FROM unnest($1::bigint[], $2::text[], $3::bytea[]) AS r (id, state, why) \
         WHERE inbox.id = ANY (ARRAY[r.id])";

    INSERT_QUARANTINE =
        "INSERT INTO quarantine (size, sender, received_at, diagnosis, envelope, body) \
         VALUES ($1, $2, $3, $4, $5, $6)";
    /// The oldest give way until both bounds hold.
    BOUND_QUARANTINE =
        "DELETE FROM quarantine WHERE id IN (SELECT id FROM ( \
           SELECT id, row_number() OVER latest AS entries, sum(size) OVER latest AS bytes \
           FROM quarantine WINDOW latest AS (ORDER BY id DESC)) q \
         WHERE entries > $1 OR bytes > $2)";
    SELECT_QUARANTINE =
        "SELECT id, sender, received_at, diagnosis, envelope, body FROM quarantine \
         ORDER BY id DESC LIMIT $1";
    SELECT_QUARANTINE_ONE =
        "SELECT id, sender, received_at, diagnosis, envelope, body FROM quarantine WHERE id = $1";
    DELETE_QUARANTINE = "DELETE FROM quarantine WHERE id = $1";

    /// Columns: shop, reference.
    SELECT_ORDER_HOMES =
        "SELECT c.shop, c.reference, c.id FROM unnest($1::text[], $2::text[]) AS r (shop, reference) \
         CROSS JOIN LATERAL (SELECT * FROM checkouts c WHERE c.reference = r.reference \
           AND c.shop = r.shop OFFSET 0) c";
    /// Columns: account, payment.
    SELECT_PAYMENT_HOMES =
        "SELECT p.account, p.payment, p.shop, p.checkout \
         FROM unnest($1::text[], $2::text[]) AS r (account, payment) \
         CROSS JOIN LATERAL (SELECT * FROM payments p WHERE p.account = r.account \
           AND p.payment = r.payment OFFSET 0) p";
    /// Of checkouts whose shop is not known.
    SELECT_SHOPS_OF = "SELECT shop, id FROM checkouts WHERE id = ANY($1)";
    /// Columns: shop, id.
    SELECT_CHECKOUTS = concat!(
        "SELECT ", checkout_columns!(), " FROM ", of_named!("checkouts", "id", "", "OFFSET 0"), " c \
         ORDER BY c.id");
    /// Columns: shop, checkout.
    SELECT_ACTIONS = concat!(
        "SELECT ", action_columns!(), " FROM ", of_named!("actions", "checkout", "", "OFFSET 0"), " a \
         ORDER BY a.checkout, a.key");
    /// Columns: shop, id. Held until the transaction ends, and taken in one order by everybody.
    LOCK_CHECKOUTS = concat!(
        "SELECT c.id, c.version, c.head, c.shop, c.verdict, c.suspense_minor, \
           c.suspense_currency \
         FROM ", of_named!("checkouts", "id", "", "FOR UPDATE"), " c");

    /// Columns: shop, checkout. The actions with weight of these checkouts; true for those that are
    /// leased. They are held, so that none is leased before the commit's end.
    LOCK_WEIGHTY = concat!(
        "SELECT a.checkout, a.key, a.token IS NOT NULL FROM ", of_named!("actions", "checkout", " \
         AND t.kind IN ('confirm', 'release', 'refund', 'void', 'cancel_refund')",
         "ORDER BY t.key FOR UPDATE"), " a");

    /// Columns: id, shop, reference, verdict, reason, since, created at, changed at, suspense,
    /// currency, wake at, version, head, document. One that another transaction made meanwhile fails
    /// it.
    INSERT_CHECKOUTS = concat!(
        "INSERT INTO checkouts (id, shop, reference, verdict, reason, since, created_at, \
           changed_at, suspense_minor, suspense_currency, wake_at, version, head, document) \
         SELECT * FROM ", checkout_rows!());
    /// The same columns. One that is not at the version before stays, and is not counted.
    UPDATE_CHECKOUTS = concat!(
        "UPDATE checkouts c SET reference = r.reference, verdict = r.verdict, \
           reason = r.reason, since = r.since, created_at = r.created_at, \
           changed_at = r.changed_at, suspense_minor = r.suspense_minor, \
           suspense_currency = r.suspense_currency, wake_at = r.wake_at, version = r.version, \
           head = r.head, document = r.document \
         FROM ", checkout_rows!(), " AS r (id, shop, reference, verdict, reason, since, \
           created_at, changed_at, suspense_minor, suspense_currency, wake_at, version, head, \
           document) \
         WHERE ", is_named!("c", "id", "id"), " AND c.version = r.version - 1");
    /// Columns: checkout, seq, shop, at, facts, decision, previous, hash.
    INSERT_JOURNAL =
        "INSERT INTO journal (checkout, seq, shop, at, facts, decision, previous, hash) \
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bytea[], \
           $6::bytea[], $7::text[], $8::text[])";
    /// Columns: account, payment, shop, checkout. A payment that another transaction gave a home
    /// meanwhile fails it.
    INSERT_PAYMENTS =
        "INSERT INTO payments (account, payment, shop, checkout) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])";
    /// The same for payments whose home is of the same unit.
    MOVE_PAYMENTS =
        "UPDATE payments p SET shop = r.shop, checkout = r.checkout \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) \
           AS r (account, payment, shop, checkout) \
         WHERE p.account = ANY (ARRAY[r.account]) AND p.payment = r.payment";
    /// Columns: shop, checkout, key, token. Another token's lease stays;
    /// `IS TRUE` keeps the server from going through all that is leased.
    RELEASE_ACTIONS = concat!(
        "UPDATE actions a SET token = NULL, until = NULL, lease = NULL FROM ", ended!(), " \
         WHERE ", is_named!("a", "checkout", "id"), " AND a.key = r.key \
           AND (a.token = r.token) IS TRUE");
    /// The same columns. What ends and is not wanted anew goes at once.
    DELETE_ENDED_ACTIONS = concat!(
        "DELETE FROM actions a USING ", ended!(), " \
         WHERE ", is_named!("a", "checkout", "id"), " AND a.key = r.key \
           AND (a.token = r.token) IS TRUE");
    /// Columns: checkout, key, version, shop, kind, destination, lane, due, planned, attempts. A
    /// leased action stays as it is; `IS TRUE` as above. Who writes holds the checkout, so that none
    /// appears before `INSERT_ACTIONS`.
    UPDATE_ACTIONS = concat!(
        "UPDATE actions a SET version = r.version, kind = r.kind, destination = r.destination, \
           lane = r.lane, due = r.due, planned = r.planned, \
           attempts = greatest(a.attempts, r.attempts) \
         FROM ", action_rows!(), " \
         WHERE ", is_named!("a", "checkout", "checkout"), " AND a.key = r.key \
           AND (a.token IS NULL) IS TRUE");
    /// The same columns; those that are there stay as they are.
    INSERT_ACTIONS = concat!(
        "INSERT INTO actions (checkout, key, version, shop, kind, destination, lane, due, \
           planned, attempts) \
         SELECT * FROM ", action_rows!(), " \
         WHERE NOT EXISTS (SELECT FROM actions a WHERE a.shop = r.shop \
           AND a.checkout = r.checkout AND a.key = r.key OFFSET 0)");
    /// Columns: shop, checkout, version. What this version did not want anew goes, unless leased.
    /// `IS TRUE` keeps the server from going through all that is not leased instead.
    DELETE_UNWANTED_ACTIONS = concat!(
        "DELETE FROM actions a \
         USING unnest($1::text[], $2::text[], $3::bigint[]) AS r (shop, id, version) \
         WHERE ", is_named!("a", "checkout", "id"), " AND (a.token IS NULL) IS TRUE \
           AND a.version < r.version");
    /// Columns: shop, verdict, currency, count, high, low; all may be negative.
    ADD_STANDINGS =
        "INSERT INTO standings AS s (shop, verdict, currency, count, high, low) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], \
           $6::bigint[]) \
         ON CONFLICT (shop, verdict, currency) DO UPDATE SET count = s.count + excluded.count, \
           high = s.high + excluded.high, low = s.low + excluded.low";
    /// Columns: shop, minute, kind, currency, count, high, low.
    ADD_TALLIES =
        "INSERT INTO tallies AS t (shop, minute, kind, currency, count, high, low) \
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], \
           $6::bigint[], $7::bigint[]) \
         ON CONFLICT (shop, minute, kind, currency) DO UPDATE SET \
           count = t.count + excluded.count, high = t.high + excluded.high, \
           low = t.low + excluded.low";
    /// Columns: shop, epoch. The greatest stays.
    RAISE_EPOCHS =
        "INSERT INTO shops AS s (shop, epoch) SELECT * FROM unnest($1::text[], $2::text[]) \
         ON CONFLICT (shop) DO UPDATE SET epoch = greatest(s.epoch, excluded.epoch)";

    /// Two orders that are alike are written one after the other, or neither would see the other
    /// as its twin. Whose hash meets by chance waits for nothing.
    LOCK_MARKS =
        "SELECT pg_advisory_xact_lock(7308895, m) FROM ( \
           SELECT DISTINCT hashtext(mark) AS m FROM unnest($1::text[]) AS r (mark) ORDER BY m) l";
    /// Columns: shop, checkout.
    DELETE_SIGHTINGS = concat!(
        "DELETE FROM sightings l USING ", named!(), " WHERE ", is_named!("l", "checkout", "id"));
    /// Columns: shop, checkout. Two that are alike are of one shop.
    FORGET_TWINS = concat!(
        "UPDATE sightings l SET twin = NULL FROM ", named!(), " \
         WHERE ", is_named!("l", "twin", "id"), " RETURNING l.shop, l.checkout");
    /// Columns: shop, checkout.
    SELECT_MARKS = concat!(
        "SELECT DISTINCT l.mark FROM ", of_named!("sightings", "checkout", "", "OFFSET 0"), " l");
    /// Columns: checkout, shop, mark, currency, minor, paid at.
    INSERT_SIGHTINGS =
        "INSERT INTO sightings (checkout, shop, mark, currency, minor, paid_at) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], \
           $6::bigint[])";
    /// Columns: shop, checkout. Those named, and the lone ones that are like them, point to the latest
    /// other one that was paid within `$3`. `OFFSET 0` keeps the planner from beginning with all that
    /// are alone.
    PAIR_SIGHTINGS = concat!(
        "WITH n AS MATERIALIZED ( \
           SELECT DISTINCT o.shop, o.checkout \
           FROM ", of_named!("sightings", "checkout", "", "OFFSET 0"), " n \
           CROSS JOIN LATERAL ( \
             SELECT a.shop, a.checkout FROM sightings a WHERE a.shop = n.shop \
             AND a.mark = n.mark AND a.currency = n.currency AND a.minor = n.minor \
             AND a.paid_at BETWEEN n.paid_at - $3 AND n.paid_at + $3 \
             AND a.twin IS NULL OFFSET 0) o) \
         UPDATE sightings AS l SET twin = ( \
           SELECT o.checkout FROM sightings o WHERE o.shop = l.shop AND o.mark = l.mark \
           AND o.currency = l.currency AND o.minor = l.minor \
           AND o.paid_at BETWEEN l.paid_at - $3 AND l.paid_at + $3 AND o.checkout <> l.checkout \
           ORDER BY o.paid_at DESC, o.checkout LIMIT 1) \
         FROM n AS r WHERE ", is_named!("l", "checkout", "checkout"));
    SELECT_LOOKALIKES =
        "SELECT l.checkout, l.shop, c.reference, l.twin, l.currency, l.minor, l.paid_at \
         FROM sightings l JOIN checkouts c ON c.shop = l.shop AND c.id = l.checkout \
         WHERE l.twin IS NOT NULL AND l.paid_at >= $1 ORDER BY l.paid_at DESC, l.checkout LIMIT $2";
    /// Columns: shop, checkout.
    SELECT_TWINS = concat!(
        "SELECT l.checkout, l.twin FROM ", of_named!("sightings", "checkout", "", "OFFSET 0"), " l \
         WHERE l.twin IS NOT NULL");

    /// Shops take turns. `$3` bounds the entries that are read of all together.
    SELECT_DUE_CHECKOUTS = concat!(
        "WITH RECURSIVE ", shops!("true"), ", ", due!("$1", "$2", "$3", "true"), " \
         SELECT shop, id FROM e ORDER BY wake_at, id");
    SELECT_NEXT_DUE = concat!(
        "WITH RECURSIVE ", shops!("true"), " SELECT least( \
           (SELECT min((SELECT c.wake_at FROM checkouts c WHERE c.shop = t.shop \
              AND c.wake_at IS NOT NULL ORDER BY c.wake_at LIMIT 1)) FROM t), \
           (SELECT due FROM actions WHERE token IS NULL ORDER BY due LIMIT 1), \
           (SELECT until FROM actions WHERE token IS NOT NULL ORDER BY until LIMIT 1))");
    /// What another transaction holds is being leased or dealt with there.
    LEASE_LOST = concat!(
        "WITH r AS MATERIALIZED (SELECT shop, checkout, key FROM actions \
           WHERE token IS NOT NULL AND until <= $1 \
           ORDER BY until, checkout, key LIMIT $2 FOR UPDATE SKIP LOCKED) \
         UPDATE actions a SET lease = 'lost', until = $4, \
           token = $3 || '.' || replace(gen_random_uuid()::text, '-', '') \
         FROM r WHERE ", is_named!("a", "checkout", "checkout"), " AND a.key = r.key \
         RETURNING ", action_columns!());
    /// Columns: destination, lane, room. The longest overdue of each, and no more than its room.
    LOCK_DUE_ACTIONS =
        "SELECT d.due, d.checkout, d.key, d.shop, l.destination \
         FROM unnest($1::text[], $2::text[], $3::bigint[]) AS l (destination, lane, room) \
         CROSS JOIN LATERAL (SELECT a.due, a.checkout, a.key, a.shop FROM actions a \
           WHERE a.destination = l.destination AND a.lane = l.lane AND a.token IS NULL \
           AND a.due <= $4 ORDER BY a.due, a.checkout, a.key LIMIT l.room \
           FOR UPDATE SKIP LOCKED) d";
    /// Columns: shop, checkout, key. `IS TRUE` as above.
    LEASE_ACTIONS = concat!(
        "UPDATE actions a SET lease = 'attempt', until = $5, attempts = attempts + 1, \
           last_sent_at = $6, \
           token = $4 || '.' || replace(gen_random_uuid()::text, '-', '') \
         FROM unnest($1::text[], $2::text[], $3::text[]) AS r (shop, checkout, key) \
         WHERE ", is_named!("a", "checkout", "checkout"), " AND a.key = r.key \
           AND (a.token IS NULL) IS TRUE \
         RETURNING ",
        action_columns!());

    SELECT_SHOP = "SELECT epoch, brake_cause, brake_at FROM shops WHERE shop = $1";
    INSERT_SHOP = "INSERT INTO shops (shop) VALUES ($1) ON CONFLICT (shop) DO NOTHING";
    /// Held until the transaction ends: who counts towards a shop's limits does so one by one.
    LOCK_SHOP = "SELECT epoch, brake_cause, brake_at FROM shops WHERE shop = $1 FOR UPDATE";
    SET_BRAKE =
        "INSERT INTO shops (shop, brake_cause, brake_at) VALUES ($1, $2, $3) \
         ON CONFLICT (shop) DO UPDATE SET brake_cause = excluded.brake_cause, \
           brake_at = excluded.brake_at";
    FORGET_TALLIES = "DELETE FROM tallies WHERE shop = $1 AND kind <> 'unclaimed'";
    SELECT_TALLIES =
        "SELECT kind, currency, sum(count)::bigint AS count, sum(high)::bigint AS high, \
           sum(low)::bigint AS low \
         FROM tallies WHERE shop = $1 AND minute >= $2 GROUP BY kind, currency";
    INSERT_FIRST_START =
        "INSERT INTO accounts (account, first_started_at) VALUES ($1, $2) \
         ON CONFLICT (account) DO NOTHING";
    SELECT_FIRST_START = "SELECT first_started_at FROM accounts WHERE account = $1";
    LOCK_HOME = "SELECT home FROM instance WHERE nr = 1 FOR UPDATE";
    STAMP_INSTANCE =
        "INSERT INTO instance AS i (nr, home, generation, started_at) VALUES (1, $1, 1, $2) \
         ON CONFLICT (nr) DO UPDATE SET home = excluded.home, generation = i.generation + 1, \
           started_at = excluded.started_at \
         RETURNING generation";
    SELECT_SWEEPS =
        "SELECT account, listing, mark, swept_at, last_error FROM sweeps \
         ORDER BY account, listing";
    SET_SWEEP =
        "INSERT INTO sweeps AS s (account, listing, mark, swept_at, last_error) \
         VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (account, listing) DO UPDATE SET mark = greatest(s.mark, excluded.mark), \
           swept_at = coalesce(excluded.swept_at, s.swept_at), last_error = excluded.last_error";

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
    SELECT_AUDIT_PAGE = concat!(
        "SELECT ", checkout_columns!(), " FROM checkouts c WHERE c.id > $1 ORDER BY c.id \
         LIMIT $2");
    SELECT_AUDIT_MARK =
        "SELECT max(id) FROM (SELECT c.id FROM checkouts c WHERE c.id > $1 ORDER BY c.id LIMIT $2) p";
    /// Columns: shop, checkout.
    SELECT_JOURNALS = concat!(
        "SELECT ", entry_columns!(), " FROM ", of_named!("journal", "checkout", "", "OFFSET 0"), " j \
         ORDER BY j.checkout, j.seq");
    /// Of those made up to `$3`: what rests and changed since; what rests and is still looked at; what
    /// does not rest, without the open ones. Each part has its index.
    SELECT_MOVED =
        "WITH m AS MATERIALIZED (SELECT id FROM checkouts WHERE wake_at IS NULL \
           AND verdict IN ('settled', 'returned', 'closed', 'foreign') AND changed_at >= $1 \
         UNION ALL SELECT id FROM checkouts WHERE wake_at IS NOT NULL AND verdict <> 'open' \
         UNION ALL SELECT c.id FROM (SELECT DISTINCT shop FROM standings) s \
           CROSS JOIN unnest( \
             '{matching,confirming,releasing,refunding,held}'::text[]) AS v (verdict) \
           JOIN checkouts c ON c.shop = s.shop AND c.verdict = v.verdict) \
         SELECT id FROM m WHERE id > $2 AND id <= $3 ORDER BY id LIMIT $4";
    /// The same of those made after `$2`, one after the other.
    SELECT_MOVED_LATELY =
        "SELECT id FROM checkouts WHERE id > $2 AND verdict <> 'open' \
         AND (changed_at >= $1 OR wake_at IS NOT NULL \
           OR verdict NOT IN ('settled', 'returned', 'closed', 'foreign')) \
         ORDER BY id LIMIT $3";
    SELECT_OVERVIEW =
        "SELECT s.shop, s.verdict, s.currency, s.count, s.high, s.low, \
           (SELECT min(c.since) FROM checkouts c WHERE c.shop = s.shop \
              AND c.verdict = s.verdict) AS oldest \
         FROM standings s ORDER BY s.shop, s.verdict, s.currency";
    SELECT_BACKLOG = concat!(
        "WITH RECURSIVE ", senders!("true"), " \
         SELECT (SELECT count(*) FROM inbox WHERE state = 'pending') AS pending, \
           (SELECT received_at FROM inbox WHERE id = (SELECT min((SELECT i.id FROM inbox i \
             WHERE i.state = 'pending' AND i.sender = s.sender ORDER BY i.id LIMIT 1)) FROM s)) \
             AS oldest_delivery, \
           (SELECT count(*) FROM inbox WHERE state = 'parked') AS parked, \
           (SELECT count(*) FROM quarantine) AS quarantined, \
           (SELECT due FROM actions WHERE token IS NULL ORDER BY due LIMIT 1) AS oldest_due");
    COUNT_ACTIONS = "SELECT kind, count(*) FROM actions GROUP BY kind";

    /// What another transaction holds is in use or being pruned there. `OFFSET 0` keeps the planner
    /// from beginning with deliveries whose bodies are long gone.
    PRUNE_BODIES =
        "WITH r AS MATERIALIZED (SELECT b.id FROM bodies b CROSS JOIN LATERAL ( \
             SELECT 1 FROM inbox i WHERE i.id = b.id AND i.state IN ('taken', 'ignored') \
             OFFSET 0) i \
           WHERE b.received_at < $1 \
           ORDER BY b.received_at LIMIT $2 FOR UPDATE OF b SKIP LOCKED) \
         DELETE FROM bodies USING r WHERE bodies.id = ANY (ARRAY[r.id])";
    LOCK_OLD_DELIVERIES =
        "SELECT id FROM inbox WHERE received_at < $1 AND state <> 'pending' \
         ORDER BY received_at, id LIMIT $2 FOR UPDATE SKIP LOCKED";
    DELETE_DELIVERY_KEYS =
        "DELETE FROM delivery_keys k USING unnest($1::bigint[]) AS r (id), inbox i \
         WHERE i.id = ANY (ARRAY[r.id]) AND k.key = ANY (ARRAY[i.key])";
    DELETE_BODIES =
        "DELETE FROM bodies b USING unnest($1::bigint[]) AS r (id) WHERE b.id = ANY (ARRAY[r.id])";
    DELETE_INBOX =
        "DELETE FROM inbox i USING unnest($1::bigint[]) AS r (id) WHERE i.id = ANY (ARRAY[r.id])";
    LOCK_OLD_CHECKOUTS =
        "SELECT id, version, head, shop, verdict, suspense_minor, suspense_currency \
         FROM checkouts c WHERE wake_at IS NULL \
         AND verdict IN ('settled', 'returned', 'closed', 'foreign') AND changed_at < $1 \
         AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.shop = c.shop AND a.checkout = c.id \
           AND (a.token IS NOT NULL) IS TRUE OFFSET 0) \
         ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED";
    /// Columns: shop, checkout. Whose actions may have been leased since they were looked at.
    LOCK_ACTIONS = concat!(
        "SELECT a.checkout, a.token IS NOT NULL \
         FROM ", of_named!("actions", "checkout", "", "ORDER BY t.key FOR UPDATE"), " a");
    /// Columns: shop, checkout; and of the next three.
    DELETE_JOURNALS = concat!(
        "DELETE FROM journal j USING ", named!(), " WHERE ", is_named!("j", "checkout", "id"));
    DELETE_PAYMENTS = concat!(
        "DELETE FROM payments p USING ", named!(), " WHERE ", is_named!("p", "checkout", "id"));
    DELETE_ACTIONS = concat!(
        "DELETE FROM actions a USING ", named!(), " WHERE ", is_named!("a", "checkout", "id"));
    DELETE_CHECKOUTS = concat!(
        "DELETE FROM checkouts c USING ", named!(), " WHERE ", is_named!("c", "id", "id"));
    PRUNE_TALLIES =
        "WITH r AS MATERIALIZED (SELECT shop, minute, kind, currency FROM tallies \
           WHERE minute < $1 ORDER BY minute LIMIT $2 FOR UPDATE SKIP LOCKED) \
         DELETE FROM tallies t USING r WHERE t.shop = r.shop AND t.minute = r.minute \
           AND t.kind = r.kind AND t.currency = r.currency";

    PROBE =
        "INSERT INTO probe (id, at) VALUES (1, $1) \
         ON CONFLICT (id) DO UPDATE SET at = excluded.at RETURNING at";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why a statement that locks rows cannot wait for another daemon in a circle.
    fn keeps_an_order(statement: &str) -> bool {
        statement.matches("FOR UPDATE").count() == statement.matches("SKIP LOCKED").count()
            || statement.contains("ORDER BY")
            || statement.contains("WHERE shop = $1 ")
            || statement.contains("WHERE nr = 1 ")
    }

    #[test]
    fn rows_are_locked_in_one_order_or_one_by_one_or_without_waiting() {
        let locking = |one: &&(&str, &str)| one.1.contains("FOR UPDATE");
        assert!(ALL.iter().filter(locking).count() > 5);
        for (name, statement) in ALL {
            assert!(keeps_an_order(statement), "{name}");
        }
        assert!(!keeps_an_order(
            "SELECT id FROM t WHERE id = ANY($1) FOR UPDATE"
        ));
    }
}
