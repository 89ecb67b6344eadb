//! Parts of statements: the columns that are read, and the rows that are named or written.
//!
//! Text alone; the statements that they become are in `sql`.

macro_rules! delivery_columns {
    () => {
        "i.id, i.sender, i.delivery_id, i.received_at, i.is_signed::bigint, b.body"
    };
}

/// The deliveries named in `r` that wait, with their bodies.
macro_rules! deliveries {
    () => {
        "CROSS JOIN LATERAL (SELECT * FROM inbox i WHERE i.id = r.id \
           AND (i.state = 'pending') IS TRUE OFFSET 0) i \
         CROSS JOIN LATERAL (SELECT * FROM bodies b WHERE b.id = r.id OFFSET 0) b"
    };
}

macro_rules! checkout_columns {
    () => {
        "c.id, c.shop, c.reference, c.verdict, c.reason, c.since, c.created_at, c.suspense_minor, \
         c.suspense_currency, c.wake_at, c.version, c.head, c.document"
    };
}

macro_rules! action_columns {
    () => {
        "a.checkout, a.key, a.shop, a.due, a.planned, a.attempts, a.last_sent_at, a.token, a.until"
    };
}

/// Checkouts by shop and id.
macro_rules! named {
    () => {
        "unnest($1::text[], $2::text[]) AS r (shop, id)"
    };
}

/// What a table holds of each checkout that is named, in the order of their ids. Each is looked up
/// by itself, whatever the server thinks of the table's size: `OFFSET 0` and locks keep it from
/// reading the table first and the names for each row of it.
macro_rules! of_named {
    ($table:literal, $id:literal, $and:literal, $end:literal) => {
        concat!(
            "(SELECT * FROM unnest($1::text[], $2::text[]) AS u (shop, id) ORDER BY id) AS r \
             CROSS JOIN LATERAL (SELECT * FROM ",
            $table,
            " t WHERE t.shop = r.shop AND t.",
            $id,
            " = r.id",
            $and,
            " ",
            $end,
            ")"
        )
    };
}

/// The row of a table that is of the checkout named in `r`. Written with `ANY`, so that the server has
/// but one way: from each name to its row. With `=` it may read the table's index to its end and look
/// at the names for each row of it, which costs least when it plans while the table is empty, and
/// which it then goes on doing.
macro_rules! is_named {
    ($table:literal, $id:literal, $named:literal) => {
        concat!(
            $table,
            ".shop = ANY (ARRAY[r.shop]) AND ",
            $table,
            ".",
            $id,
            " = ANY (ARRAY[r.",
            $named,
            "])"
        )
    };
}

/// Leases that end.
macro_rules! ended {
    () => {
        "unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS r (shop, id, key, token)"
    };
}

macro_rules! checkout_rows {
    () => {
        "unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], \
           $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[], \
           $13::text[], $14::bytea[])"
    };
}

macro_rules! action_rows {
    () => {
        "unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], \
           $7::text[], $8::bigint[], $9::text[], $10::bigint[]) \
           AS r (checkout, key, version, shop, kind, destination, lane, due, planned, attempts)"
    };
}

macro_rules! entry_columns {
    () => {
        "j.checkout, j.seq, j.at, j.facts, j.decision, j.previous, j.hash"
    };
}
