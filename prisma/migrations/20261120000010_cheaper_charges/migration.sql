-- A batch touches as many accounts as it has charges. How many that are, the plan of a statement that is planned once cannot know, and
-- while there are few accounts it would rather read them all: that cost more than all else about deciding a charge.
ALTER FUNCTION tollkeeper_charge(
  text[], text[], text[], text[], text[], double precision[], integer[], boolean[], timestamptz[], text[], timestamptz[], boolean
) SET enable_seqscan = off;

-- Most charges have no idempotency key, and need no place in the index of those.
DROP INDEX "Charge_workspaceId_idempotencyKey_key";
CREATE UNIQUE INDEX "Charge_workspaceId_idempotencyKey_key" ON "Charge"("workspaceId", "idempotencyKey")
  WHERE "idempotencyKey" IS NOT NULL;

-- Rows that change again and again stay on their pages, and out of the indexes, where the pages have room for their next versions.
ALTER TABLE "CreditAccount" SET (fillfactor = 60);
ALTER TABLE "KeySecret" SET (fillfactor = 80);
ALTER TABLE "KeyUsage" SET (fillfactor = 80);
