-- A line of the ledger gets its id from the database, while its account is locked: so the lines of one workspace sort in
-- the order in which they were made, whichever process made them. It is a UUIDv7 whose random part begins with a sequence,
-- which decides between lines of the same moment; so what stands before the sequence is never random.
CREATE SEQUENCE "LedgerEntry_order" AS bigint CYCLE MAXVALUE 1099511627775;

CREATE FUNCTION tollkeeper_ledger_entry_id() RETURNS text LANGUAGE sql VOLATILE AS $$
  WITH moment AS (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us)
  SELECT 'led_'
    || lpad(to_hex(us / 1000), 12, '0')
    || '7' || lpad(to_hex((us % 1000) * 4), 3, '0')
    || '8' || lpad(to_hex(nextval('"LedgerEntry_order"')), 10, '0')
    || lpad(to_hex(floor(random() * 1048576)::int), 5, '0')
  FROM moment
$$;

ALTER TABLE "LedgerEntry" ALTER COLUMN "id" SET DEFAULT tollkeeper_ledger_entry_id();

-- Decides and writes a batch of charges in one statement. Element n of each array belongs to charge n; they are decided in
-- this order, so a charge that does not fit is refused and a later, smaller one may still fit. Accounts are locked in the
-- order of their ids, so that batches of several processes never wait for each other in a circle.
--
-- Outcomes: done; replayed (`original` is the charge that stands under the idempotency key); insufficient; unpriced (no
-- price was given and nothing stands under the key); stale (key or workspace ended or were suspended since they were checked).
--
-- `is_retry` says that the batch was sent before and its answer was lost: what it had written is found by its id.
CREATE FUNCTION tollkeeper_charge(
  charge_ids text[],
  workspace_ids text[],
  api_key_ids text[],
  products text[],
  actions text[],
  quantities double precision[],
  prices integer[],
  holds boolean[],
  hold_ends timestamptz[],
  idempotency_keys text[],
  made_at timestamptz[],
  is_retry boolean
) RETURNS TABLE ("n" integer, "outcome" text, "balanceAfter" integer, "original" text) LANGUAGE plpgsql AS $$
DECLARE
  size integer := cardinality(charge_ids);
  -- Per account, in the order of the locks.
  account_ids text[];
  balances integer[];
  helds integer[];
  -- Per charge.
  accounts integer[];
  lives boolean[];
  originals text[];
  firsts integer[];
  outcomes text[] := array_fill(NULL::text, ARRAY[size]);
  balances_after integer[] := array_fill(NULL::integer, ARRAY[size]);
  helds_after integer[] := array_fill(NULL::integer, ARRAY[size]);
  -- Under the first charge of each idempotency key: the one of its charges that was done.
  winners integer[] := array_fill(NULL::integer, ARRAY[size]);
  account integer;
