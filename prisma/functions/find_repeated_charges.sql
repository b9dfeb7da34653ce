-- For each charge of a batch: `originals`, the id of the charge that exists under its idempotency key or, if
-- the batch is sent again (`is_retry`), under its own id; null if none does. `balances_after`, the balance
-- after that charge. `firsts`, the position of the first charge of this batch under the same idempotency key,
-- or its own position. Positions count from 1.
CREATE OR REPLACE FUNCTION tollkeeper.find_repeated_charges(
  workspace_ids text[],
  accounts integer[],
  charge_ids text[],
  idempotency_keys text[],
  is_retry boolean,
  OUT originals text[],
  OUT balances_after integer[],
  OUT firsts integer[]
) LANGUAGE plpgsql STABLE AS $$
BEGIN
  SELECT array_agg(f."id" ORDER BY f.n), array_agg(f."balanceAfter" ORDER BY f.n), array_agg(f.first ORDER BY f.n)
  INTO originals, balances_after, firsts
  FROM (
    SELECT i.n, c."id", c."balanceAfter",
      (min(i.n) OVER (PARTITION BY i.account, coalesce(i.idempotency_key, i.charge_id)))::integer AS first
    FROM unnest(charge_ids, accounts, idempotency_keys)
      WITH ORDINALITY AS i(charge_id, account, idempotency_key, n)
    LEFT JOIN LATERAL (
      SELECT c."id", c."balanceAfter" FROM "Charge" c
      WHERE c."workspaceId" = workspace_ids[i.account] AND c."idempotencyKey" = i.idempotency_key
      UNION ALL
      SELECT c."id", c."balanceAfter" FROM "Charge" c
      WHERE is_retry AND i.idempotency_key IS NULL AND c."id" = i.charge_id
    ) c ON true
  ) f;
END
$$;
