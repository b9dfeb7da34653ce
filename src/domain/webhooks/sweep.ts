import type { Clock } from '../../clock.js';
import { type Db, transaction } from '../../db/transaction.js';
import { publishKeyEvent } from '../keys/key-events.js';

interface SweepServices {
  readonly db: Db;
  readonly clock: Clock;
}

/**
 * Publishes expiry notices and deletes old events. Each run is bounded, and several processes can run it at
 * the same time.
 */
export async function sweepWebhooks(services: SweepServices): Promise<void> {
  await publishExpiryNotices(services);
  await deleteOldEvents(services);
}

const dayMs = 86_400_000;

/** Number of days before the expiry of a key at which `api_key.expiring` is published, earliest first. */
export const expiryNoticeDays: readonly number[] = [7, 1];

const noticesPerRun = 500;

/**
 * Publishes `api_key.expiring` once for each of the days before, and again if the expiry was moved. If
 * several of these days have passed, only the last one counts. A key without an endpoint is skipped until it
 * has one. The primary key of the notice decides between processes.
 * @returns the number of published events
 */
export async function publishExpiryNotices({ db, clock }: SweepServices): Promise<number> {
  const now = clock();
  let published = 0;
  for (const [index, daysBefore] of expiryNoticeDays.entries()) {
    const until = new Date(now.getTime() + daysBefore * dayMs);
    const next = expiryNoticeDays[index + 1];
    const from = next === undefined ? now : new Date(now.getTime() + next * dayMs);
    const due = await db.$queryRaw<{ id: string }[]>`
      SELECT k."id" FROM "ApiKey" k
      WHERE k."expiresAt" > ${from}::timestamptz AND k."expiresAt" <= ${until}::timestamptz
        AND k."revokedAt" IS NULL AND k."deletedAt" IS NULL
        AND EXISTS (SELECT FROM "WebhookEndpoint" e WHERE e."apiKeyId" = k."id" AND e."disabledAt" IS NULL AND e."deletedAt" IS NULL)
        AND NOT EXISTS (
          SELECT FROM "ApiKeyExpiryNotice" n
          WHERE n."apiKeyId" = k."id" AND n."expiresAt" = k."expiresAt" AND n."daysBefore" = ${daysBefore}::int
        )
      ORDER BY k."expiresAt" LIMIT ${noticesPerRun}`;
    for (const { id } of due) {
      await transaction(db, async (tx) => {
        const key = await tx.apiKey.findUniqueOrThrow({ where: { id } });
        const { workspaceId, expiresAt } = key;
        if (expiresAt === null || expiresAt <= from || expiresAt > until || key.revokedAt !== null) return;
        const { count } = await tx.apiKeyExpiryNotice.createMany({
          data: [{ workspaceId, apiKeyId: id, expiresAt, daysBefore }],
          skipDuplicates: true,
        });
        if (count === 0) return;
        await publishKeyEvent(tx, 'api_key.expiring', key, now, { daysBefore });
        published += 1;
      });
    }
  }
  return published;
}

/** Retention of events, their deliveries and attempts. */
export const historyDays = 30;
const eventsPerRun = 2_000;

/**
 * Deletes events older than the retention, with their deliveries and attempts. Events with a pending delivery
 * stay.
 * @returns the number of deleted events
 */
export async function deleteOldEvents({ db, clock }: SweepServices): Promise<number> {
  const before = new Date(clock().getTime() - historyDays * dayMs);
  return db.$executeRaw`
    DELETE FROM "WebhookEvent" WHERE "id" IN (
      SELECT v."id" FROM "WebhookEvent" v
      WHERE v."createdAt" < ${before}::timestamptz
        AND NOT EXISTS (SELECT FROM "WebhookDelivery" d WHERE d."eventId" = v."id" AND d."state" = 'PENDING')
      ORDER BY v."createdAt" LIMIT ${eventsPerRun} FOR UPDATE SKIP LOCKED
    )`;
}
