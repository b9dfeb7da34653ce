DROP FUNCTION tollkeeper_charge(
  text[], text[], text[], text[], text[], double precision[], integer[], boolean[], timestamptz[], text[], timestamptz[], boolean
);

-- Decides and writes a batch of charges in one statement. Element n of the arrays from `accounts` on belongs to charge n; they are decided
-- in this order, so a charge that does not fit is refused and a later, smaller one may still fit. Each workspace is named once, and the
-- accounts are locked in the order in which they are named: every caller sorts them alike, so that batches of several processes never
-- wait for each other in a circle.
--
-- Outcomes: done; replayed (`originals` names the charge that stands under the idempotency key); insufficient; capped (the key has
-- reached the limit of its period); unpriced (no price was given and nothing stands under the key); stale (the key or its workspace
-- was changed by something that `seen` of `era` does not see, so what was checked may be wrong).
--
-- What most batches have nothing of is null as a whole: idempotency keys, and spend limits with their periods. `is_retry` says that the
-- batch was sent before and its answer was lost: what it had written is found by its id.
CREATE FUNCTION tollkeeper_charge(
  era text,
  seen pg_snapshot,
  workspace_ids text[],
  accounts integer[],
  charge_ids text[],
  api_key_ids text[],
  products text[],
  actions text[],
  quantities double precision[],
  -- -1 where there is none.
  prices integer[],
  holds boolean[],
  hold_ends timestamptz[],
  made_at timestamptz[],
  idempotency_keys text[],
  spend_limits integer[],
  spend_periods text[],
  is_retry boolean,
  OUT outcomes text[],
  OUT balances_after integer[],
  OUT originals text[]
) LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  size integer := cardinality(accounts);
  now timestamptz := made_at[size];
  -- Per account.
  places integer[];
  balances integer[];
  helds integer[];
  runs_out boolean;
  -- Keys and workspaces.
  changed text[];
  helds_after integer[] := array_fill(NULL::integer, ARRAY[size]);
  -- Of each charge, the first of this batch under its idempotency key; and under that first one, which of them was done.
  firsts integer[];
  winners integer[];
  -- Of each charge, when its period began, and the first of this batch of its key and period; and under that first one, what was spent.
  period_starts timestamptz[];
  slots integer[];
  spendings bigint[];
  account integer;
  price integer;
  -- Microseconds since 1970.
  moment bigint;
  line_prefix text;
