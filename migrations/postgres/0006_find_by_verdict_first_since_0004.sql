-- What stands where is found by verdict, then shop. Statements name a checkout by shop and id; one that
-- was planned while the table was small could have gone through all of the shop by the index before.
-- An older program finds what it looks for through the same index.
CREATE INDEX checkouts_stand ON checkouts (verdict, shop, since, id);
DROP INDEX checkouts_standing;
