-- What a process caches of a key, as JSON with the field names of KeyRecord in
-- src/domain/keys/key-record.ts. `features`: those of the key's product that are enabled for its workspace.
-- It is inlined, so it has to stay one expression.
CREATE OR REPLACE FUNCTION tollkeeper.key_record(s "KeySecret", k "ApiKey", w "Workspace", features text[])
RETURNS json LANGUAGE sql STABLE AS $$
  SELECT json_build_object(
    'hash', encode(s."hash", 'hex'), 'secretId', s."id", 'secretRetiresAt', s."retiresAt", 'id', k."id",
    'workspaceId', k."workspaceId", 'product', k."product", 'environment', k."environment", 'keyId', k."keyId",
    'permissions', k."permissions", 'allowedOrigins', k."allowedOrigins", 'spendLimit', k."spendLimit",
    'spendPeriod', k."spendPeriod", 'disabledAt', k."disabledAt", 'expiresAt', k."expiresAt",
    'revokedAt', k."revokedAt", 'deletedAt', k."deletedAt", 'workspaceSuspendedAt', w."suspendedAt",
    'features', features
  )
$$;
