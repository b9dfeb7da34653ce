-- The events of one workspace form a chain: each carries a number without gaps and the hash of the one before it, so that an event that
-- was changed or removed behind the back of the triggers is found. docs/decisions/0018-audit-chain.md says what that is worth.

-- CreateTable
CREATE TABLE "AuditChain" (
    "workspaceId" TEXT NOT NULL,
    "sequence" INTEGER NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "AuditChain_pkey" PRIMARY KEY ("workspaceId")
);

-- CreateTable
CREATE TABLE "AuthenticationFailure" (
    "hour" TIMESTAMPTZ(3) NOT NULL,
    "kind" TEXT NOT NULL,
    "failures" BIGINT NOT NULL,

    CONSTRAINT "AuthenticationFailure_pkey" PRIMARY KEY ("hour","kind")
);

-- AlterTable
ALTER TABLE "AuditEvent"
  ADD COLUMN "sequence" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "refused" BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN "previousHash" BYTEA NOT NULL DEFAULT '',
  ADD COLUMN "hash" BYTEA NOT NULL DEFAULT '';

-- SHA-256 over an array in JSON, as PostgreSQL writes jsonb: the keys of objects sorted by length and bytes, one blank after each comma
-- and colon. The first element is the version of this form. Times count milliseconds since 1970, hashes are hexadecimal.
CREATE FUNCTION tollkeeper_audit_hash(event "AuditEvent") RETURNS bytea LANGUAGE sql STABLE AS $$
  SELECT sha256(convert_to(jsonb_build_array(
    1, event."workspaceId", event."sequence", event."id", event."actorKind"::text, event."actorId", event."action",
    event."subjectId", event."refused", event."before", event."after", event."requestId", event."address",
    floor(extract(epoch FROM event."createdAt") * 1000)::bigint, encode(event."previousHash", 'hex')
  )::text, 'UTF8'))
$$;

-- What was recorded until now becomes the beginning of its chain, in the order of its ids.
ALTER TABLE "AuditEvent" DISABLE TRIGGER "AuditEvent_immutable";
DO $$
DECLARE
  event "AuditEvent";
  chain "AuditChain";
BEGIN
  FOR event IN SELECT * FROM "AuditEvent" ORDER BY "workspaceId" NULLS FIRST, "id" LOOP
    IF chain."workspaceId" IS DISTINCT FROM coalesce(event."workspaceId", '') THEN
      INSERT INTO "AuditChain" SELECT chain.* WHERE chain."sequence" > 0;
      chain := ROW (coalesce(event."workspaceId", ''), 0, ''::bytea);
    END IF;
    event."sequence" := chain."sequence" + 1;
    event."previousHash" := chain."hash";
    event."hash" := tollkeeper_audit_hash(event);
    UPDATE "AuditEvent" SET "sequence" = event."sequence", "previousHash" = event."previousHash", "hash" = event."hash"
    WHERE "id" = event."id";
    chain."sequence" := event."sequence";
    chain."hash" := event."hash";
  END LOOP;
  INSERT INTO "AuditChain" SELECT chain.* WHERE chain."sequence" > 0;
END
$$;
ALTER TABLE "AuditEvent" ENABLE TRIGGER "AuditEvent_immutable";

-- DropIndex
DROP INDEX "AuditEvent_workspaceId_id_idx";

-- CreateIndex
CREATE UNIQUE INDEX "AuditEvent_workspaceId_sequence_key" ON "AuditEvent"("workspaceId", "sequence");

-- CreateIndex
CREATE INDEX "AuditEvent_workspaceId_subjectId_sequence_idx" ON "AuditEvent"("workspaceId", "subjectId", "sequence");

-- The events of the server itself have no workspace, and one chain: for a unique index, two NULLs differ.
CREATE UNIQUE INDEX "AuditEvent_server_sequence_key" ON "AuditEvent" ("sequence") WHERE "workspaceId" IS NULL;

-- Appends an event to its chain. The row of the chain is locked until the transaction ends, so two transactions never take one number,
-- and one that is undone leaves no gap. Whoever records an event does so last, after all other locks, so that none waits in a circle.
-- The time is that of the database and is taken under the lock: no process can date an event back, or put it in another place.
CREATE FUNCTION tollkeeper_chain_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  chain "AuditChain";
BEGIN
  SELECT * INTO chain FROM "AuditChain" WHERE "workspaceId" = coalesce(NEW."workspaceId", '') FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO "AuditChain" VALUES (coalesce(NEW."workspaceId", ''), 0, '') ON CONFLICT DO NOTHING;
    SELECT * INTO chain FROM "AuditChain" WHERE "workspaceId" = coalesce(NEW."workspaceId", '') FOR UPDATE;
  END IF;
  NEW."sequence" := chain."sequence" + 1;
  NEW."previousHash" := chain."hash";
  NEW."createdAt" := date_trunc('milliseconds', clock_timestamp());
  NEW."hash" := tollkeeper_audit_hash(NEW);
  UPDATE "AuditChain" SET "sequence" = NEW."sequence", "hash" = NEW."hash" WHERE "workspaceId" = chain."workspaceId";
  RETURN NEW;
END
$$;

CREATE TRIGGER "AuditEvent_chained" BEFORE INSERT ON "AuditEvent"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper_chain_audit_event();

-- The end of a chain moves on by one event at a time, and never back.
CREATE FUNCTION tollkeeper_refuse_change_of_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% refused: the rows of "AuditChain" go with the events that they count', TG_OP;
END
$$;

CREATE TRIGGER "AuditChain_moves_on" BEFORE UPDATE ON "AuditChain" FOR EACH ROW
  WHEN (NEW."sequence" <> OLD."sequence" + 1 OR NEW."workspaceId" <> OLD."workspaceId")
  EXECUTE FUNCTION tollkeeper_refuse_change_of_chain();
CREATE TRIGGER "AuditChain_not_removed" BEFORE DELETE ON "AuditChain"
  FOR EACH ROW EXECUTE FUNCTION tollkeeper_refuse_change_of_chain();
CREATE TRIGGER "AuditChain_not_truncated" BEFORE TRUNCATE ON "AuditChain"
  FOR EACH STATEMENT EXECUTE FUNCTION tollkeeper_refuse_change_of_chain();
