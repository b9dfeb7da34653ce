-- Writes an event and one delivery per subscribed endpoint, in the transaction of the cause. Without
-- subscribers the event is stored only if `keep` is true. After a key is revoked its endpoints receive
-- `api_key.revoked` and nothing else. An event whose `chosen_key` (idempotency key) exists already is not
-- written again.
CREATE OR REPLACE FUNCTION tollkeeper.publish_event(
  event_id text, workspace text, api_key text, event_type text, body text, chosen_key text, at timestamptz, keep boolean
) RETURNS void LANGUAGE sql VOLATILE AS $$
  WITH subscribed AS (
    SELECT e."id" FROM "WebhookEndpoint" e JOIN "ApiKey" k ON k."id" = e."apiKeyId"
    WHERE e."workspaceId" = workspace AND (api_key IS NULL OR e."apiKeyId" = api_key)
      AND e."deletedAt" IS NULL AND e."disabledAt" IS NULL
      AND (cardinality(e."eventTypes") = 0 OR event_type = ANY (e."eventTypes"))
      AND (event_type = 'api_key.revoked' AND k."id" = api_key OR k."revokedAt" IS NULL AND k."deletedAt" IS NULL)
  ), event AS (
    INSERT INTO "WebhookEvent" ("id", "workspaceId", "apiKeyId", "type", "payload", "idempotencyKey", "createdAt")
    SELECT event_id, workspace, api_key, event_type, body, chosen_key, at WHERE keep OR EXISTS (SELECT FROM subscribed)
    ON CONFLICT ("workspaceId", "idempotencyKey") DO NOTHING
    RETURNING "id"
  )
  INSERT INTO "WebhookDelivery" ("id", "workspaceId", "eventId", "endpointId", "dueAt", "createdAt")
  SELECT tollkeeper.new_id('whd'), workspace, event."id", subscribed."id", at, at FROM event, subscribed
$$;
