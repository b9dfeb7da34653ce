-- Trigger: TRUNCATE fires no row triggers, so the key caches of the processes would keep what was removed.
CREATE OR REPLACE FUNCTION tollkeeper.refuse_truncation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'TRUNCATE refused: processes cache the rows of "%" and would not notice. Delete its rows instead',
    TG_TABLE_NAME;
END
$$;
