-- What Prisma's schema has no words for. Written by hand; `write-migration --check` leaves it alone.

-- A balance is never negative, and what is held is always covered.
ALTER TABLE "CreditAccount"
  ADD CONSTRAINT "CreditAccount_held_not_negative" CHECK ("held" >= 0),
  ADD CONSTRAINT "CreditAccount_balance_covers_held" CHECK ("balance" >= "held");

ALTER TABLE "Charge"
  ADD CONSTRAINT "Charge_credits_not_negative" CHECK ("credits" >= 0),
  ADD CONSTRAINT "Charge_quantity_positive" CHECK ("quantity" > 0),
  ADD CONSTRAINT "Charge_captured_within_credits" CHECK ("capturedCredits" BETWEEN 0 AND "credits"),
  ADD CONSTRAINT "Charge_refunded_within_credits" CHECK ("refundedCredits" BETWEEN 0 AND "credits");

-- A personal workspace belongs to one person, an organization to its members.
ALTER TABLE "Workspace"
  ADD CONSTRAINT "Workspace_personal_owner_fits_kind" CHECK (("kind" = 'PERSONAL') = ("personalOwnerId" IS NOT NULL));

-- The ledger and the audit trail only grow. A trigger, unlike a missing privilege, also stops the tables' owner.
CREATE FUNCTION "refuse_change_of_record"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% refused: the rows of "%" are never changed or removed', TG_OP, TG_TABLE_NAME
    USING HINT = 'Write a new row that corrects the old one.';
END
$$;

CREATE TRIGGER "LedgerEntry_immutable" BEFORE UPDATE OR DELETE ON "LedgerEntry"
  FOR EACH ROW EXECUTE FUNCTION "refuse_change_of_record"();
CREATE TRIGGER "LedgerEntry_not_truncated" BEFORE TRUNCATE ON "LedgerEntry"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change_of_record"();
CREATE TRIGGER "AuditEvent_immutable" BEFORE UPDATE OR DELETE ON "AuditEvent"
  FOR EACH ROW EXECUTE FUNCTION "refuse_change_of_record"();
CREATE TRIGGER "AuditEvent_not_truncated" BEFORE TRUNCATE ON "AuditEvent"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change_of_record"();

-- Counting the active keys of a workspace, against the product's limit.
CREATE INDEX "ApiKey_active_idx" ON "ApiKey" ("workspaceId", "product") WHERE "revokedAt" IS NULL AND "deletedAt" IS NULL;

-- Finding the holds that release by themselves.
CREATE INDEX "Charge_held_expiresAt_idx" ON "Charge" ("expiresAt") WHERE "state" = 'HELD';
