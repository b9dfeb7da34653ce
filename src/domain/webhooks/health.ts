import type { RunStatement, Statement } from '../../db/database.js';
import type { WebhookDisabledReason } from '../../generated/prisma/enums.js';
import { isDelivered, isGone } from './schedule.js';
import type { AttemptOutcome } from './send.js';

const dayMs = 86_400_000;
/** An endpoint without a success for this time is disabled. */
export const failingMsMax = 5 * dayMs;
/**
 * Maximum time between two failures of one failing period, as an SQL interval. It is longer than any retry
 * delay. So an endpoint that failed once last week, and had no event since, is not disabled at its next
 * failure.
 */
const failingGapMax = '2 days';

/** Result of an attempt, for the health of its endpoint. */
export interface HealthReport {
  readonly endpointId: string;
  readonly outcome: AttemptOutcome;
  readonly at: Date;
}

/**
 * Decides whether an endpoint must be disabled after an attempt. @returns the reason, or null.
 * @param failingSince null after a success
 */
export function decideDisabling(
  { outcome, at }: HealthReport,
  failingSince: Date | null,
): WebhookDisabledReason | null {
  if (isDelivered(outcome)) return null;
  if (isGone(outcome)) return 'GONE';
  return failingSince !== null && at.getTime() - failingSince.getTime() >= failingMsMax ? 'FAILING' : null;
}

/** Writes only changes. Locks endpoints in the order of their ids, so that processes cannot deadlock. */
const updateAll: Statement = {
  name: 'update-webhook-health',
  text: `
    WITH report AS (SELECT * FROM unnest($1::text[], $2::bool[], $3::timestamptz[]) AS r(id, is_success, at)),
    locked AS MATERIALIZED (
      SELECT e."id", r.is_success, r.at FROM "WebhookEndpoint" e JOIN report r ON r.id = e."id"
      WHERE CASE
        WHEN r.is_success THEN e."failingSince" IS NOT NULL
        ELSE e."lastFailedAt" IS NULL OR e."lastFailedAt" < r.at OR e."failingSince" IS NULL
      END
      ORDER BY e."id" FOR NO KEY UPDATE OF e
    )
    UPDATE "WebhookEndpoint" e SET
      "failingSince" = CASE
        WHEN l.is_success THEN NULL
        WHEN e."failingSince" IS NULL OR e."lastFailedAt" < l.at - interval '${failingGapMax}' THEN l.at
        ELSE e."failingSince"
      END,
      "lastFailedAt" = CASE WHEN l.is_success THEN e."lastFailedAt" ELSE greatest(e."lastFailedAt", l.at) END
    FROM locked l WHERE e."id" = l."id"
    RETURNING e."id", e."failingSince"`,
};

/**
 * Updates the health of endpoints. If there are several reports of one endpoint, a success wins.
 * @returns `failingSince` by endpoint id, for the endpoints that were updated
 */
export async function updateHealth(
  run: RunStatement,
  reports: readonly HealthReport[],
): Promise<ReadonlyMap<string, Date | null>> {
  const decisive = new Map<string, HealthReport>();
  for (const report of reports) {
    const before = decisive.get(report.endpointId);
    if (before === undefined || !isDelivered(before.outcome)) decisive.set(report.endpointId, report);
  }
  if (decisive.size === 0) return new Map();
  const column = [...decisive.values()];
  const rows = await run<{ id: string; failingSince: Date | null }>(updateAll, [
    column.map(({ endpointId }) => endpointId),
    column.map(({ outcome }) => isDelivered(outcome)),
    column.map(({ at }) => at.toISOString()),
  ]);
  return new Map(rows.map(({ id, failingSince }) => [id, failingSince]));
}