BEGIN
  SELECT array_agg(a."workspaceId"), array_agg(a."balance"), array_agg(a."held")
  INTO account_ids, balances, helds
  FROM (
    SELECT "workspaceId", "balance", "held" FROM "CreditAccount"
    WHERE "workspaceId" = ANY (workspace_ids) ORDER BY "workspaceId" FOR UPDATE
  ) a;

  SELECT array_agg(f.account ORDER BY f.n), array_agg(f.live ORDER BY f.n), array_agg(f.original ORDER BY f.n), array_agg(f.first ORDER BY f.n)
  INTO accounts, lives, originals, firsts
  FROM (
    SELECT i.n, a.n::integer AS account,
      EXISTS (
        SELECT FROM "ApiKey" k JOIN "Workspace" w ON w."id" = k."workspaceId"
        WHERE k."id" = i.api_key_id AND k."workspaceId" = i.workspace_id
          AND k."revokedAt" IS NULL AND k."deletedAt" IS NULL AND k."disabledAt" IS NULL
          AND (k."expiresAt" IS NULL OR k."expiresAt" > i.made_at) AND w."suspendedAt" IS NULL
      ) AS live,
      CASE
        WHEN i.idempotency_key IS NOT NULL THEN (
          SELECT c."id" FROM "Charge" c WHERE c."workspaceId" = i.workspace_id AND c."idempotencyKey" = i.idempotency_key
        )
        WHEN is_retry THEN (SELECT c."id" FROM "Charge" c WHERE c."id" = i.charge_id)
      END AS original,
      (min(i.n) OVER (PARTITION BY i.workspace_id, coalesce(i.idempotency_key, i.charge_id)))::integer AS first
    FROM unnest(charge_ids, workspace_ids, api_key_ids, idempotency_keys, made_at)
      WITH ORDINALITY AS i(charge_id, workspace_id, api_key_id, idempotency_key, made_at, n)
    LEFT JOIN unnest(account_ids) WITH ORDINALITY AS a(workspace_id, n) ON a.workspace_id = i.workspace_id
  ) f;

  FOR i IN 1 .. size LOOP
    account := accounts[i];
    IF originals[i] = charge_ids[i] THEN
      outcomes[i] := 'done';
    ELSIF account IS NULL OR NOT lives[i] THEN
      outcomes[i] := 'stale';
    ELSIF originals[i] IS NOT NULL THEN
      outcomes[i] := 'replayed';
    ELSIF winners[firsts[i]] IS NOT NULL THEN
      outcomes[i] := 'replayed';
      originals[i] := charge_ids[winners[firsts[i]]];
    ELSIF prices[i] IS NULL THEN
      outcomes[i] := 'unpriced';
    ELSIF balances[account] - helds[account] < prices[i] THEN
      outcomes[i] := 'insufficient';
    ELSE
      IF holds[i] THEN
        helds[account] := helds[account] + prices[i];
      ELSE
        balances[account] := balances[account] - prices[i];
      END IF;
      outcomes[i] := 'new';
      balances_after[i] := balances[account];
      helds_after[i] := helds[account];
      winners[firsts[i]] := i;
    END IF;
  END LOOP;

  UPDATE "CreditAccount" a SET "balance" = u.balance, "held" = u.held
  FROM unnest(account_ids, balances, helds) AS u(workspace_id, balance, held)
  WHERE a."workspaceId" = u.workspace_id AND (a."balance" <> u.balance OR a."held" <> u.held);

  INSERT INTO "Charge" (
    "id", "workspaceId", "apiKeyId", "product", "action", "quantity", "credits", "balanceAfter", "state", "idempotencyKey", "createdAt", "expiresAt"
  )
  SELECT i.charge_id, i.workspace_id, i.api_key_id, i.product, i.action, i.quantity, i.price, i.balance_after,
    (CASE WHEN i.hold THEN 'HELD' ELSE 'POSTED' END)::"ChargeState", i.idempotency_key, i.made_at, i.hold_end
  FROM unnest(
    charge_ids, workspace_ids, api_key_ids, products, actions, quantities, prices, holds, hold_ends, idempotency_keys, made_at, outcomes, balances_after
  ) AS i(charge_id, workspace_id, api_key_id, product, action, quantity, price, hold, hold_end, idempotency_key, made_at, outcome, balance_after)
  WHERE i.outcome = 'new';

  INSERT INTO "LedgerEntry" (
    "workspaceId", "kind", "credits", "heldCredits", "balanceAfter", "heldAfter", "chargeId", "apiKeyId", "product", "action", "createdAt"
  )
  SELECT i.workspace_id, (CASE WHEN i.hold THEN 'HOLD' ELSE 'CHARGE' END)::"LedgerEntryKind",
    CASE WHEN i.hold THEN 0 ELSE -i.price END, CASE WHEN i.hold THEN i.price ELSE 0 END,
    i.balance_after, i.held_after, i.charge_id, i.api_key_id, i.product, i.action, i.made_at
  FROM unnest(
    charge_ids, workspace_ids, api_key_ids, products, actions, prices, holds, made_at, outcomes, balances_after, helds_after
  ) WITH ORDINALITY AS i(charge_id, workspace_id, api_key_id, product, action, price, hold, made_at, outcome, balance_after, held_after, n)
  WHERE i.outcome = 'new'
  ORDER BY i.n;

  RETURN QUERY
  SELECT i.n::integer, CASE WHEN i.outcome = 'new' THEN 'done' ELSE i.outcome END,
    coalesce(i.balance_after, (SELECT c."balanceAfter" FROM "Charge" c WHERE i.outcome = 'done' AND c."id" = i.charge_id)),
    i.original
  FROM unnest(charge_ids, outcomes, balances_after, originals) WITH ORDINALITY AS i(charge_id, outcome, balance_after, original, n)
  ORDER BY i.n;
END
$$;