BEGIN
  outcomes := array_fill(NULL::text, ARRAY[size]);
  balances_after := array_fill(NULL::integer, ARRAY[size]);

  SELECT array_agg(a.n), array_agg(a."balance"), array_agg(a."held"), bool_or(a."expiresAt" <= now)
  INTO places, balances, helds, runs_out
  FROM (
    SELECT w.n::integer AS n, a."balance", a."held", a."expiresAt"
    FROM unnest(workspace_ids) WITH ORDINALITY AS w(id, n) JOIN "CreditAccount" a ON a."workspaceId" = w.id
    ORDER BY w.n FOR UPDATE OF a
  ) a;

  IF runs_out OR places IS NULL OR cardinality(places) < cardinality(workspace_ids) THEN
    PERFORM tollkeeper_settle_grants("workspaceId", now)
    FROM "CreditAccount" WHERE "workspaceId" = ANY (workspace_ids) AND "expiresAt" <= now;
    SELECT array_agg(a."balance" ORDER BY w.n), array_agg(a."held" ORDER BY w.n)
    INTO balances, helds
    FROM unnest(workspace_ids) WITH ORDINALITY AS w(id, n) LEFT JOIN "CreditAccount" a ON a."workspaceId" = w.id;
  END IF;

  -- After the locks, so that it sees what was committed while they were waited for.
  SELECT array_agg(c."id") INTO changed FROM tollkeeper_changed_since(seen) c;
  IF era <> tollkeeper_era() THEN
    changed := api_key_ids;
  END IF;

  IF is_retry OR idempotency_keys IS NOT NULL THEN
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
      FROM unnest(charge_ids, accounts, idempotency_keys) WITH ORDINALITY AS i(charge_id, account, idempotency_key, n)
    ) f;
    winners := array_fill(NULL::integer, ARRAY[size]);
  END IF;

  -- Charges of one key are always decided under the lock of its workspace's account, so nobody else writes in between.
  IF spend_limits IS NOT NULL THEN
    SELECT array_agg(f.start ORDER BY f.n), array_agg(f.slot ORDER BY f.n), array_agg(coalesce(s."credits", 0) ORDER BY f.n)
    INTO period_starts, slots, spendings
    FROM (
      SELECT i.n, i.api_key_id, i.start, (min(i.n) OVER (PARTITION BY i.api_key_id, i.start))::integer AS slot
      FROM (
        SELECT i.n, i.api_key_id, date_trunc(lower(i.period), i.made_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS start
        FROM unnest(api_key_ids, spend_periods, made_at) WITH ORDINALITY AS i(api_key_id, period, made_at, n)
      ) i
    ) f
    LEFT JOIN "KeySpending" s ON s."apiKeyId" = f.api_key_id AND s."startsAt" = f.start;
  END IF;

  FOR i IN 1 .. size LOOP
    account := accounts[i];
    price := prices[i];
    IF originals IS NOT NULL AND originals[i] = charge_ids[i] THEN
      outcomes[i] := 'written';
    ELSIF balances[account] IS NULL
      OR (changed IS NOT NULL AND (api_key_ids[i] = ANY (changed) OR workspace_ids[account] = ANY (changed))) THEN
      outcomes[i] := 'stale';
    ELSIF originals IS NOT NULL AND originals[i] IS NOT NULL THEN
      outcomes[i] := 'replayed';
    ELSIF firsts IS NOT NULL AND winners[firsts[i]] IS NOT NULL THEN
      outcomes[i] := 'replayed';
      originals[i] := charge_ids[winners[firsts[i]]];
    ELSIF price < 0 THEN
      outcomes[i] := 'unpriced';
    ELSIF balances[account] - helds[account] < price THEN
      outcomes[i] := 'insufficient';
    ELSIF spendings IS NOT NULL AND spendings[slots[i]] + price > spend_limits[i] THEN
      outcomes[i] := 'capped';
    ELSE
      IF holds[i] THEN
        helds[account] := helds[account] + price;
      ELSE
        balances[account] := balances[account] - price;
      END IF;
      outcomes[i] := 'done';
      balances_after[i] := balances[account];
      helds_after[i] := helds[account];
      IF firsts IS NOT NULL THEN
        winners[firsts[i]] := i;
      END IF;
      IF spendings IS NOT NULL AND spend_limits[i] IS NOT NULL THEN
        spendings[slots[i]] := spendings[slots[i]] + price;
      END IF;
    END IF;
  END LOOP;

  UPDATE "CreditAccount" a SET "balance" = u.balance, "held" = u.held
  FROM unnest(workspace_ids, balances, helds) AS u(workspace_id, balance, held)
  WHERE a."workspaceId" = u.workspace_id AND (a."balance" <> u.balance OR a."held" <> u.held);

  IF spendings IS NOT NULL THEN
    INSERT INTO "KeySpending" AS s ("workspaceId", "apiKeyId", "startsAt", "credits")
    SELECT workspace_ids[i.account], i.api_key_id, i.start, i.spending
    FROM unnest(accounts, api_key_ids, spend_limits, period_starts, slots, spendings)
      WITH ORDINALITY AS i(account, api_key_id, spend_limit, start, slot, spending, n)
    WHERE i.n = i.slot AND i.spend_limit IS NOT NULL
    ON CONFLICT ("apiKeyId", "startsAt") DO UPDATE SET "credits" = excluded."credits" WHERE s."credits" <> excluded."credits";
  END IF;

  -- The ids of lines are made as tollkeeper_ledger_entry_id() makes them; the lines of a batch are numbered in the place of what is random.
  moment := floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
  line_prefix := 'led_' || lpad(to_hex(moment / 1000), 12, '0') || '7' || lpad(to_hex((moment % 1000) * 4), 3, '0') || '8'
    || lpad(to_hex(nextval('"LedgerEntry_order"')), 10, '0');

  WITH taken AS MATERIALIZED (
    SELECT * FROM unnest(
      accounts, charge_ids, api_key_ids, products, actions, quantities, prices, holds, hold_ends, made_at, idempotency_keys, balances_after,
      helds_after
    ) WITH ORDINALITY AS i(
      account, charge_id, api_key_id, product, action, quantity, price, hold, hold_end, made_at, idempotency_key, balance_after, held_after, n
    )
    WHERE i.balance_after IS NOT NULL
  ), charges AS (
    INSERT INTO "Charge" (
      "id", "workspaceId", "apiKeyId", "product", "action", "quantity", "credits", "balanceAfter", "state", "idempotencyKey", "createdAt",
      "expiresAt"
    )
    SELECT i.charge_id, workspace_ids[i.account], i.api_key_id, i.product, i.action, i.quantity, i.price, i.balance_after,
      (CASE WHEN i.hold THEN 'HELD' ELSE 'POSTED' END)::"ChargeState", i.idempotency_key, i.made_at, i.hold_end
    FROM taken i
  )
  INSERT INTO "LedgerEntry" (
    "id", "workspaceId", "kind", "credits", "heldCredits", "balanceAfter", "heldAfter", "chargeId", "apiKeyId", "product", "action",
    "createdAt"
  )
  SELECT line_prefix || lpad(to_hex(i.n), 5, '0'), workspace_ids[i.account],
    (CASE WHEN i.hold THEN 'HOLD' ELSE 'CHARGE' END)::"LedgerEntryKind",
    CASE WHEN i.hold THEN 0 ELSE -i.price END, CASE WHEN i.hold THEN i.price ELSE 0 END,
    i.balance_after, i.held_after, i.charge_id, i.api_key_id, i.product, i.action, i.made_at
  FROM taken i;

  -- What a lost answer had written answers as it did then.
  IF is_retry THEN
    FOR i IN 1 .. size LOOP
      IF outcomes[i] = 'written' THEN
        outcomes[i] := 'done';
        SELECT c."balanceAfter" INTO balances_after[i] FROM "Charge" c WHERE c."id" = charge_ids[i];
      END IF;
    END LOOP;
  END IF;
END
$$;
