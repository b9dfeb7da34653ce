-- CreateEnum
CREATE TYPE "WebhookDeliveryState" AS ENUM ('PENDING', 'DELIVERED', 'FAILED', 'CANCELLED');

-- CreateEnum
CREATE TYPE "WebhookDisabledReason" AS ENUM ('REQUESTED', 'GONE', 'FAILING');

-- CreateEnum
CREATE TYPE "WebhookFailure" AS ENUM ('ADDRESS_REFUSED', 'CONNECTION_FAILED', 'TLS_FAILED', 'TIMED_OUT', 'INVALID_RESPONSE');

-- AlterTable
ALTER TABLE "CreditAccount" ADD COLUMN     "exhaustedSince" TIMESTAMPTZ(3),
ADD COLUMN     "lowAt" INTEGER,
ADD COLUMN     "lowSince" TIMESTAMPTZ(3);

-- CreateTable
CREATE TABLE "WebhookEndpoint" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "eventTypes" TEXT[],
    "description" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "disabledAt" TIMESTAMPTZ(3),
    "disabledReason" "WebhookDisabledReason",
    "failingSince" TIMESTAMPTZ(3),
    "lastFailedAt" TIMESTAMPTZ(3),
    "deletedAt" TIMESTAMPTZ(3),

    CONSTRAINT "WebhookEndpoint_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "WebhookEvent" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT,
    "type" TEXT NOT NULL,
    "payload" TEXT NOT NULL,
    "idempotencyKey" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "WebhookEvent_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "WebhookDelivery" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "eventId" TEXT NOT NULL,
    "endpointId" TEXT NOT NULL,
    "state" "WebhookDeliveryState" NOT NULL DEFAULT 'PENDING',
    "attemptCount" INTEGER NOT NULL DEFAULT 0,
    "dueAt" TIMESTAMPTZ(3) NOT NULL,
    "leaseId" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "endedAt" TIMESTAMPTZ(3),

    CONSTRAINT "WebhookDelivery_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "WebhookAttempt" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "deliveryId" TEXT NOT NULL,
    "startedAt" TIMESTAMPTZ(3) NOT NULL,
    "durationMs" INTEGER NOT NULL,
    "status" INTEGER,
    "failure" "WebhookFailure",
    "responseStart" TEXT,

    CONSTRAINT "WebhookAttempt_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ApiKeyExpiryNotice" (
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "daysBefore" INTEGER NOT NULL,

    CONSTRAINT "ApiKeyExpiryNotice_pkey" PRIMARY KEY ("apiKeyId","expiresAt","daysBefore")
);

-- CreateIndex
CREATE INDEX "WebhookEndpoint_workspaceId_id_idx" ON "WebhookEndpoint"("workspaceId", "id");

-- CreateIndex
CREATE INDEX "WebhookEndpoint_apiKeyId_id_idx" ON "WebhookEndpoint"("apiKeyId", "id");

-- CreateIndex
CREATE INDEX "WebhookEvent_createdAt_idx" ON "WebhookEvent"("createdAt");

-- CreateIndex
CREATE UNIQUE INDEX "WebhookEvent_workspaceId_idempotencyKey_key" ON "WebhookEvent"("workspaceId", "idempotencyKey");

-- CreateIndex
CREATE INDEX "WebhookDelivery_endpointId_id_idx" ON "WebhookDelivery"("endpointId", "id");

-- CreateIndex
CREATE INDEX "WebhookDelivery_workspaceId_id_idx" ON "WebhookDelivery"("workspaceId", "id");

-- CreateIndex
CREATE UNIQUE INDEX "WebhookDelivery_eventId_endpointId_key" ON "WebhookDelivery"("eventId", "endpointId");

-- CreateIndex
CREATE INDEX "WebhookAttempt_deliveryId_id_idx" ON "WebhookAttempt"("deliveryId", "id");

-- AddForeignKey
ALTER TABLE "WebhookEndpoint" ADD CONSTRAINT "WebhookEndpoint_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "WebhookEndpoint" ADD CONSTRAINT "WebhookEndpoint_apiKeyId_fkey" FOREIGN KEY ("apiKeyId") REFERENCES "ApiKey"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "WebhookDelivery" ADD CONSTRAINT "WebhookDelivery_eventId_fkey" FOREIGN KEY ("eventId") REFERENCES "WebhookEvent"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "WebhookDelivery" ADD CONSTRAINT "WebhookDelivery_endpointId_fkey" FOREIGN KEY ("endpointId") REFERENCES "WebhookEndpoint"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "WebhookAttempt" ADD CONSTRAINT "WebhookAttempt_deliveryId_fkey" FOREIGN KEY ("deliveryId") REFERENCES "WebhookDelivery"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Nothing in this migration refers to "Workspace" from what a charge may write: the check of a foreign key locks the row that it
-- finds, and charges lock accounts only.

ALTER TABLE "CreditAccount"
  ADD CONSTRAINT "CreditAccount_low_at_not_negative" CHECK ("lowAt" >= 0);
ALTER TABLE "WebhookEndpoint"
  ADD CONSTRAINT "WebhookEndpoint_disabled_with_reason" CHECK (("disabledAt" IS NULL) = ("disabledReason" IS NULL));
