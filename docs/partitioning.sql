-- Spreads the large tables of a PostgreSQL store over partitions: what is about a checkout by its
-- shop, payments by their account, deliveries by their number or key. When it is worth it stands in
-- docs/scaling.md.
--
-- To be run once, by the role that the daemons connect as, on a store of the newest schema
-- (`reconciled migrate`), while no daemon is connected:
--
--     psql --single-transaction --set ON_ERROR_STOP=1 --file docs/partitioning.sql DATABASE
--
-- A program that knows no schema after 0005 cannot commit on it; it says so, and loses nothing by that.
-- Every row is copied, so there must be room for the tables twice. A run that fails changes nothing.
-- Rights that were granted to other roles on these tables must be granted anew.
DO $$
DECLARE
    parts CONSTANT integer := 16;
    -- Table, what it is spread by, primary key.
    plan CONSTANT text[] := ARRAY[
        ['inbox', 'id', 'id'],
        ['bodies', 'id', 'id'],
        ['delivery_keys', 'key', 'key'],
        ['payments', 'account', 'account, payment'],
        ['checkouts', 'shop', 'shop, id'],
        ['journal', 'shop', 'shop, checkout, seq'],
        ['actions', 'shop', 'shop, checkout, key'],
        ['sightings', 'shop', 'shop, checkout']];
    home CONSTANT text := (SELECT nspname FROM pg_namespace n
        JOIN pg_class c ON c.relnamespace = n.oid WHERE c.oid = 'checkouts'::regclass);
    one text[];
    whole text;
    indexes text[];
    definition text;
    next_id bigint;
    is_filled boolean;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = 'checkouts'::regclass) = 'p' THEN
        RAISE EXCEPTION 'the tables are partitioned already';
    END IF;
    FOREACH one SLICE 1 IN ARRAY plan LOOP
        EXECUTE format('LOCK TABLE %I.%I', home, one[1]);
    END LOOP;
    -- The numbers of deliveries go on where they were; their sequence would go with the old table.
    SELECT last_value + is_called::integer INTO next_id FROM inbox_id_seq;
    EXECUTE format('ALTER TABLE %I.inbox ALTER COLUMN id DROP IDENTITY', home);
    EXECUTE format('CREATE SEQUENCE %I.inbox_id_seq AS bigint', home);
    PERFORM setval('inbox_id_seq', next_id, false);
    FOREACH one SLICE 1 IN ARRAY plan LOOP
        whole := one[1] || '_whole';
        SELECT array_agg(pg_get_indexdef(indexrelid)) INTO indexes FROM pg_index
            WHERE indrelid = one[1]::regclass AND NOT indisprimary;
        EXECUTE format('ALTER TABLE %I.%I RENAME TO %I', home, one[1], whole);
        EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
            'INCLUDING STORAGE) PARTITION BY HASH (%I)', home, one[1], home, whole, one[2]);
        FOR part IN 0 .. parts - 1 LOOP
            EXECUTE format('CREATE TABLE %I.%I PARTITION OF %I.%I '
                'FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
                home, one[1] || '_' || part, home, one[1], parts, part);
        END LOOP;
        EXECUTE format('INSERT INTO %I.%I SELECT * FROM %I.%I', home, one[1], home, whole);
        EXECUTE format('DROP TABLE %I.%I', home, whole);
        EXECUTE format('ALTER TABLE %I.%I ADD PRIMARY KEY (%s)', home, one[1], one[3]);
        -- The definitions were written down before the table had another name.
        FOREACH definition IN ARRAY coalesce(indexes, '{}') LOOP
            EXECUTE definition;
        END LOOP;
        -- The server would take an empty partition that it looked at for one that stays so.
        FOR part IN 0 .. parts - 1 LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I)', home, one[1] || '_' || part)
                INTO is_filled;
            IF is_filled THEN
                EXECUTE format('ANALYZE %I.%I', home, one[1] || '_' || part);
            END IF;
        END LOOP;
    END LOOP;
    EXECUTE format('ALTER SEQUENCE %I.inbox_id_seq OWNED BY %I.inbox.id', home, home);
END $$;
