-- Locks the accounts of these workspaces in the order of `workspace_ids`, and expires grants that are due.
-- Returns the balance and the held credits of each workspace in the same order; null where it has no account.
CREATE OR REPLACE FUNCTION tollkeeper.lock_accounts(
  workspace_ids text[],
  at timestamptz,
  OUT balances integer[],
  OUT helds integer[]
) LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  has_due_grants boolean;
BEGIN
  SELECT array_agg(a."balance"), array_agg(a."held"), bool_or(a."expiresAt" <= at)
  INTO balances, helds, has_due_grants
  FROM (
    SELECT a."balance", a."held", a."expiresAt"
    FROM unnest(workspace_ids) WITH ORDINALITY AS w(id, n) JOIN "CreditAccount" a ON a."workspaceId" = w.id
    ORDER BY w.n FOR UPDATE OF a
  ) a;
  IF has_due_grants THEN
    PERFORM tollkeeper.settle_grants(a."workspaceId", at)
    FROM "CreditAccount" a WHERE a."workspaceId" = ANY (workspace_ids) AND a."expiresAt" <= at;
  END IF;
  -- Without expired grants and missing accounts, what was locked is the result.
  IF has_due_grants OR balances IS NULL OR cardinality(balances) < cardinality(workspace_ids) THEN
    SELECT array_agg(a."balance" ORDER BY w.n), array_agg(a."held" ORDER BY w.n) INTO balances, helds
    FROM unnest(workspace_ids) WITH ORDINALITY AS w(id, n) LEFT JOIN "CreditAccount" a ON a."workspaceId" = w.id;
  END IF;
END
$$;
