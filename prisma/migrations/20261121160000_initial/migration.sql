-- The schema of the first release. Functions have one file each in prisma/functions and are applied after the
-- migrations. Those that triggers and defaults need are declared here; until they have their bodies they
-- refuse.
CREATE SCHEMA "tollkeeper";
GRANT USAGE ON SCHEMA "tollkeeper" TO PUBLIC;

-- Every text of a function that was ever applied, by its SHA-256 in hexadecimal; the newest is the current
-- one.
CREATE TABLE "tollkeeper"."function_version" (
    "function" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "applied_at" TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "function_version_pkey" PRIMARY KEY ("function", "hash")
);

DO $$
DECLARE
  body text := 'BEGIN RAISE EXCEPTION ''The functions of prisma/functions are not applied: run tollkeeper migrate''; END';
  name text;
BEGIN
  EXECUTE format('CREATE FUNCTION tollkeeper.new_id(prefix text) RETURNS text LANGUAGE plpgsql AS %L', body);
  FOREACH name IN ARRAY ARRAY[
    'chain_audit_event', 'note_change', 'note_change_of_key', 'note_change_of_workspace', 'publish_credit_alerts',
    'refuse_change_of_chain', 'refuse_change_of_record', 'refuse_record_without_result', 'refuse_removal_of_record',
    'refuse_truncation'
  ] LOOP
    EXECUTE format('CREATE FUNCTION tollkeeper.%I() RETURNS trigger LANGUAGE plpgsql AS %L', name, body);
  END LOOP;
END
$$;

-- Part of the ids that the database makes: decides between ids of the same microsecond.
CREATE SEQUENCE "LedgerEntry_order" AS bigint CYCLE MAXVALUE 1099511627775;

-- What follows up to the next heading is generated from prisma/schema.prisma, without four foreign keys (see
-- below).

CREATE TYPE "WorkspaceKind" AS ENUM ('PERSONAL', 'ORGANIZATION');
CREATE TYPE "Role" AS ENUM ('OWNER', 'ADMIN', 'MEMBER');
CREATE TYPE "Environment" AS ENUM ('LIVE', 'TEST');
CREATE TYPE "LedgerEntryKind" AS ENUM ('GRANT', 'CHARGE', 'REFUND', 'HOLD', 'CAPTURE', 'RELEASE', 'EXPIRE');
CREATE TYPE "ChargeState" AS ENUM ('POSTED', 'HELD', 'CAPTURED', 'RELEASED', 'REFUNDED');
CREATE TYPE "SpendPeriod" AS ENUM ('HOUR', 'DAY', 'MONTH');
CREATE TYPE "WebhookDeliveryState" AS ENUM ('PENDING', 'DELIVERED', 'FAILED', 'CANCELLED');
CREATE TYPE "WebhookDisabledReason" AS ENUM ('REQUESTED', 'GONE', 'FAILING');
CREATE TYPE "WebhookFailure" AS ENUM ('ADDRESS_REFUSED', 'CONNECTION_FAILED', 'TLS_FAILED', 'TIMED_OUT', 'INVALID_RESPONSE');
CREATE TYPE "PrincipalKind" AS ENUM ('API_KEY', 'USER', 'SERVICE', 'SYSTEM');

