-- A batch touches as many accounts as it has charges. How many that are, the plan of a statement that is planned once cannot know, and
-- while there are few accounts it would rather read them all: that cost more than all else about deciding a charge.
ALTER FUNCTION tollkeeper_charge(
  text[], text[], text[], text[], text[], double precision[], integer[], boolean[], timestamptz[], text[], timestamptz[], boolean
) SET enable_seqscan = off;

-- Most charges have no idempotency key, and need no place in the index of those.
DROP INDEX "Charge_workspaceId_idempotencyKey_key";
CREATE UNIQUE INDEX "Charge_workspaceId_idempotencyKey_key" ON "Charge"("workspaceId", "idempotencyKey")
  WHERE "idempotencyKey" IS NOT NULL;
