-- The hash of an audit event: SHA-256 over a JSON array as PostgreSQL writes jsonb (object keys sorted by
-- length and bytes, one space after each comma and colon). Its first element is the version of this format.
-- Times are milliseconds since 1970, hashes hexadecimal.
CREATE OR REPLACE FUNCTION tollkeeper.audit_hash(event "AuditEvent") RETURNS bytea LANGUAGE sql STABLE AS $$
  SELECT sha256(convert_to(jsonb_build_array(
    1, event."workspaceId", event."sequence", event."id", event."actorKind"::text, event."actorId", event."action",
    event."subjectId", event."refused", event."before", event."after", event."requestId", event."address",
    floor(extract(epoch FROM event."createdAt") * 1000)::bigint, encode(event."previousHash", 'hex')
  )::text, 'UTF8'))
$$;