CREATE TABLE "User" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "emailVerified" BOOLEAN NOT NULL DEFAULT false,
    "image" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "AuthSession" (
    "id" TEXT NOT NULL,
    "token" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "ipAddress" TEXT,
    "userAgent" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "AuthSession_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "AuthAccount" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "providerId" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "accessToken" TEXT,
    "refreshToken" TEXT,
    "idToken" TEXT,
    "accessTokenExpiresAt" TIMESTAMPTZ(3),
    "refreshTokenExpiresAt" TIMESTAMPTZ(3),
    "scope" TEXT,
    "password" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "AuthAccount_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "AuthVerification" (
    "id" TEXT NOT NULL,
    "identifier" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "AuthVerification_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Workspace" (
    "id" TEXT NOT NULL,
    "kind" "WorkspaceKind" NOT NULL,
    "name" TEXT NOT NULL,
    "personalOwnerId" TEXT,
    "suspendedAt" TIMESTAMPTZ(3),
    "suspensionReason" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "changedIn" BIGINT,

    CONSTRAINT "Workspace_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Member" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "role" "Role" NOT NULL,
    "permissions" TEXT[],
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Member_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Invitation" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "role" "Role" NOT NULL,
    "tokenHash" BYTEA NOT NULL,
    "invitedById" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "acceptedAt" TIMESTAMPTZ(3),

    CONSTRAINT "Invitation_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "WorkspaceFeature" (
    "workspaceId" TEXT NOT NULL,
    "product" TEXT NOT NULL,
    "feature" TEXT NOT NULL,
    "enabledAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "WorkspaceFeature_pkey" PRIMARY KEY ("workspaceId","product","feature")
);

CREATE TABLE "ApiKey" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "product" TEXT NOT NULL,
    "environment" "Environment" NOT NULL,
    "name" TEXT NOT NULL,
    "keyId" TEXT,
    "permissions" TEXT[],
    "allowedOrigins" TEXT[],
    "spendLimit" INTEGER,
    "spendPeriod" "SpendPeriod",
    "createdByKind" "PrincipalKind" NOT NULL,
    "createdByUserId" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "disabledAt" TIMESTAMPTZ(3),
    "expiresAt" TIMESTAMPTZ(3),
    "revokedAt" TIMESTAMPTZ(3),
    "revocationReason" TEXT,
    "deletedAt" TIMESTAMPTZ(3),
    "changedIn" BIGINT,

    CONSTRAINT "ApiKey_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "KeySecret" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT NOT NULL,
    "hash" BYTEA NOT NULL,
    "preview" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "retiresAt" TIMESTAMPTZ(3),
    "changedIn" BIGINT,

    CONSTRAINT "KeySecret_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "SigningSecret" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT NOT NULL,
    "ciphertext" BYTEA NOT NULL,
    "preview" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "retiresAt" TIMESTAMPTZ(3),

    CONSTRAINT "SigningSecret_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "CreditAccount" (
    "workspaceId" TEXT NOT NULL,
    "balance" INTEGER NOT NULL DEFAULT 0,
    "held" INTEGER NOT NULL DEFAULT 0,
    "expiresAt" TIMESTAMPTZ(3),
    "lowAt" INTEGER,
    "lowSince" TIMESTAMPTZ(3),
    "exhaustedSince" TIMESTAMPTZ(3),

    CONSTRAINT "CreditAccount_pkey" PRIMARY KEY ("workspaceId")
);

CREATE TABLE "LedgerEntry" (
    "id" TEXT NOT NULL DEFAULT tollkeeper.new_id('led'::text),
    "workspaceId" TEXT NOT NULL,
    "kind" "LedgerEntryKind" NOT NULL,
    "credits" INTEGER NOT NULL,
    "heldCredits" INTEGER NOT NULL DEFAULT 0,
    "balanceAfter" INTEGER NOT NULL,
    "heldAfter" INTEGER NOT NULL,
    "chargeId" TEXT,
    "apiKeyId" TEXT,
    "product" TEXT,
    "action" TEXT,
    "reason" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "LedgerEntry_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "CreditGrant" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "credits" INTEGER NOT NULL,
    "remaining" INTEGER NOT NULL,
    "priority" INTEGER NOT NULL DEFAULT 0,
    "expiresAt" TIMESTAMPTZ(3),
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "CreditGrant_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "KeySpending" (
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT NOT NULL,
    "startsAt" TIMESTAMPTZ(3) NOT NULL,
    "credits" INTEGER NOT NULL,

    CONSTRAINT "KeySpending_pkey" PRIMARY KEY ("apiKeyId","startsAt")
);

