-- What moved since a moment is found in this index alone, without a look at each checkout. An older
-- program finds what it looks for through the same index.
CREATE INDEX checkouts_moved ON checkouts (changed_at, id)
    WHERE wake_at IS NULL AND verdict IN ('settled', 'returned', 'closed', 'foreign');
DROP INDEX checkouts_rest;
