//! Parts of statements: who waits, and what is taken from each in turn.
//!
//! Text alone; the statements that they become are in `sql`.

/// Who has a delivery waiting: from one to the next through the index, however many wait of each.
macro_rules! senders {
    ($is_asked:literal) => {
        concat!(
            "s AS ((SELECT sender FROM inbox WHERE state = 'pending' AND ",
            $is_asked,
            " \
               ORDER BY sender LIMIT 1) \
             UNION ALL SELECT (SELECT i.sender FROM inbox i WHERE i.state = 'pending' \
               AND i.sender > s.sender ORDER BY i.sender LIMIT 1) \
             FROM s WHERE s.sender IS NOT NULL)"
        )
    };
}

/// Deliveries that wait and are free, from each sender in turn.
macro_rules! waiting {
    ($limit:literal, $rows_max:literal, $is_free:literal) => {
        concat!(
            "n AS (SELECT greatest(1, least(", $limit, ", ", $rows_max, " / \
               greatest(1, count(sender)))) AS depth FROM s), \
             w AS (SELECT i.id, row_number() OVER (PARTITION BY s.sender ORDER BY i.id) AS turn \
               FROM s CROSS JOIN LATERAL (SELECT i.id FROM inbox i WHERE i.state = 'pending' \
                 AND i.sender = s.sender AND ", $is_free, " \
                 ORDER BY i.id LIMIT (SELECT depth FROM n)) i), \
             r AS (SELECT id FROM w ORDER BY turn, id LIMIT ", $limit, ")"
        )
    };
}

/// Which shops have a checkout that is to be woken.
macro_rules! shops {
    ($is_asked:literal) => {
        concat!(
            "t AS ((SELECT shop FROM checkouts WHERE wake_at IS NOT NULL AND ",
            $is_asked,
            " \
               ORDER BY shop LIMIT 1) \
             UNION ALL SELECT (SELECT c.shop FROM checkouts c WHERE c.wake_at IS NOT NULL \
               AND c.shop > t.shop ORDER BY c.shop LIMIT 1) \
             FROM t WHERE t.shop IS NOT NULL)"
        )
    };
}

/// Checkouts that are due and free, from each shop in turn.
macro_rules! due {
    ($now:literal, $limit:literal, $rows_max:literal, $is_free:literal) => {
        concat!(
            "m AS (SELECT greatest(1, least(",
            $limit,
            ", ",
            $rows_max,
            " / \
               greatest(1, count(shop)))) AS depth FROM t), \
             v AS (SELECT t.shop, c.id, c.wake_at, \
                 row_number() OVER (PARTITION BY t.shop ORDER BY c.wake_at, c.id) AS turn \
               FROM t CROSS JOIN LATERAL (SELECT c.id, c.wake_at FROM checkouts c \
                 WHERE c.shop = t.shop AND c.wake_at <= ",
            $now,
            " AND ",
            $is_free,
            " \
                 ORDER BY c.wake_at, c.id LIMIT (SELECT depth FROM m)) c), \
             e AS (SELECT shop, id, wake_at FROM v ORDER BY turn, wake_at, id LIMIT ",
            $limit,
            ")"
        )
    };
}