CREATE TABLE "KeyUsage" (
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT NOT NULL,
    "hour" TIMESTAMPTZ(3) NOT NULL,
    "code" TEXT NOT NULL,
    "secretId" TEXT NOT NULL,
    "requests" BIGINT NOT NULL,
    "credits" BIGINT NOT NULL,
    "lastUsedAt" TIMESTAMPTZ(3),

    CONSTRAINT "KeyUsage_pkey" PRIMARY KEY ("apiKeyId","hour","code","secretId")
);

CREATE TABLE "Charge" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT NOT NULL,
    "product" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "quantity" DOUBLE PRECISION NOT NULL,
    "credits" INTEGER NOT NULL,
    "capturedCredits" INTEGER NOT NULL DEFAULT 0,
    "refundedCredits" INTEGER NOT NULL DEFAULT 0,
    "balanceAfter" INTEGER NOT NULL,
    "state" "ChargeState" NOT NULL,
    "idempotencyKey" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expiresAt" TIMESTAMPTZ(3),

    CONSTRAINT "Charge_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "FreeCreditGrant" (
    "workspaceId" TEXT NOT NULL,
    "product" TEXT NOT NULL,
    "credits" INTEGER NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "FreeCreditGrant_pkey" PRIMARY KEY ("workspaceId","product")
);

CREATE TABLE "IdempotencyRecord" (
    "keyHash" BYTEA NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "space" TEXT NOT NULL,
    "operation" TEXT NOT NULL,
    "fingerprint" BYTEA,
    "product" TEXT,
    "subject" TEXT,
    "result" TEXT,
    "secrets" BYTEA,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expiresAt" TIMESTAMPTZ(3),

    CONSTRAINT "IdempotencyRecord_pkey" PRIMARY KEY ("keyHash","workspaceId","space")
);

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

CREATE TABLE "ApiKeyExpiryNotice" (
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "daysBefore" INTEGER NOT NULL,

    CONSTRAINT "ApiKeyExpiryNotice_pkey" PRIMARY KEY ("apiKeyId","expiresAt","daysBefore")
);

CREATE TABLE "ServiceToken" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "hash" BYTEA NOT NULL,
    "preview" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "revokedAt" TIMESTAMPTZ(3),

    CONSTRAINT "ServiceToken_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "AuditEvent" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT,
    "sequence" INTEGER NOT NULL DEFAULT 0,
    "actorKind" "PrincipalKind" NOT NULL,
    "actorId" TEXT,
    "action" TEXT NOT NULL,
    "subjectId" TEXT NOT NULL,
    "refused" BOOLEAN NOT NULL DEFAULT false,
    "before" JSONB,
    "after" JSONB,
    "requestId" TEXT,
    "address" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "previousHash" BYTEA NOT NULL DEFAULT '\x',
    "hash" BYTEA NOT NULL DEFAULT '\x',

    CONSTRAINT "AuditEvent_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "AuditChain" (
    "workspaceId" TEXT NOT NULL,
    "sequence" INTEGER NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "AuditChain_pkey" PRIMARY KEY ("workspaceId")
);

CREATE TABLE "AuthenticationFailure" (
    "hour" TIMESTAMPTZ(3) NOT NULL,
    "kind" TEXT NOT NULL,
    "failures" BIGINT NOT NULL,

    CONSTRAINT "AuthenticationFailure_pkey" PRIMARY KEY ("hour","kind")
);

CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
CREATE UNIQUE INDEX "AuthSession_token_key" ON "AuthSession"("token");
CREATE INDEX "AuthSession_userId_idx" ON "AuthSession"("userId");
CREATE INDEX "AuthAccount_userId_idx" ON "AuthAccount"("userId");
CREATE UNIQUE INDEX "AuthAccount_providerId_accountId_key" ON "AuthAccount"("providerId", "accountId");
CREATE INDEX "AuthVerification_identifier_idx" ON "AuthVerification"("identifier");
CREATE UNIQUE INDEX "Workspace_personalOwnerId_key" ON "Workspace"("personalOwnerId");
CREATE INDEX "Member_workspaceId_id_idx" ON "Member"("workspaceId", "id");
CREATE INDEX "Member_userId_idx" ON "Member"("userId");
CREATE UNIQUE INDEX "Member_workspaceId_userId_key" ON "Member"("workspaceId", "userId");
CREATE UNIQUE INDEX "Invitation_tokenHash_key" ON "Invitation"("tokenHash");
CREATE INDEX "Invitation_workspaceId_id_idx" ON "Invitation"("workspaceId", "id");
CREATE UNIQUE INDEX "ApiKey_keyId_key" ON "ApiKey"("keyId");
CREATE INDEX "ApiKey_workspaceId_id_idx" ON "ApiKey"("workspaceId", "id");
CREATE UNIQUE INDEX "KeySecret_hash_key" ON "KeySecret"("hash");
CREATE INDEX "KeySecret_workspaceId_apiKeyId_idx" ON "KeySecret"("workspaceId", "apiKeyId");
CREATE INDEX "SigningSecret_apiKeyId_id_idx" ON "SigningSecret"("apiKeyId", "id");
CREATE INDEX "LedgerEntry_workspaceId_id_idx" ON "LedgerEntry"("workspaceId", "id");
CREATE INDEX "LedgerEntry_chargeId_idx" ON "LedgerEntry"("chargeId");
CREATE INDEX "CreditGrant_workspaceId_id_idx" ON "CreditGrant"("workspaceId", "id");
CREATE INDEX "WebhookEndpoint_workspaceId_id_idx" ON "WebhookEndpoint"("workspaceId", "id");
CREATE INDEX "WebhookEndpoint_apiKeyId_id_idx" ON "WebhookEndpoint"("apiKeyId", "id");
CREATE INDEX "WebhookEvent_createdAt_idx" ON "WebhookEvent"("createdAt");
CREATE UNIQUE INDEX "WebhookEvent_workspaceId_idempotencyKey_key" ON "WebhookEvent"("workspaceId", "idempotencyKey");
CREATE INDEX "WebhookDelivery_endpointId_id_idx" ON "WebhookDelivery"("endpointId", "id");
CREATE INDEX "WebhookDelivery_workspaceId_id_idx" ON "WebhookDelivery"("workspaceId", "id");
CREATE UNIQUE INDEX "WebhookDelivery_eventId_endpointId_key" ON "WebhookDelivery"("eventId", "endpointId");
CREATE INDEX "WebhookAttempt_deliveryId_id_idx" ON "WebhookAttempt"("deliveryId", "id");
CREATE UNIQUE INDEX "ServiceToken_hash_key" ON "ServiceToken"("hash");
CREATE INDEX "AuditEvent_workspaceId_subjectId_sequence_idx" ON "AuditEvent"("workspaceId", "subjectId", "sequence");
CREATE UNIQUE INDEX "AuditEvent_workspaceId_sequence_key" ON "AuditEvent"("workspaceId", "sequence");

ALTER TABLE "AuthSession" ADD CONSTRAINT "AuthSession_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "AuthAccount" ADD CONSTRAINT "AuthAccount_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Workspace" ADD CONSTRAINT "Workspace_personalOwnerId_fkey" FOREIGN KEY ("personalOwnerId") REFERENCES "User"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "Member" ADD CONSTRAINT "Member_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Member" ADD CONSTRAINT "Member_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Invitation" ADD CONSTRAINT "Invitation_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Invitation" ADD CONSTRAINT "Invitation_invitedById_fkey" FOREIGN KEY ("invitedById") REFERENCES "User"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "WorkspaceFeature" ADD CONSTRAINT "WorkspaceFeature_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "ApiKey" ADD CONSTRAINT "ApiKey_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "ApiKey" ADD CONSTRAINT "ApiKey_createdByUserId_fkey" FOREIGN KEY ("createdByUserId") REFERENCES "User"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "KeySecret" ADD CONSTRAINT "KeySecret_apiKeyId_fkey" FOREIGN KEY ("apiKeyId") REFERENCES "ApiKey"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "SigningSecret" ADD CONSTRAINT "SigningSecret_apiKeyId_fkey" FOREIGN KEY ("apiKeyId") REFERENCES "ApiKey"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "CreditAccount" ADD CONSTRAINT "CreditAccount_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "CreditGrant" ADD CONSTRAINT "CreditGrant_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "FreeCreditGrant" ADD CONSTRAINT "FreeCreditGrant_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "WebhookEndpoint" ADD CONSTRAINT "WebhookEndpoint_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "WebhookEndpoint" ADD CONSTRAINT "WebhookEndpoint_apiKeyId_fkey" FOREIGN KEY ("apiKeyId") REFERENCES "ApiKey"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "WebhookDelivery" ADD CONSTRAINT "WebhookDelivery_eventId_fkey" FOREIGN KEY ("eventId") REFERENCES "WebhookEvent"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "WebhookDelivery" ADD CONSTRAINT "WebhookDelivery_endpointId_fkey" FOREIGN KEY ("endpointId") REFERENCES "WebhookEndpoint"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "WebhookAttempt" ADD CONSTRAINT "WebhookAttempt_deliveryId_fkey" FOREIGN KEY ("deliveryId") REFERENCES "WebhookDelivery"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What Prisma's schema cannot express.

