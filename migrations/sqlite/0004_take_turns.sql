-- What waits is found shop by shop: of a backlog each sender and each shop gets its turn, so that one
-- shop's does not hold up the others. An older program finds what it looks for through the same indexes.
CREATE INDEX inbox_turns ON inbox (sender, id) WHERE state = 'pending';
DROP INDEX inbox_pending;
CREATE INDEX checkouts_turns ON checkouts (shop, wake_at, id) WHERE wake_at IS NOT NULL;
DROP INDEX checkouts_wake;
