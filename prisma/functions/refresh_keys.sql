-- One statement per batch of verifications: the ids that changed since `seen`, and the records of keys that
-- the process has not cached, by the hashes of their secrets in hexadecimal (null: none). The answer is what
-- one snapshot sees, and names it. Planning costs several times what these statements cost, so they are
-- planned once, for any number of rows.
CREATE OR REPLACE FUNCTION tollkeeper.refresh_keys(
  seen pg_snapshot,
  hashes text[],
  OUT era text,
  OUT snapshot text,
  OUT changed text[],
  OUT records json
) LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  era := tollkeeper.era();
  snapshot := pg_current_snapshot()::text;
  -- Equal snapshots see the same transactions.
  IF snapshot <> seen::text THEN
    SELECT array_agg(c."id") INTO changed FROM tollkeeper.changed_since(seen) c;
  END IF;
  IF hashes IS NOT NULL THEN
    SELECT json_agg(tollkeeper.key_record(s, k, w, ARRAY(
      SELECT f."feature" FROM "WorkspaceFeature" f WHERE f."workspaceId" = k."workspaceId" AND f."product" = k."product"
    ))) INTO records
    FROM unnest(hashes) AS i(hash)
    JOIN "KeySecret" s ON s."hash" = decode(i.hash, 'hex')
    JOIN "ApiKey" k ON k."id" = s."apiKeyId" AND k."workspaceId" = s."workspaceId"
    JOIN "Workspace" w ON w."id" = k."workspaceId";
  END IF;
END
$$;
