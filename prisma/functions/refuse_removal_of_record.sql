-- Trigger: rows that the ledger refers to are never removed or renamed. It replaces foreign keys, whose
-- checks would lock the key and the workspace of each charge. Only a workspace without ledger entries can be
-- deleted.
CREATE OR REPLACE FUNCTION tollkeeper.refuse_removal_of_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'Workspace'
    AND NOT EXISTS (SELECT FROM "LedgerEntry" WHERE "workspaceId" = OLD."id") THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION '% refused: the ledger refers to the rows of "%", so they are never removed or renamed',
    TG_OP, TG_TABLE_NAME;
END
$$;