-- Charges and ledger entries have no foreign keys to "Workspace", "ApiKey" and "Charge": each check would
-- lock the row that it finds, so that every charge would write to its key and its workspace. The statement
-- that writes them reads what they refer to, and triggers refuse its removal.
CREATE TRIGGER "Workspace_stays" BEFORE DELETE OR UPDATE OF "id" ON "Workspace"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.refuse_removal_of_record();
CREATE TRIGGER "Workspace_not_truncated" BEFORE TRUNCATE ON "Workspace"
  FOR EACH STATEMENT EXECUTE FUNCTION tollkeeper.refuse_removal_of_record();
CREATE TRIGGER "ApiKey_stays" BEFORE DELETE OR UPDATE OF "id" ON "ApiKey"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.refuse_removal_of_record();
CREATE TRIGGER "ApiKey_not_truncated" BEFORE TRUNCATE ON "ApiKey"
  FOR EACH STATEMENT EXECUTE FUNCTION tollkeeper.refuse_removal_of_record();
CREATE TRIGGER "Charge_stays" BEFORE DELETE OR UPDATE OF "id" ON "Charge"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.refuse_removal_of_record();
CREATE TRIGGER "Charge_not_truncated" BEFORE TRUNCATE ON "Charge"
  FOR EACH STATEMENT EXECUTE FUNCTION tollkeeper.refuse_removal_of_record();

-- Credits. A balance is never negative, and what is held is always covered by it.
ALTER TABLE "CreditAccount"
  ADD CONSTRAINT "CreditAccount_held_not_negative" CHECK ("held" >= 0),
  ADD CONSTRAINT "CreditAccount_balance_covers_held" CHECK ("balance" >= "held"),
  ADD CONSTRAINT "CreditAccount_low_at_not_negative" CHECK ("lowAt" >= 0);
ALTER TABLE "CreditGrant"
  ADD CONSTRAINT "CreditGrant_remaining_within_credits" CHECK ("remaining" BETWEEN 0 AND "credits");
ALTER TABLE "Charge"
  ADD CONSTRAINT "Charge_credits_not_negative" CHECK ("credits" >= 0),
  ADD CONSTRAINT "Charge_quantity_positive" CHECK ("quantity" > 0),
  ADD CONSTRAINT "Charge_captured_within_credits" CHECK ("capturedCredits" BETWEEN 0 AND "credits"),
  ADD CONSTRAINT "Charge_refunded_within_credits" CHECK ("refundedCredits" BETWEEN 0 AND "credits");
-- Most charges have no idempotency key, and no entry in this index.
CREATE UNIQUE INDEX "Charge_workspaceId_idempotencyKey_key" ON "Charge" ("workspaceId", "idempotencyKey")
  WHERE "idempotencyKey" IS NOT NULL;
