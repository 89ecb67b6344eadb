//! Parts of statements: the columns that are read.
//!
//! Text alone; the statements that they become are in `sql`.

macro_rules! delivery_columns {
    () => {
        "id, sender, delivery_id, received_at, is_signed"
    };
}

macro_rules! checkout_columns {
    () => {
        concat!(checkout_short_columns!(), ", c.document")
    };
}

macro_rules! checkout_short_columns {
    () => {
        "c.id, c.shop, c.reference, c.verdict, c.reason, c.since, c.created_at, c.suspense_minor, \
         c.suspense_currency, c.wake_at, c.version, c.head"
    };
}

macro_rules! action_short_columns {
    () => {
        "a.checkout, a.key, a.shop, a.due, a.attempts, a.last_sent_at, a.token, a.until"
    };
}

/// Rows as `packed::with_long` reads them: a long value, and the short columns.
macro_rules! with_long {
    ($long:literal, $($short:tt)+) => {
        concat!(
            "json_group_array(json_array(octet_length(",
            $long,
            "), json_array(",
            $($short)+,
            "))), group_concat(",
            $long,
            ", '')"
        )
    };
}

macro_rules! entry_columns {
    () => {
        "j.checkout, j.seq, j.at, j.facts, j.decision, j.previous, j.hash"
    };
}

/// Checkouts with their journals, in the order that the rest of the statement gives. Their long values
/// are three in one, each with its bytes: the checkout's short columns, its document, and of each entry
/// of its journal its short columns, its facts and its decision.
macro_rules! books {
    ($($of:tt)+) => {
        concat!(
            "SELECT json_group_array(json_array( \
               octet_length(short) + octet_length(document) + octet_length(journal), \
               json_array(octet_length(short), octet_length(document)))), \
               group_concat(short || document || journal, '') \
             FROM (SELECT json_array(",
            checkout_short_columns!(),
            ") AS short, c.document AS document, \
               (SELECT coalesce(group_concat(json_array(j.seq, j.at, octet_length(j.facts), \
                  octet_length(j.decision), j.previous, j.hash) || j.facts || j.decision, ''), '') \
                FROM journal j WHERE j.checkout = c.id) AS journal ",
            $($of)+,
            ")"
        )
    };
}
