-- Expires the grants of these workspaces that are due. Returns the balance and the held credits of each
-- workspace, in the order of `workspace_ids`; null where it has no account. The caller has locked the
-- accounts.
CREATE OR REPLACE FUNCTION tollkeeper.settle_accounts(
  workspace_ids text[],
  at timestamptz,
  OUT balances integer[],
  OUT helds integer[]
) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tollkeeper.settle_grants(a."workspaceId", at)
  FROM "CreditAccount" a WHERE a."workspaceId" = ANY (workspace_ids) AND a."expiresAt" <= at;
  SELECT array_agg(a."balance" ORDER BY w.n), array_agg(a."held" ORDER BY w.n) INTO balances, helds
  FROM unnest(workspace_ids) WITH ORDINALITY AS w(id, n) LEFT JOIN "CreditAccount" a ON a."workspaceId" = w.id;
END
$$;
