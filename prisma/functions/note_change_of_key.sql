-- Trigger: a secret that was deleted or given to another key is a change of the key that it belonged to.
CREATE OR REPLACE FUNCTION tollkeeper.note_change_of_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Any update will do: note_change() replaces the value.
  UPDATE "ApiKey" SET "changedIn" = NULL WHERE "id" = OLD."apiKeyId";
  RETURN NULL;
END
$$;
