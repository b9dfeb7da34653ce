-- Trigger at COMMIT: a call inserts its idempotency record first, so that the primary key decides between
-- concurrent calls, and adds the result last. A record is committed with its result or not at all.
CREATE OR REPLACE FUNCTION tollkeeper.refuse_record_without_result() RETURNS trigger LANGUAGE plpgsql AS $$
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
