-- Trigger: a changed feature is a change of its workspace.
CREATE OR REPLACE FUNCTION tollkeeper.note_change_of_workspace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Any update will do: note_change() replaces the value.
  UPDATE "Workspace" SET "changedIn" = NULL WHERE "id" IN (OLD."workspaceId", NEW."workspaceId");
  RETURN NULL;
END
$$;