-- Finds holds whose time is over.
CREATE INDEX "Charge_held_expiresAt_idx" ON "Charge" ("expiresAt") WHERE "state" = 'HELD';
-- Finds accounts with grants that expire.
CREATE INDEX "CreditAccount_expiresAt_idx" ON "CreditAccount" ("expiresAt") WHERE "expiresAt" IS NOT NULL;
CREATE TRIGGER "LedgerEntry_immutable" BEFORE UPDATE OR DELETE ON "LedgerEntry"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.refuse_change_of_record();
CREATE TRIGGER "LedgerEntry_not_truncated" BEFORE TRUNCATE ON "LedgerEntry"
  FOR EACH STATEMENT EXECUTE FUNCTION tollkeeper.refuse_change_of_record();
CREATE TRIGGER "CreditAccount_tells_of_scarcity" BEFORE UPDATE OF "balance", "held" ON "CreditAccount"
  FOR EACH ROW WHEN (
    (NEW."lowSince" IS NULL AND NEW."balance" - NEW."held" <= NEW."lowAt" AND OLD."balance" - OLD."held" > NEW."lowAt")
    OR (NEW."exhaustedSince" IS NULL AND NEW."balance" = NEW."held" AND OLD."balance" > OLD."held")
    OR (NEW."balance" > OLD."balance" AND (NEW."lowSince" IS NOT NULL OR NEW."exhaustedSince" IS NOT NULL))
  )
  EXECUTE FUNCTION tollkeeper.publish_credit_alerts();

-- Workspaces and keys.
ALTER TABLE "Workspace"
  ADD CONSTRAINT "Workspace_personal_owner_fits_kind" CHECK (("kind" = 'PERSONAL') = ("personalOwnerId" IS NOT NULL));
ALTER TABLE "ApiKey"
  ADD CONSTRAINT "ApiKey_spend_limit_has_period" CHECK (("spendLimit" IS NULL) = ("spendPeriod" IS NULL)),
  ADD CONSTRAINT "ApiKey_spend_limit_not_negative" CHECK ("spendLimit" >= 0);
-- Counts the active keys of a workspace, against the product's limit.
CREATE INDEX "ApiKey_active_idx" ON "ApiKey" ("workspaceId", "product") WHERE "revokedAt" IS NULL AND "deletedAt" IS NULL;
-- Finds keys that expire soon.
CREATE INDEX "ApiKey_expiresAt_idx" ON "ApiKey" ("expiresAt")
  WHERE "expiresAt" IS NOT NULL AND "revokedAt" IS NULL AND "deletedAt" IS NULL;

-- Revalidation of cached keys: "changedIn" is the last transaction that changed a row, so one probe at the
-- end of an index finds what was committed since a process looked last. See docs/decisions/0021-keys-kept-in-
-- memory.md.
CREATE INDEX "Workspace_changedIn_idx" ON "Workspace" ("changedIn") WHERE "changedIn" IS NOT NULL;
CREATE INDEX "ApiKey_changedIn_idx" ON "ApiKey" ("changedIn") WHERE "changedIn" IS NOT NULL;
CREATE INDEX "KeySecret_changedIn_idx" ON "KeySecret" ("changedIn") WHERE "changedIn" IS NOT NULL;
CREATE TRIGGER "Workspace_notes_change" BEFORE UPDATE ON "Workspace"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.note_change();
CREATE TRIGGER "ApiKey_notes_change" BEFORE UPDATE ON "ApiKey"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.note_change();
CREATE TRIGGER "KeySecret_notes_change" BEFORE UPDATE ON "KeySecret"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.note_change();
CREATE TRIGGER "KeySecret_removal_changes_key" AFTER DELETE OR UPDATE OF "apiKeyId" ON "KeySecret"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.note_change_of_key();
CREATE TRIGGER "KeySecret_not_truncated" BEFORE TRUNCATE ON "KeySecret"
  FOR EACH STATEMENT EXECUTE FUNCTION tollkeeper.refuse_truncation();
