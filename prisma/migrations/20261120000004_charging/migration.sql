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

-- Brings the grants of one workspace up to date and takes what has run out. What the balance has lost since the last time was
-- spent in the order of priority, end and age; what is held is kept for its holds in the same order. What was refunded and
-- belongs to no grant any more becomes one that does not run out. Afterwards what remains of all grants is the balance.
CREATE FUNCTION tollkeeper_settle_grants(workspace text, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  account "CreditAccount";
  given "CreditGrant";
  spent bigint;
  reserved integer;
  rest integer;
  reserved_here integer;
  expired integer;
BEGIN
  SELECT * INTO account FROM "CreditAccount" WHERE "workspaceId" = workspace FOR UPDATE;
  SELECT coalesce(sum("remaining"), 0) - account."balance" INTO spent
  FROM "CreditGrant" WHERE "workspaceId" = workspace AND "remaining" > 0;
  reserved := account."held";

  FOR given IN
    SELECT * FROM "CreditGrant" WHERE "workspaceId" = workspace AND "remaining" > 0
    ORDER BY "priority", "expiresAt" NULLS LAST, "id"
  LOOP
    rest := given."remaining" - least(given."remaining", greatest(spent, 0));
    spent := spent - (given."remaining" - rest);
    reserved_here := least(rest, reserved);
    reserved := reserved - reserved_here;
    expired := CASE WHEN given."expiresAt" <= at THEN rest - reserved_here ELSE 0 END;
    IF expired > 0 THEN
      account."balance" := account."balance" - expired;
      INSERT INTO "LedgerEntry" ("workspaceId", "kind", "credits", "balanceAfter", "heldAfter", "reason", "createdAt")
      VALUES (workspace, 'EXPIRE', -expired, account."balance", account."held", 'Granted credits ran out of time', at);
    END IF;
    IF given."remaining" <> rest - expired THEN
      UPDATE "CreditGrant" SET "remaining" = rest - expired WHERE "id" = given."id";
    END IF;
  END LOOP;

  IF spent < 0 THEN
    INSERT INTO "CreditGrant" ("id", "workspaceId", "credits", "remaining", "createdAt")
    VALUES ('grt_' || substr(tollkeeper_ledger_entry_id(), 5), workspace, -spent, -spent, at);
  END IF;

  UPDATE "CreditAccount" SET
    "balance" = account."balance",
    "expiresAt" = (SELECT min("expiresAt") FROM "CreditGrant" WHERE "workspaceId" = workspace AND "remaining" > 0)
  WHERE "workspaceId" = workspace;
END
$$;

-- Decides and writes a batch of charges in one statement. Element n of each array belongs to charge n; they are decided in
-- this order, so a charge that does not fit is refused and a later, smaller one may still fit. Accounts are locked in the
-- order of their ids, so that batches of several processes never wait for each other in a circle.
--
-- Outcomes: done; replayed (`original` is the charge that stands under the idempotency key); insufficient; capped (the key has
-- reached the limit of its period); unpriced (no
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
  -- Of keys with a spend limit: the limit, when the period began, and under the first charge of each key and period what was
  -- spent in it.
  limits integer[];
  starts timestamptz[];
  slots integer[];
  spendings bigint[];
  account integer;
  runs_out boolean;
  -- Microseconds since 1970.
  moment bigint;
BEGIN
  SELECT array_agg(a."workspaceId"), array_agg(a."balance"), array_agg(a."held"), bool_or(a."expiresAt" <= made_at[size])
  INTO account_ids, balances, helds, runs_out
  FROM (
    SELECT "workspaceId", "balance", "held", "expiresAt" FROM "CreditAccount"
    WHERE "workspaceId" = ANY (workspace_ids) ORDER BY "workspaceId" FOR UPDATE
  ) a;

  IF runs_out THEN
    PERFORM tollkeeper_settle_grants("workspaceId", made_at[size])
    FROM "CreditAccount" WHERE "workspaceId" = ANY (account_ids) AND "expiresAt" <= made_at[size];
    SELECT array_agg(a."balance" ORDER BY a."workspaceId"), array_agg(a."held" ORDER BY a."workspaceId")
    INTO balances, helds
    FROM "CreditAccount" a WHERE a."workspaceId" = ANY (account_ids);
  END IF;

  SELECT array_agg(f.account), array_agg(f.live), array_agg(f.original), array_agg(f.first), array_agg(f.spend_limit),
    array_agg(f.start), array_agg(f.slot), array_agg(CASE WHEN f.start IS NOT NULL THEN coalesce(
      (SELECT s."credits" FROM "KeySpending" s WHERE s."apiKeyId" = f.api_key_id AND s."startsAt" = f.start), 0
    ) END)
  INTO accounts, lives, originals, firsts, limits, starts, slots, spendings
  FROM (
    SELECT i.n, i.api_key_id, a.n::integer AS account, k.live, k."spendLimit" AS spend_limit, k.start,
      CASE
        WHEN i.idempotency_key IS NOT NULL THEN (
          SELECT c."id" FROM "Charge" c WHERE c."workspaceId" = i.workspace_id AND c."idempotencyKey" = i.idempotency_key
        )
        WHEN is_retry THEN (SELECT c."id" FROM "Charge" c WHERE c."id" = i.charge_id)
      END AS original,
      (min(i.n) OVER (PARTITION BY i.workspace_id, coalesce(i.idempotency_key, i.charge_id)))::integer AS first,
      (min(i.n) OVER (PARTITION BY i.api_key_id, k.start))::integer AS slot
    FROM unnest(charge_ids, workspace_ids, api_key_ids, idempotency_keys, made_at)
      WITH ORDINALITY AS i(charge_id, workspace_id, api_key_id, idempotency_key, made_at, n)
    LEFT JOIN unnest(account_ids) WITH ORDINALITY AS a(workspace_id, n) ON a.workspace_id = i.workspace_id
    LEFT JOIN LATERAL (
      SELECT k."spendLimit",
        CASE WHEN k."spendPeriod" IS NOT NULL THEN
          date_trunc(lower(k."spendPeriod"::text), i.made_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
        END AS start,
        k."revokedAt" IS NULL AND k."deletedAt" IS NULL AND k."disabledAt" IS NULL
          AND (k."expiresAt" IS NULL OR k."expiresAt" > i.made_at) AND w."suspendedAt" IS NULL AS live
      FROM "ApiKey" k JOIN "Workspace" w ON w."id" = k."workspaceId"
      WHERE k."id" = i.api_key_id AND k."workspaceId" = i.workspace_id
    ) k ON true
    ORDER BY i.n
  ) f;

  FOR i IN 1 .. size LOOP
    account := accounts[i];
    IF originals[i] = charge_ids[i] THEN
      outcomes[i] := 'done';
    ELSIF account IS NULL OR lives[i] IS NOT TRUE THEN
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
    ELSIF limits[i] IS NOT NULL AND spendings[slots[i]] + prices[i] > limits[i] THEN
      outcomes[i] := 'capped';
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
      IF limits[i] IS NOT NULL THEN
        spendings[slots[i]] := spendings[slots[i]] + prices[i];
      END IF;
    END IF;
  END LOOP;

  UPDATE "CreditAccount" a SET "balance" = u.balance, "held" = u.held
  FROM unnest(account_ids, balances, helds) AS u(workspace_id, balance, held)
  WHERE a."workspaceId" = u.workspace_id AND (a."balance" <> u.balance OR a."held" <> u.held);

  -- Charges of one key are always decided under the lock of its workspace's account, so nobody else has written in between.
  INSERT INTO "KeySpending" AS s ("workspaceId", "apiKeyId", "startsAt", "credits")
  SELECT i.workspace_id, i.api_key_id, i.start, i.spending
  FROM unnest(workspace_ids, api_key_ids, limits, starts, slots, spendings)
    WITH ORDINALITY AS i(workspace_id, api_key_id, spend_limit, start, slot, spending, n)
  WHERE i.n = i.slot AND i.spend_limit IS NOT NULL
  ON CONFLICT ("apiKeyId", "startsAt") DO UPDATE SET "credits" = excluded."credits" WHERE s."credits" <> excluded."credits";

  INSERT INTO "Charge" (
    "id", "workspaceId", "apiKeyId", "product", "action", "quantity", "credits", "balanceAfter", "state", "idempotencyKey", "createdAt", "expiresAt"
  )
  SELECT i.charge_id, i.workspace_id, i.api_key_id, i.product, i.action, i.quantity, i.price, i.balance_after,
    (CASE WHEN i.hold THEN 'HELD' ELSE 'POSTED' END)::"ChargeState", i.idempotency_key, i.made_at, i.hold_end
  FROM unnest(
    charge_ids, workspace_ids, api_key_ids, products, actions, quantities, prices, holds, hold_ends, idempotency_keys, made_at, outcomes, balances_after
  ) AS i(charge_id, workspace_id, api_key_id, product, action, quantity, price, hold, hold_end, idempotency_key, made_at, outcome, balance_after)
  WHERE i.outcome = 'new';

  -- The same ids as tollkeeper_ledger_entry_id() makes, without a call for each.
  moment := floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
  INSERT INTO "LedgerEntry" (
    "id", "workspaceId", "kind", "credits", "heldCredits", "balanceAfter", "heldAfter", "chargeId", "apiKeyId", "product", "action",
    "createdAt"
  )
  SELECT 'led_' || lpad(to_hex(moment / 1000), 12, '0') || '7' || lpad(to_hex((moment % 1000) * 4), 3, '0') || '8'
      || lpad(to_hex(nextval('"LedgerEntry_order"')), 10, '0') || lpad(to_hex(floor(random() * 1048576)::int), 5, '0'),
    i.workspace_id, (CASE WHEN i.hold THEN 'HOLD' ELSE 'CHARGE' END)::"LedgerEntryKind",
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

-- Each check of a foreign key locks the row that it finds, so that every charge would write to its key and its workspace. What a charge
-- and its line refer to is read in the statement that writes them, and is never removed: these triggers see to that instead.
ALTER TABLE "Charge" DROP CONSTRAINT "Charge_workspaceId_fkey", DROP CONSTRAINT "Charge_apiKeyId_fkey";
ALTER TABLE "LedgerEntry" DROP CONSTRAINT "LedgerEntry_workspaceId_fkey", DROP CONSTRAINT "LedgerEntry_chargeId_fkey";

CREATE FUNCTION "refuse_removal_of_record"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'Workspace' AND NOT EXISTS (SELECT FROM "LedgerEntry" WHERE "workspaceId" = OLD."id") THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION '% refused: the ledger refers to the rows of "%", so they are never removed or renamed', TG_OP, TG_TABLE_NAME;
END
$$;

CREATE TRIGGER "Workspace_stays" BEFORE DELETE OR UPDATE OF "id" ON "Workspace"
  FOR EACH ROW EXECUTE FUNCTION "refuse_removal_of_record"();
CREATE TRIGGER "Workspace_not_truncated" BEFORE TRUNCATE ON "Workspace"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_removal_of_record"();
CREATE TRIGGER "ApiKey_stays" BEFORE DELETE OR UPDATE OF "id" ON "ApiKey"
  FOR EACH ROW EXECUTE FUNCTION "refuse_removal_of_record"();
CREATE TRIGGER "ApiKey_not_truncated" BEFORE TRUNCATE ON "ApiKey"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_removal_of_record"();
CREATE TRIGGER "Charge_stays" BEFORE DELETE OR UPDATE OF "id" ON "Charge"
  FOR EACH ROW EXECUTE FUNCTION "refuse_removal_of_record"();
CREATE TRIGGER "Charge_not_truncated" BEFORE TRUNCATE ON "Charge"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_removal_of_record"();

-- Nothing looks for lines by their charge.
DROP INDEX "LedgerEntry_chargeId_idx";
