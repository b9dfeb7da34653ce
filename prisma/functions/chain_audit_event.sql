-- Trigger: appends an audit event to the chain of its workspace. The row of the chain stays locked until the
-- transaction ends, so no number is used twice, and a rollback leaves no gap. A transaction records its audit
-- event last, after all other locks, to avoid deadlocks. The time is taken under the lock: no process can
-- backdate an event.
CREATE OR REPLACE FUNCTION tollkeeper.chain_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  chain "AuditChain";
BEGIN
  SELECT * INTO chain FROM "AuditChain" WHERE "workspaceId" = coalesce(NEW."workspaceId", '') FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO "AuditChain" ("workspaceId", "sequence", "hash") VALUES (coalesce(NEW."workspaceId", ''), 0, '')
    ON CONFLICT DO NOTHING;
    SELECT * INTO chain FROM "AuditChain" WHERE "workspaceId" = coalesce(NEW."workspaceId", '') FOR UPDATE;
  END IF;
  NEW."sequence" := chain."sequence" + 1;
  NEW."previousHash" := chain."hash";
  NEW."createdAt" := date_trunc('milliseconds', clock_timestamp());
  NEW."hash" := tollkeeper.audit_hash(NEW);
  UPDATE "AuditChain" SET "sequence" = NEW."sequence", "hash" = NEW."hash" WHERE "workspaceId" = chain."workspaceId";
  RETURN NEW;
END
$$;
