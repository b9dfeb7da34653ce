-- Claims an idempotency key for a call. Returns no row if the key was free and now belongs to the caller,
-- else the existing record. While another transaction holds the key this waits for its end, at most two
-- seconds (then 55P03).
CREATE OR REPLACE FUNCTION tollkeeper.claim_idempotency_key(
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
    -- An expired record frees its key, whether the periodic clean-up has removed it yet or not.
    DELETE FROM "IdempotencyRecord" r
    WHERE r."keyHash" = hash AND r."workspaceId" = workspace AND r."space" = key_space AND r."expiresAt" <= at;
  END LOOP;
  RAISE EXCEPTION 'The idempotency key was claimed and freed too often' USING ERRCODE = 'serialization_failure';
END
$$;
