-- The ids of keys and workspaces that were changed by transactions which `seen`, a snapshot of this era, does
-- not see: those that were running then (xip), and those that began later (from xmax on). No rows if `seen`
-- is null. It probes for exactly these, so that a transaction that stays open costs nothing. Rows that come
-- from another server may name transactions that have not begun here; they are left out.
CREATE OR REPLACE FUNCTION tollkeeper.changed_since(seen pg_snapshot) RETURNS TABLE ("id" text)
LANGUAGE sql STABLE AS $$
  SELECT "id" FROM "Workspace"
  WHERE "changedIn" >= pg_snapshot_xmax(seen)::text::bigint
    AND "changedIn" < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
  UNION ALL
  SELECT "id" FROM "Workspace" WHERE "changedIn" = ANY (ARRAY(SELECT x::text::bigint FROM pg_snapshot_xip(seen) x))
  UNION ALL
  SELECT "id" FROM "ApiKey"
  WHERE "changedIn" >= pg_snapshot_xmax(seen)::text::bigint
    AND "changedIn" < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
  UNION ALL
  SELECT "id" FROM "ApiKey" WHERE "changedIn" = ANY (ARRAY(SELECT x::text::bigint FROM pg_snapshot_xip(seen) x))
  UNION ALL
  SELECT "apiKeyId" FROM "KeySecret"
  WHERE "changedIn" >= pg_snapshot_xmax(seen)::text::bigint
    AND "changedIn" < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
  UNION ALL
  SELECT "apiKeyId" FROM "KeySecret"
  WHERE "changedIn" = ANY (ARRAY(SELECT x::text::bigint FROM pg_snapshot_xip(seen) x))
$$;
