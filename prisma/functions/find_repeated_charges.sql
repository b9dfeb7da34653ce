-- For each charge of a batch: `originals`, the id of the charge that exists under its idempotency key or, if
-- the batch is sent again (`is_retry`), under its own id; else null. `firsts`, the position of the first
-- charge of this batch under the same idempotency key, or its own position. Positions count from 1.
CREATE OR REPLACE FUNCTION tollkeeper.find_repeated_charges(
  workspace_ids text[],
  accounts integer[],
  charge_ids text[],
  idempotency_keys text[],
  is_retry boolean,
  OUT originals text[],
  OUT firsts integer[]
) LANGUAGE plpgsql STABLE AS $$
BEGIN
  SELECT array_agg(f.original ORDER BY f.n), array_agg(f.first ORDER BY f.n) INTO originals, firsts
  FROM (
    SELECT i.n,
      CASE
        WHEN i.idempotency_key IS NOT NULL THEN (
          SELECT c."id" FROM "Charge" c
          WHERE c."workspaceId" = workspace_ids[i.account] AND c."idempotencyKey" = i.idempotency_key
        )
        WHEN is_retry THEN (SELECT c."id" FROM "Charge" c WHERE c."id" = i.charge_id)
      END AS original,
      (min(i.n) OVER (PARTITION BY i.account, coalesce(i.idempotency_key, i.charge_id)))::integer AS first
    FROM unnest(charge_ids, accounts, idempotency_keys)
      WITH ORDINALITY AS i(charge_id, account, idempotency_key, n)
  ) f;
END
$$;