CREATE TRIGGER "WorkspaceFeature_changes_workspace" AFTER INSERT OR UPDATE OR DELETE ON "WorkspaceFeature"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.note_change_of_workspace();
CREATE TRIGGER "WorkspaceFeature_not_truncated" BEFORE TRUNCATE ON "WorkspaceFeature"
  FOR EACH STATEMENT EXECUTE FUNCTION tollkeeper.refuse_truncation();

-- Audit. A unique index treats two NULLs as different, so events without a workspace need one of their own.
CREATE UNIQUE INDEX "AuditEvent_server_sequence_key" ON "AuditEvent" ("sequence") WHERE "workspaceId" IS NULL;
CREATE TRIGGER "AuditEvent_chained" BEFORE INSERT ON "AuditEvent"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.chain_audit_event();
CREATE TRIGGER "AuditEvent_immutable" BEFORE UPDATE OR DELETE ON "AuditEvent"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.refuse_change_of_record();
CREATE TRIGGER "AuditEvent_not_truncated" BEFORE TRUNCATE ON "AuditEvent"
  FOR EACH STATEMENT EXECUTE FUNCTION tollkeeper.refuse_change_of_record();
CREATE TRIGGER "AuditChain_moves_on" BEFORE UPDATE ON "AuditChain"
  FOR EACH ROW WHEN (NEW."sequence" <> OLD."sequence" + 1 OR NEW."workspaceId" <> OLD."workspaceId")
  EXECUTE FUNCTION tollkeeper.refuse_change_of_chain();
CREATE TRIGGER "AuditChain_not_removed" BEFORE DELETE ON "AuditChain"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper.refuse_change_of_chain();
CREATE TRIGGER "AuditChain_not_truncated" BEFORE TRUNCATE ON "AuditChain"
  FOR EACH STATEMENT EXECUTE FUNCTION tollkeeper.refuse_change_of_chain();

-- Idempotency records: committed with a result or not at all, and unchanged from then on.
ALTER TABLE "IdempotencyRecord" ADD CONSTRAINT "IdempotencyRecord_key_is_hashed" CHECK (length("keyHash") = 32);
CREATE INDEX "IdempotencyRecord_expiresAt_idx" ON "IdempotencyRecord" ("expiresAt") WHERE "expiresAt" IS NOT NULL;
CREATE CONSTRAINT TRIGGER "IdempotencyRecord_has_result" AFTER INSERT ON "IdempotencyRecord"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tollkeeper.refuse_record_without_result();
CREATE TRIGGER "IdempotencyRecord_immutable" BEFORE UPDATE ON "IdempotencyRecord"
  FOR EACH ROW WHEN (OLD."result" IS NOT NULL) EXECUTE FUNCTION tollkeeper.refuse_change_of_record();

-- Webhooks.
ALTER TABLE "WebhookEndpoint"
  ADD CONSTRAINT "WebhookEndpoint_disabled_with_reason" CHECK (("disabledAt" IS NULL) = ("disabledReason" IS NULL));
ALTER TABLE "WebhookDelivery"
  ADD CONSTRAINT "WebhookDelivery_pending_until_ended" CHECK (("state" = 'PENDING') = ("endedAt" IS NULL)),
  ADD CONSTRAINT "WebhookDelivery_leased_while_pending" CHECK ("leaseId" IS NULL OR "state" = 'PENDING');
ALTER TABLE "WebhookAttempt"
  ADD CONSTRAINT "WebhookAttempt_status_or_failure" CHECK ("status" IS NOT NULL OR "failure" IS NOT NULL),
  ADD CONSTRAINT "WebhookAttempt_start_of_response" CHECK (char_length("responseStart") <= 1000);
-- Finds what is due at each endpoint without reading the deliveries of others.
CREATE INDEX "WebhookDelivery_pending_idx" ON "WebhookDelivery" ("endpointId", "dueAt") WHERE "state" = 'PENDING';

-- Rows that change often: free space on their pages keeps new versions there, and out of the indexes.
ALTER TABLE "CreditAccount" SET (fillfactor = 60);
ALTER TABLE "KeyUsage" SET (fillfactor = 80);
