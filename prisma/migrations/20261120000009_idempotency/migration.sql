-- A record holds what came of a call, so that the call can be answered again, and it is removed after a while. What was
-- done under the keys of inputs, such as the id of a payment, is remembered for good.
ALTER TABLE "IdempotencyRecord"
  DROP CONSTRAINT "IdempotencyRecord_pkey",
  ADD COLUMN "space" TEXT,
  ADD COLUMN "keyHash" BYTEA,
  ADD COLUMN "fingerprint" BYTEA,
  ADD COLUMN "product" TEXT,
  ADD COLUMN "subject" TEXT,
  ADD COLUMN "result" TEXT,
  ADD COLUMN "secrets" BYTEA,
  ADD COLUMN "expiresAt" TIMESTAMPTZ(3);

UPDATE "IdempotencyRecord" SET
  "space" = "operation",
  "keyHash" = sha256(convert_to("key", 'UTF8')),
  "result" = to_json("resultId")::text;

ALTER TABLE "IdempotencyRecord"
  DROP COLUMN "key",
  DROP COLUMN "resultId",
  ALTER COLUMN "space" SET NOT NULL,
  ALTER COLUMN "keyHash" SET NOT NULL,
  -- The key comes first, since what was removed can be found by nothing else.
  ADD CONSTRAINT "IdempotencyRecord_pkey" PRIMARY KEY ("keyHash", "workspaceId", "space"),
  ADD CONSTRAINT "IdempotencyRecord_key_is_hashed" CHECK (length("keyHash") = 32);

-- Finding what has been kept long enough.
CREATE INDEX "IdempotencyRecord_expiresAt_idx" ON "IdempotencyRecord" ("expiresAt") WHERE "expiresAt" IS NOT NULL;

-- A record stands from the beginning of its call, so that the unique key decides who makes it, and gets its result at the
-- end. Nobody else may ever see one in between: a record is committed with its result, or not at all.
CREATE FUNCTION "refuse_record_without_result"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM "IdempotencyRecord" r
    WHERE r."keyHash" = NEW."keyHash" AND r."workspaceId" = NEW."workspaceId" AND r."space" = NEW."space"
      AND r."result" IS NULL
  ) THEN
    RAISE EXCEPTION 'COMMIT refused: a row of "IdempotencyRecord" has no result';
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER "IdempotencyRecord_has_result" AFTER INSERT ON "IdempotencyRecord"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "refuse_record_without_result"();

-- The original stays the original.
CREATE TRIGGER "IdempotencyRecord_immutable" BEFORE UPDATE ON "IdempotencyRecord"
  FOR EACH ROW WHEN (OLD."result" IS NOT NULL) EXECUTE FUNCTION "refuse_change_of_record"();

-- Claims a key for a call: returns nothing where the key is free, and it is the caller's now, else the record that stands.
-- Where another transaction holds the key this waits for its end, for two seconds at most; then it fails with 55P03.
CREATE FUNCTION tollkeeper_claim_key(
  hash bytea,
  workspace text,
  key_space text,
  call_operation text,
  call_fingerprint bytea,
  call_product text,
  call_subject text,
  at timestamptz,
  ends timestamptz
) RETURNS SETOF "IdempotencyRecord" LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
BEGIN
  FOR try IN 1 .. 5 LOOP
    INSERT INTO "IdempotencyRecord" (
      "keyHash", "workspaceId", "space", "operation", "fingerprint", "product", "subject", "createdAt", "expiresAt"
    )
    VALUES (hash, workspace, key_space, call_operation, call_fingerprint, call_product, call_subject, at, ends)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
      RETURN;
    END IF;
    RETURN QUERY SELECT * FROM "IdempotencyRecord" r
    WHERE r."keyHash" = hash AND r."workspaceId" = workspace AND r."space" = key_space
      AND (r."expiresAt" IS NULL OR r."expiresAt" > at);
    IF FOUND THEN
      RETURN;
    END IF;
    -- What has been kept long enough frees its key, whether it is removed yet or not.
    DELETE FROM "IdempotencyRecord" r
    WHERE r."keyHash" = hash AND r."workspaceId" = workspace AND r."space" = key_space AND r."expiresAt" <= at;
  END LOOP;
  RAISE EXCEPTION 'The key changes hands too often' USING ERRCODE = 'serialization_failure';
END
$$;