ALTER TABLE "WebhookDelivery"
  ADD CONSTRAINT "WebhookDelivery_pending_until_ended" CHECK (("state" = 'PENDING') = ("endedAt" IS NULL)),
  ADD CONSTRAINT "WebhookDelivery_leased_while_pending" CHECK ("leaseId" IS NULL OR "state" = 'PENDING');
ALTER TABLE "WebhookAttempt"
  ADD CONSTRAINT "WebhookAttempt_status_or_failure" CHECK ("status" IS NOT NULL OR "failure" IS NOT NULL),
  ADD CONSTRAINT "WebhookAttempt_start_of_response" CHECK (char_length("responseStart") <= 1000);

-- Finding what is due at each endpoint without reading what waits at the others, however much that is.
CREATE INDEX "WebhookDelivery_pending_idx" ON "WebhookDelivery" ("endpointId", "dueAt") WHERE "state" = 'PENDING';

-- Finding the keys that end soon.
CREATE INDEX "ApiKey_expiresAt_idx" ON "ApiKey" ("expiresAt")
  WHERE "expiresAt" IS NOT NULL AND "revokedAt" IS NULL AND "deletedAt" IS NULL;

-- Writes an event and a delivery to each endpoint that listens, in the transaction of what caused it. An event that nobody listens to
-- is not kept, unless it is told to be. A revoked key's endpoints hear that it was revoked, and nothing after it.
CREATE FUNCTION tollkeeper_publish_event(
  event_id text, workspace text, api_key text, event_type text, body text, chosen_key text, at timestamptz, keep boolean
) RETURNS void LANGUAGE sql VOLATILE AS $$
  WITH listening AS (
    SELECT e."id" FROM "WebhookEndpoint" e JOIN "ApiKey" k ON k."id" = e."apiKeyId"
    WHERE e."workspaceId" = workspace AND (api_key IS NULL OR e."apiKeyId" = api_key)
      AND e."deletedAt" IS NULL AND e."disabledAt" IS NULL
      AND (cardinality(e."eventTypes") = 0 OR event_type = ANY (e."eventTypes"))
      AND (event_type = 'api_key.revoked' AND k."id" = api_key OR k."revokedAt" IS NULL AND k."deletedAt" IS NULL)
  ), event AS (
    INSERT INTO "WebhookEvent" ("id", "workspaceId", "apiKeyId", "type", "payload", "idempotencyKey", "createdAt")
    SELECT event_id, workspace, api_key, event_type, body, chosen_key, at WHERE keep OR EXISTS (SELECT FROM listening)
    ON CONFLICT ("workspaceId", "idempotencyKey") DO NOTHING
    RETURNING "id"
  )
  INSERT INTO "WebhookDelivery" ("id", "workspaceId", "eventId", "endpointId", "dueAt", "createdAt")
  SELECT 'whd_' || substr(tollkeeper_ledger_entry_id(), 5), workspace, event."id", listening."id", at, at FROM event, listening
$$;

-- Tells of credits that become few, and of none, in the transaction that took them. It is told once, and again only after credits
-- were added above the line: holds that come and go around it tell nothing new. The condition stands at the trigger, so that a
-- charge that crosses no line calls no function.
CREATE FUNCTION "tell_of_scarce_credits"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before integer := OLD."balance" - OLD."held";
  after integer := NEW."balance" - NEW."held";
  at timestamptz := clock_timestamp();
  told text[] := '{}';
  event_type text;
BEGIN
  IF NEW."balance" > OLD."balance" THEN
    IF after > NEW."lowAt" THEN NEW."lowSince" := NULL; END IF;
    IF after > 0 THEN NEW."exhaustedSince" := NULL; END IF;
  END IF;
  IF NEW."lowSince" IS NULL AND before > NEW."lowAt" AND after <= NEW."lowAt" THEN
    NEW."lowSince" := at;
    told := array_append(told, 'credits.low');
  END IF;
  IF NEW."exhaustedSince" IS NULL AND before > 0 AND after = 0 THEN
    NEW."exhaustedSince" := at;
    told := array_append(told, 'credits.exhausted');
  END IF;
  FOREACH event_type IN ARRAY told LOOP
    PERFORM tollkeeper_publish_event(
      'evt_' || substr(tollkeeper_ledger_entry_id(), 5), NEW."workspaceId", NULL, event_type,
      format(
        '{"type":"%s","timestamp":"%s","data":{"workspaceId":"%s","available":%s,"balance":%s,"held":%s,"lowAt":%s}}',
        event_type, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), NEW."workspaceId", after, NEW."balance",
        NEW."held", coalesce(NEW."lowAt"::text, 'null')
      ),
      NULL, at, false
    );
  END LOOP;
  RETURN NEW;
END
$$;

CREATE TRIGGER "CreditAccount_tells_of_scarcity" BEFORE UPDATE OF "balance", "held" ON "CreditAccount"
  FOR EACH ROW WHEN (
    (NEW."lowSince" IS NULL AND NEW."balance" - NEW."held" <= NEW."lowAt" AND OLD."balance" - OLD."held" > NEW."lowAt")
    OR (NEW."exhaustedSince" IS NULL AND NEW."balance" = NEW."held" AND OLD."balance" > OLD."held")
    OR (NEW."balance" > OLD."balance" AND (NEW."lowSince" IS NOT NULL OR NEW."exhaustedSince" IS NOT NULL))
  )
  EXECUTE FUNCTION "tell_of_scarce_credits"();
