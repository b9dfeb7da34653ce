-- Trigger: publishes `credits.low` and `credits.exhausted` in the transaction that took the credits. Each is
-- published once, and again only after credits were added above its threshold: holds that come and go publish
-- nothing new. The trigger's WHEN repeats the conditions, so that a charge that crosses no threshold calls no
-- function.
CREATE OR REPLACE FUNCTION tollkeeper.publish_credit_alerts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before integer := OLD."balance" - OLD."held";
  after integer := NEW."balance" - NEW."held";
  at timestamptz := clock_timestamp();
  event_types text[] := ARRAY[]::text[];
  event_type text;
BEGIN
  IF NEW."balance" > OLD."balance" THEN
    IF after > NEW."lowAt" THEN
      NEW."lowSince" := NULL;
    END IF;
    IF after > 0 THEN
      NEW."exhaustedSince" := NULL;
    END IF;
  END IF;
  IF NEW."lowSince" IS NULL AND before > NEW."lowAt" AND after <= NEW."lowAt" THEN
    NEW."lowSince" := at;
    event_types := array_append(event_types, 'credits.low');
  END IF;
  IF NEW."exhaustedSince" IS NULL AND before > 0 AND after = 0 THEN
    NEW."exhaustedSince" := at;
    event_types := array_append(event_types, 'credits.exhausted');
  END IF;
  FOREACH event_type IN ARRAY event_types LOOP
    PERFORM tollkeeper.publish_event(
      tollkeeper.new_id('evt'), NEW."workspaceId", NULL, event_type,
      format(
        '{"type":"%s","timestamp":"%s","data":{"workspaceId":"%s","available":%s,"balance":%s,"held":%s,"lowAt":%s}}',
        event_type, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), NEW."workspaceId", after,
        NEW."balance", NEW."held", coalesce(NEW."lowAt"::text, 'null')
      ),
      NULL, at, false
    );
  END LOOP;
  RETURN NEW;
END
$$;
