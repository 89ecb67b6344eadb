//! Parts of statements: the columns that are read.
//!
//! Text alone; the statements that they become are in `sql`.

macro_rules! delivery_columns {
    () => {
        "i.id, i.sender, i.delivery_id, i.received_at, i.is_signed, b.body"
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

macro_rules! packed_action {
    ($of:literal) => {
        concat!(
            "json_array(",
            $of,
            "checkout, ",
            $of,
            "key, ",
            $of,
            "shop, ",
            $of,
            "due, ",
            $of,
            "attempts, ",
            $of,
            "last_sent_at, ",
            $of,
            "token, ",
            $of,
            "until), ",
            $of,
            "planned"
        )
    };
}

macro_rules! entry_columns {
    () => {
        "j.checkout, j.seq, j.at, j.facts, j.decision, j.previous, j.hash"
    };
}

/// A checkout with its journal: of each entry its short columns, then its facts and its decision.
macro_rules! book_columns {
    () => {
        concat!(
            "json_array(",
            checkout_short_columns!(),
            "), c.document, (SELECT group_concat(json_array(j.seq, j.at, octet_length(j.facts), \
             octet_length(j.decision), j.previous, j.hash) || j.facts || j.decision, '') \
             FROM journal j WHERE j.checkout = c.id)"
        )
    };
}
