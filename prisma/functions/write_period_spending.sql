-- Stores what the keys of a batch have spent in their periods. The arrays are those of charge() and the
-- results of find_period_spending(); `spendings` counts at the first charge of each key and period.
CREATE OR REPLACE FUNCTION tollkeeper.write_period_spending(
  workspace_ids text[],
  accounts integer[],
  api_key_ids text[],
  spend_limits integer[],
  period_starts timestamptz[],
  firsts integer[],
  spendings bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "KeySpending" AS s ("workspaceId", "apiKeyId", "startsAt", "credits")
  SELECT workspace_ids[i.account], i.api_key_id, i.start, i.spending
  FROM unnest(accounts, api_key_ids, spend_limits, period_starts, firsts, spendings)
    WITH ORDINALITY AS i(account, api_key_id, spend_limit, start, first, spending, n)
  WHERE i.n = i.first AND i.spend_limit IS NOT NULL
  ON CONFLICT ("apiKeyId", "startsAt") DO UPDATE SET "credits" = excluded."credits"
    WHERE s."credits" <> excluded."credits";
END
$$;
