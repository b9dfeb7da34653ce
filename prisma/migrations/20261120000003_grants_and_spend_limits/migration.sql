-- CreateEnum
CREATE TYPE "SpendPeriod" AS ENUM ('HOUR', 'DAY', 'MONTH');

-- AlterTable
ALTER TABLE "ApiKey" ADD COLUMN     "spendLimit" INTEGER,
ADD COLUMN     "spendPeriod" "SpendPeriod";

-- AlterTable
ALTER TABLE "CreditAccount" ADD COLUMN     "expiresAt" TIMESTAMPTZ(3);

-- CreateTable
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

-- CreateTable
CREATE TABLE "KeySpending" (
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT NOT NULL,
    "startsAt" TIMESTAMPTZ(3) NOT NULL,
    "credits" INTEGER NOT NULL,

    CONSTRAINT "KeySpending_pkey" PRIMARY KEY ("apiKeyId","startsAt")
);

-- CreateIndex
CREATE INDEX "CreditGrant_workspaceId_id_idx" ON "CreditGrant"("workspaceId", "id");

-- AddForeignKey
ALTER TABLE "CreditGrant" ADD CONSTRAINT "CreditGrant_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "CreditGrant"
  ADD CONSTRAINT "CreditGrant_remaining_within_credits" CHECK ("remaining" BETWEEN 0 AND "credits");

-- A limit and its period are set together.
ALTER TABLE "ApiKey"
  ADD CONSTRAINT "ApiKey_spend_limit_has_period" CHECK (("spendLimit" IS NULL) = ("spendPeriod" IS NULL)),
  ADD CONSTRAINT "ApiKey_spend_limit_not_negative" CHECK ("spendLimit" >= 0);

-- Finding the accounts whose grants run out.
CREATE INDEX "CreditAccount_expiresAt_idx" ON "CreditAccount" ("expiresAt") WHERE "expiresAt" IS NOT NULL;
