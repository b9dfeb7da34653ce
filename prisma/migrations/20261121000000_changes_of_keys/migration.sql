-- What a verification asks about a key changes seldom, so processes keep what they read. Each row that it comes from says in which
-- transaction it was changed last; so one probe at the end of an index tells what has been committed since a process looked last,
-- whoever changed it and how. See docs/decisions/0021-keys-kept-in-memory.md.
ALTER TABLE "Workspace" ADD COLUMN "changedIn" BIGINT;
ALTER TABLE "ApiKey" ADD COLUMN "changedIn" BIGINT;
ALTER TABLE "KeySecret" ADD COLUMN "changedIn" BIGINT;

CREATE INDEX "Workspace_changedIn_idx" ON "Workspace"("changedIn") WHERE "changedIn" IS NOT NULL;
CREATE INDEX "ApiKey_changedIn_idx" ON "ApiKey"("changedIn") WHERE "changedIn" IS NOT NULL;
CREATE INDEX "KeySecret_changedIn_idx" ON "KeySecret"("changedIn") WHERE "changedIn" IS NOT NULL;

CREATE FUNCTION "note_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."changedIn" := pg_current_xact_id()::text::bigint;
  RETURN NEW;
END
$$;

CREATE TRIGGER "Workspace_notes_change" BEFORE UPDATE ON "Workspace"
  FOR EACH ROW EXECUTE FUNCTION "note_change"();
CREATE TRIGGER "ApiKey_notes_change" BEFORE UPDATE ON "ApiKey"
  FOR EACH ROW EXECUTE FUNCTION "note_change"();
-- That a secret was used is no change of it.
CREATE TRIGGER "KeySecret_notes_change" BEFORE UPDATE OF "id", "workspaceId", "apiKeyId", "hash", "retiresAt" ON "KeySecret"
  FOR EACH ROW EXECUTE FUNCTION "note_change"();

-- A row that is gone says nothing, so the row that it belonged to says it.
CREATE FUNCTION "note_change_of_key"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE "ApiKey" SET "changedIn" = NULL WHERE "id" = OLD."apiKeyId";
  RETURN NULL;
END
$$;
CREATE TRIGGER "KeySecret_removal_changes_key" AFTER DELETE OR UPDATE OF "apiKeyId" ON "KeySecret"
  FOR EACH ROW EXECUTE FUNCTION "note_change_of_key"();

CREATE FUNCTION "refuse_truncation"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'TRUNCATE refused: processes keep what they have read of "%", and would not see it. Delete its rows instead', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER "KeySecret_not_truncated" BEFORE TRUNCATE ON "KeySecret"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_truncation"();

CREATE FUNCTION "note_change_of_workspace"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE "Workspace" SET "changedIn" = NULL WHERE "id" IN (OLD."workspaceId", NEW."workspaceId");
  RETURN NULL;
END
$$;
CREATE TRIGGER "WorkspaceFeature_changes_workspace" AFTER INSERT OR UPDATE OR DELETE ON "WorkspaceFeature"
  FOR EACH ROW EXECUTE FUNCTION "note_change_of_workspace"();
CREATE TRIGGER "WorkspaceFeature_not_truncated" BEFORE TRUNCATE ON "WorkspaceFeature"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_truncation"();

-- Names the database as long as it is the same one: a restart, another server in its place and tables that were restored make another
-- era, in which a snapshot of the one before says nothing.
CREATE FUNCTION tollkeeper_era() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT extract(epoch FROM pg_postmaster_start_time())::text || ' ' || '"ApiKey"'::regclass::oid::text
$$;

-- The ids of the keys that were changed, and of the workspaces that were, by what `seen` of this era does not see yet. Nothing where `seen`
-- is null. Transactions that have not begun stand in rows that come from another server: they say nothing here.
CREATE FUNCTION tollkeeper_changed_since(seen pg_snapshot) RETURNS TABLE ("id" text) LANGUAGE sql STABLE AS $$
  SELECT "id" FROM "Workspace"
  WHERE "changedIn" >= pg_snapshot_xmin(seen)::text::bigint AND "changedIn" < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    AND NOT pg_visible_in_snapshot("changedIn"::text::xid8, seen)
  UNION ALL
  SELECT "id" FROM "ApiKey"
  WHERE "changedIn" >= pg_snapshot_xmin(seen)::text::bigint AND "changedIn" < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    AND NOT pg_visible_in_snapshot("changedIn"::text::xid8, seen)
  UNION ALL
  SELECT "apiKeyId" FROM "KeySecret"
  WHERE "changedIn" >= pg_snapshot_xmin(seen)::text::bigint AND "changedIn" < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    AND NOT pg_visible_in_snapshot("changedIn"::text::xid8, seen)
$$;

-- What a process asks to answer a batch of verifications: what has changed since its last look, and what is to be known of the keys that
-- it does not keep, by the hashes of their secrets in hex; null for none. The answer is what one snapshot sees, and names it.
--
-- Planning costs several times what these statements do, so they are planned once, and for any number of rows.
CREATE FUNCTION tollkeeper_look(
  seen pg_snapshot,
  hashes text[],
  OUT era text,
  OUT snapshot text,
  OUT changed text[],
  OUT records text
) LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  era := tollkeeper_era();
  snapshot := pg_current_snapshot();
  SELECT array_agg(c."id") INTO changed FROM tollkeeper_changed_since(seen) c;
  IF hashes IS NOT NULL THEN
    SELECT json_agg(json_build_array(
      i.hash, s."id", s."retiresAt", k."id", k."workspaceId", k."product", k."environment", k."keyId", k."permissions", k."allowedOrigins",
      k."spendLimit", k."spendPeriod", k."disabledAt", k."expiresAt", k."revokedAt", k."deletedAt", w."suspendedAt",
      ARRAY(
        SELECT f."feature" FROM "WorkspaceFeature" f WHERE f."workspaceId" = k."workspaceId" AND f."product" = k."product"
      )
    )) INTO records
    FROM unnest(hashes) AS i(hash)
    JOIN "KeySecret" s ON s."hash" = decode(i.hash, 'hex')
    JOIN "ApiKey" k ON k."id" = s."apiKeyId" AND k."workspaceId" = s."workspaceId"
    JOIN "Workspace" w ON w."id" = k."workspaceId";
  END IF;
END
$$;
