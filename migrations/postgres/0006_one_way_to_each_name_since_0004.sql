-- Statements name checkouts by shop and id, and bodies by id. One that was planned while a table was
-- empty could take an index that holds these in another place than the first, and go through all of it
-- for each name. An older program finds what it looks for through the same indexes.
CREATE INDEX checkouts_stand ON checkouts (verdict, shop, since, id);
DROP INDEX checkouts_standing;
CREATE INDEX bodies_aged ON bodies (received_at);
DROP INDEX bodies_old;
