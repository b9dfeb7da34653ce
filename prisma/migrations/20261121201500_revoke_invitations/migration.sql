ALTER TABLE "Invitation" ADD COLUMN "revokedAt" TIMESTAMPTZ(3);

ALTER TABLE "Invitation"
  ADD CONSTRAINT "Invitation_accepted_or_revoked" CHECK ("acceptedAt" IS NULL OR "revokedAt" IS NULL);

-- Open invitations are counted, per workspace and per inviter, whatever the number of past ones.
CREATE INDEX "Invitation_open_idx" ON "Invitation" ("workspaceId", "expiresAt")
  WHERE "acceptedAt" IS NULL AND "revokedAt" IS NULL;
CREATE INDEX "Invitation_open_of_inviter_idx" ON "Invitation" ("invitedById", "expiresAt")
  WHERE "acceptedAt" IS NULL AND "revokedAt" IS NULL;
