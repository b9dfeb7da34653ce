import { createBatcher } from '../../db/batcher.js';
import type { RunStatement, Statement } from '../../db/database.js';
import { newId } from '../../db/ids.js';
import type { WebhookDisabledReason } from '../../generated/prisma/enums.js';
import type { ClaimedDelivery } from './claim.js';
import { decideDisabling, updateHealth } from './health.js';
import type { NextStep } from './schedule.js';
import type { AttemptOutcome } from './send.js';

/** A finished attempt, and the next step of its delivery. */
export interface AttemptRecord {
  readonly delivery: ClaimedDelivery;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly endedAt: Date;
  readonly outcome: AttemptOutcome;
  readonly next: NextStep;
}

/**
 * Records an attempt. If the lease was lost, nothing is written, because another process has the delivery.
 * @returns the reason why the endpoint must be disabled, or null
 */
export type RecordAttempt = (attempt: AttemptRecord) => Promise<WebhookDisabledReason | null>;

const recordAll: Statement = {
  name: 'record-webhook-attempts',
  text: `
    WITH result AS (
      SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::timestamptz[], $8::int[], $9::int[],
        $10::text[], $11::text[]
      ) AS r(delivery_id, lease_id, state, due_at, ended_at, attempt_id, started_at, duration_ms, status, failure, response_start)
    ), mine AS (
      UPDATE "WebhookDelivery" d SET
        "state" = r.state::"WebhookDeliveryState", "attemptCount" = d."attemptCount" + 1, "dueAt" = coalesce(r.due_at, d."dueAt"),
        "endedAt" = r.ended_at, "leaseId" = NULL
      FROM result r WHERE d."id" = r.delivery_id AND d."leaseId" = r.lease_id AND d."state" = 'PENDING'
      RETURNING d."id", d."workspaceId", r.attempt_id, r.started_at, r.duration_ms, r.status, r.failure, r.response_start
    ), attempt AS (
      INSERT INTO "WebhookAttempt" ("id", "workspaceId", "deliveryId", "startedAt", "durationMs", "status", "failure", "responseStart")
      SELECT m.attempt_id, m."workspaceId", m."id", m.started_at, m.duration_ms, m.status, m.failure::"WebhookFailure", m.response_start
      FROM mine m
    )
    SELECT "id" FROM mine`,
};

/** Records concurrent attempts in one statement, each only if its lease is still held. */
export function createRecorder(run: RunStatement): RecordAttempt {
  return createBatcher<AttemptRecord, WebhookDisabledReason | null>(async (attempts) => {
    const column = (read: (attempt: AttemptRecord) => unknown) => attempts.map(read);
    const rows = await run<{ id: string }>(recordAll, [
      column(({ delivery }) => delivery.id),
      column(({ delivery }) => delivery.leaseId),
      column(({ next }) => next.state),
      column(({ next }) => next.dueAt?.toISOString() ?? null),
      column(({ next, endedAt }) => (next.dueAt === null ? endedAt.toISOString() : null)),
      column(() => newId('webhookAttempt')),
      column(({ startedAt }) => startedAt.toISOString()),
      column(({ durationMs }) => durationMs),
      column(({ outcome }) => outcome.status),
      column(({ outcome }) => outcome.failure),
      column(({ outcome }) => outcome.responseStart),
    ]);
    const written = new Set(rows.map(({ id }) => id));
    const reports = attempts.map(({ delivery, outcome, endedAt }) => ({
      id: delivery.id,
      endpointId: delivery.endpointId,
      outcome,
      at: endedAt,
    }));
    const failingSince = await updateHealth(
      run,
      reports.filter(({ id }) => written.has(id)),
    );
    return reports.map((report) =>
      written.has(report.id) ? decideDisabling(report, failingSince.get(report.endpointId) ?? null) : null,
    );
  });
}

const cancelAll: Statement = {
  name: 'cancel-webhook-deliveries',
  text: `
    UPDATE "WebhookDelivery" SET "state" = 'CANCELLED', "endedAt" = $1::timestamptz, "leaseId" = NULL
    WHERE "id" = ANY ($2::text[]) AND "leaseId" = ANY ($3::text[]) AND "state" = 'PENDING'`,
};

/** Cancels claimed deliveries whose endpoint is disabled or deleted. */
export async function cancelClaimed(
  run: RunStatement,
  deliveries: readonly ClaimedDelivery[],
  now: Date,
): Promise<void> {
  if (deliveries.length === 0) return;
  await run(cancelAll, [now.toISOString(), deliveries.map(({ id }) => id), deliveries.map(({ leaseId }) => leaseId)]);
}
