-- Decides and writes a batch of charges in one statement. Element i of the arrays from `accounts` on belongs
-- to charge i; charges are decided in this order, so after one that does not fit a smaller one may still fit.
-- `accounts` are positions in `workspace_ids`, which names each workspace once, sorted the same way by every
-- caller: accounts are locked in this order, so that batches of several processes do not deadlock.
--
-- Outcomes: done; replayed (`originals` has the charge that exists under the idempotency key); insufficient;
-- capped (the key has reached the spend limit of its period); unpriced (price -1, and no charge exists under
-- the idempotency key); stale (a transaction that `seen`, a snapshot of `era`, does not see has changed the
-- key or its workspace).
--
-- Idempotency keys, and spend limits with their periods, are null as a whole if no charge of the batch has
-- one. `is_retry`: the batch was sent before and its answer was lost; charges that it wrote are found by
-- their ids.
CREATE OR REPLACE FUNCTION tollkeeper.charge(
  era text, seen pg_snapshot, workspace_ids text[], accounts integer[], charge_ids text[], api_key_ids text[],
  products text[], actions text[], quantities double precision[], prices integer[], holds boolean[],
  hold_ends timestamptz[], made_at timestamptz[], idempotency_keys text[], spend_limits integer[], spend_periods text[],
  is_retry boolean,
  OUT outcomes text[], OUT balances_after integer[], OUT originals text[]
) LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  size integer := cardinality(accounts);
  helds_after integer[] := array_fill(NULL::integer, ARRAY[size]);
  -- Per workspace: its account, null if it has none.
  balances integer[];
  helds integer[];
  -- Ids of keys and workspaces.
  changed text[];
  -- Per charge: the balance after the charge that exists, and the first of the batch under its idempotency
  -- key; at that position, which of them was done.
  balances_written integer[];
  key_firsts integer[];
  key_winners integer[];
  -- Per charge: the start of its spend period, and the first of the batch in it; at that position, what was
  -- spent.
  period_starts timestamptz[];
  period_firsts integer[];
  spendings bigint[];
  account integer;
  price integer;
BEGIN
  outcomes := array_fill(NULL::text, ARRAY[size]);
  balances_after := array_fill(NULL::integer, ARRAY[size]);

  -- 1. Lock the accounts, and expire grants that are due.
  SELECT a.balances, a.helds INTO balances, helds FROM tollkeeper.lock_accounts(workspace_ids, made_at[size]) a;

  -- 2. Find what changed, after the locks: this sees what was committed while they were waited for.
  SELECT array_agg(c."id") INTO changed FROM tollkeeper.changed_since(seen) c;
  IF era <> tollkeeper.era() THEN
    changed := api_key_ids;
  END IF;

  -- 3. Find charges that exist already, and what the keys have spent in their periods.
  IF is_retry OR idempotency_keys IS NOT NULL THEN
    SELECT r.originals, r.balances_after, r.firsts INTO originals, balances_written, key_firsts
    FROM tollkeeper.find_repeated_charges(workspace_ids, accounts, charge_ids, idempotency_keys, is_retry) r;
    key_winners := array_fill(NULL::integer, ARRAY[size]);
  END IF;
  IF spend_limits IS NOT NULL THEN
    SELECT s.period_starts, s.firsts, s.spendings INTO period_starts, period_firsts, spendings
    FROM tollkeeper.find_period_spending(api_key_ids, spend_periods, made_at) s;
  END IF;

  -- 4. Decide each charge.
  FOR i IN 1 .. size LOOP
    account := accounts[i];
    price := prices[i];
    IF originals IS NOT NULL AND originals[i] = charge_ids[i] THEN
      -- The lost batch has written it: answered as that batch would have been.
      outcomes[i] := 'done';
      balances_after[i] := balances_written[i];
    ELSIF balances[account] IS NULL
      OR (changed IS NOT NULL AND (api_key_ids[i] = ANY (changed) OR workspace_ids[account] = ANY (changed))) THEN
      outcomes[i] := 'stale';
    ELSIF originals IS NOT NULL AND originals[i] IS NOT NULL THEN
      outcomes[i] := 'replayed';
    ELSIF key_firsts IS NOT NULL AND key_winners[key_firsts[i]] IS NOT NULL THEN
      outcomes[i] := 'replayed';
      originals[i] := charge_ids[key_winners[key_firsts[i]]];
    ELSIF price < 0 THEN
      outcomes[i] := 'unpriced';
    ELSIF balances[account] - helds[account] < price THEN
      outcomes[i] := 'insufficient';
    ELSIF spendings IS NOT NULL AND spendings[period_firsts[i]] + price > spend_limits[i] THEN
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
      IF key_firsts IS NOT NULL THEN
        key_winners[key_firsts[i]] := i;
      END IF;
      IF spendings IS NOT NULL AND spend_limits[i] IS NOT NULL THEN
        spendings[period_firsts[i]] := spendings[period_firsts[i]] + price;
      END IF;
    END IF;
  END LOOP;

  -- 5. Write the accounts, the spending, and the charges that were decided here with their ledger entries.
  UPDATE "CreditAccount" a SET "balance" = u.balance, "held" = u.held
  FROM unnest(workspace_ids, balances, helds) AS u(workspace_id, balance, held)
  WHERE a."workspaceId" = u.workspace_id AND (a."balance" <> u.balance OR a."held" <> u.held);
  IF spendings IS NOT NULL THEN
    PERFORM tollkeeper.write_period_spending(
      workspace_ids, accounts, api_key_ids, spend_limits, period_starts, period_firsts, spendings
    );
  END IF;
  PERFORM tollkeeper.write_charges(
    workspace_ids, accounts, charge_ids, api_key_ids, products, actions, quantities, prices, holds, hold_ends, made_at,
    idempotency_keys, balances_after, helds_after
  );
END
$$;
