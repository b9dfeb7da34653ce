-- Trigger: writes the id of the current transaction to "changedIn", so that changed_since() finds the row.
CREATE OR REPLACE FUNCTION tollkeeper.note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."changedIn" := pg_current_xact_id()::text::bigint;
  RETURN NEW;
END
$$;
