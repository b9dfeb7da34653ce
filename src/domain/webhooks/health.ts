import type { RunStatement, Statement } from '../../db/database.js';
import type { WebhookDisabledReason } from '../../generated/prisma/enums.js';
import { isDelivered, isGone } from './schedule.js';
import type { AttemptOutcome } from './send.js';

const dayMs = 86_400_000;
/** An endpoint at which nothing succeeded for so long is disabled. */
export const failingMsMax = 5 * dayMs;
/**
 * Failures further apart than any retry are not one time of failure: an endpoint that failed once last week, and hears of nothing since,
 * is not given up at its next failure. In SQL's words.
 */
const sameFailure = '2 days';

/** What an attempt says about its endpoint. */
export interface EndpointSign {
  readonly endpointId: string;
  readonly outcome: AttemptOutcome;
  readonly at: Date;
}

/** Whether an endpoint is to be disabled after an attempt, and why. @param failingSince null after a success */
export function decideDisabling(
  { outcome, at }: EndpointSign,
  failingSince: Date | null,
): WebhookDisabledReason | null {
  if (isDelivered(outcome)) return null;
  if (isGone(outcome)) return 'GONE';
  return failingSince !== null && at.getTime() - failingSince.getTime() >= failingMsMax ? 'FAILING' : null;
}

/** Writes only where something changes, and locks endpoints in the order of their ids, so that processes never wait in a circle. */
const noteAll: Statement = {
  name: 'note-webhook-health',
  text: `
    WITH sign AS (SELECT * FROM unnest($1::text[], $2::bool[], $3::timestamptz[]) AS s(id, is_success, at)),
    locked AS MATERIALIZED (
      SELECT e."id", s.is_success, s.at FROM "WebhookEndpoint" e JOIN sign s ON s.id = e."id"
      WHERE CASE WHEN s.is_success THEN e."failingSince" IS NOT NULL ELSE e."lastFailedAt" IS NULL OR e."lastFailedAt" < s.at OR e."failingSince" IS NULL END
      ORDER BY e."id" FOR NO KEY UPDATE OF e
    )
    UPDATE "WebhookEndpoint" e SET
      "failingSince" = CASE
        WHEN l.is_success THEN NULL
        WHEN e."failingSince" IS NULL OR e."lastFailedAt" < l.at - interval '${sameFailure}' THEN l.at
        ELSE e."failingSince"
      END,
      "lastFailedAt" = CASE WHEN l.is_success THEN e."lastFailedAt" ELSE greatest(e."lastFailedAt", l.at) END
    FROM locked l WHERE e."id" = l."id"
    RETURNING e."id", e."failingSince"`,
};

/** Notes how endpoints fare; of several signs of one endpoint a success counts. @returns since when each fails whose state was written */
export async function noteHealth(
  run: RunStatement,
  signs: readonly EndpointSign[],
): Promise<ReadonlyMap<string, Date | null>> {
  const decisive = new Map<string, EndpointSign>();
  for (const sign of signs) {
    const before = decisive.get(sign.endpointId);
    if (before === undefined || !isDelivered(before.outcome)) decisive.set(sign.endpointId, sign);
  }
  if (decisive.size === 0) return new Map();
  const column = [...decisive.values()];
  const rows = await run<{ id: string; failingSince: Date | null }>(noteAll, [
    column.map(({ endpointId }) => endpointId),
    column.map(({ outcome }) => isDelivered(outcome)),
    column.map(({ at }) => at.toISOString()),
  ]);
  return new Map(rows.map(({ id, failingSince }) => [id, failingSince]));
}
