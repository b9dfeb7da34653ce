-- For each charge of a batch: when the period of its key's spend limit began (UTC; null without a limit), the
-- position of the first charge of this batch with the same key and period, and what the key had spent in that
-- period before. Charges of one key are decided under the lock of its workspace's account, so no other
-- transaction adds to it.
CREATE OR REPLACE FUNCTION tollkeeper.find_period_spending(
  api_key_ids text[],
  spend_periods text[],
  made_at timestamptz[],
  OUT period_starts timestamptz[],
  OUT firsts integer[],
  OUT spendings bigint[]
) LANGUAGE plpgsql STABLE AS $$
BEGIN
  SELECT array_agg(f.start ORDER BY f.n), array_agg(f.first ORDER BY f.n),
    array_agg(coalesce(s."credits", 0)::bigint ORDER BY f.n)
  INTO period_starts, firsts, spendings
  FROM (
    SELECT i.n, i.api_key_id, i.start, (min(i.n) OVER (PARTITION BY i.api_key_id, i.start))::integer AS first
    FROM (
      SELECT i.n, i.api_key_id, date_trunc(lower(i.period), i.made_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS start
      FROM unnest(api_key_ids, spend_periods, made_at) WITH ORDINALITY AS i(api_key_id, period, made_at, n)
    ) i
  ) f
  LEFT JOIN "KeySpending" s ON s."apiKeyId" = f.api_key_id AND s."startsAt" = f.start;
END
$$;
