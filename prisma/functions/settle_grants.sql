-- Updates what remains of the grants of one workspace, and expires grants that are due. What the balance has
-- lost since the last time was spent from the grants in the order of priority, expiry and age; credits that
-- are held stay reserved in the same order. Refunded credits that belong to no grant any more become a grant
-- that does not expire. Afterwards the remaining credits of all grants add up to the balance.
CREATE OR REPLACE FUNCTION tollkeeper.settle_grants(workspace text, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
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
    rest := (given."remaining" - least(given."remaining", greatest(spent, 0)))::integer;
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
    VALUES (tollkeeper.new_id('grt'), workspace, -spent, -spent, at);
  END IF;

  UPDATE "CreditAccount" SET
    "balance" = account."balance",
    "expiresAt" = (SELECT min("expiresAt") FROM "CreditGrant" WHERE "workspaceId" = workspace AND "remaining" > 0)
  WHERE "workspaceId" = workspace;
END
$$;
