-- As refresh_keys(), with the records of a page of keys instead: at most `size` secrets before `before`
-- (null: the newest), newest first, without those that are retired and those of revoked keys. `last`: the
-- last secret of the page, for the next one; null after the last page. 'sed' sorts after every id of a
-- secret ('sec_…') in every collation.
CREATE OR REPLACE FUNCTION tollkeeper.page_of_keys(
  seen pg_snapshot,
  before text,
  size integer,
  OUT era text,
  OUT snapshot text,
  OUT changed text[],
  OUT records json,
  OUT last text
) LANGUAGE plpgsql STABLE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  era := tollkeeper.era();
  snapshot := pg_current_snapshot()::text;
  SELECT array_agg(c."id") INTO changed FROM tollkeeper.changed_since(seen) c;
  SELECT min(p."id") INTO last
  FROM (SELECT "id" FROM "KeySecret" WHERE "id" < coalesce(before, 'sed') ORDER BY "id" DESC LIMIT size) p;
  SELECT json_agg(tollkeeper.key_record(s, k, w, ARRAY(
    SELECT f."feature" FROM "WorkspaceFeature" f WHERE f."workspaceId" = k."workspaceId" AND f."product" = k."product"
  ))) INTO records
  FROM "KeySecret" s
  JOIN "ApiKey" k ON k."id" = s."apiKeyId" AND k."workspaceId" = s."workspaceId"
  JOIN "Workspace" w ON w."id" = k."workspaceId"
  WHERE s."id" >= last AND s."id" < coalesce(before, 'sed') AND k."revokedAt" IS NULL
    AND (s."retiresAt" IS NULL OR s."retiresAt" > now());
END
$$;
