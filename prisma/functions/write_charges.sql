-- Writes the charges of a batch that have a value in `helds_after`, and one ledger entry for each. The
-- arrays are those of charge(). The entries' ids sort in the order of the batch.
CREATE OR REPLACE FUNCTION tollkeeper.write_charges(
  workspace_ids text[],
  accounts integer[],
  charge_ids text[],
  api_key_ids text[],
  products text[],
  actions text[],
  quantities double precision[],
  prices integer[],
  holds boolean[],
  hold_ends timestamptz[],
  made_at timestamptz[],
  idempotency_keys text[],
  balances_after integer[],
  helds_after integer[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  id_start text := tollkeeper.new_id_start('led');
BEGIN
  WITH charged AS MATERIALIZED (
    SELECT * FROM unnest(
      accounts, charge_ids, api_key_ids, products, actions, quantities, prices, holds, hold_ends, made_at,
      idempotency_keys, balances_after, helds_after
    ) WITH ORDINALITY AS i(
      account, charge_id, api_key_id, product, action, quantity, price, hold, hold_end, made_at,
      idempotency_key, balance_after, held_after, n
    )
    WHERE i.held_after IS NOT NULL
  ), charges AS (
    INSERT INTO "Charge" (
      "id", "workspaceId", "apiKeyId", "product", "action", "quantity", "credits", "balanceAfter", "state",
      "idempotencyKey", "createdAt", "expiresAt"
    )
    SELECT i.charge_id, workspace_ids[i.account], i.api_key_id, i.product, i.action, i.quantity, i.price,
      i.balance_after, (CASE WHEN i.hold THEN 'HELD' ELSE 'POSTED' END)::"ChargeState",
      i.idempotency_key, i.made_at, i.hold_end
    FROM charged i
  )
  INSERT INTO "LedgerEntry" (
    "id", "workspaceId", "kind", "credits", "heldCredits", "balanceAfter", "heldAfter", "chargeId", "apiKeyId",
    "product", "action", "createdAt"
  )
  SELECT id_start || lpad(to_hex(i.n), 5, '0'), workspace_ids[i.account],
    (CASE WHEN i.hold THEN 'HOLD' ELSE 'CHARGE' END)::"LedgerEntryKind",
    CASE WHEN i.hold THEN 0 ELSE -i.price END, CASE WHEN i.hold THEN i.price ELSE 0 END,
    i.balance_after, i.held_after, i.charge_id, i.api_key_id, i.product, i.action, i.made_at
  FROM charged i;
END
$$;
