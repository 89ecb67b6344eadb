-- Numbers go on together on both databases. What this one is for on PostgreSQL, plans that were made while
-- a table was empty, SQLite does not have: it finds a name by the key that is all of it.
SELECT 1;
