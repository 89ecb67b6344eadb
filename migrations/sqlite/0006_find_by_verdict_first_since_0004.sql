-- What stands where is found by verdict, then shop, as on PostgreSQL, where this order keeps the index from
-- being taken to find a checkout by shop and id. An older program finds what it looks for through the
-- same index.
CREATE INDEX checkouts_stand ON checkouts (verdict, shop, since, id);
DROP INDEX checkouts_standing;
