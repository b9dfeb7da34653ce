import type { Logger } from 'pino';
import type { Db } from '../../db/transaction.js';

/** Remembers when keys were last used, and writes it down now and then, so that no verification waits for it. A kill loses at most one interval. */
export interface UseRecorder {
  note(key: { readonly id: string; readonly secretId: string }, at: Date): void;
  /** Writes what was noted. */
  flush(): Promise<void>;
  /** Writes what was noted, and stops. */
  close(): Promise<void>;
}

const flushIntervalMs = 1_000;

export function createUseRecorder(db: Db, log: Logger): UseRecorder {
  let uses = new Map<string, { apiKeyId: string; at: Date }>();
  let flushing: Promise<void> = Promise.resolve();

  const write = async () => {
    if (uses.size === 0) return;
    const noted = [...uses].sort(([a], [b]) => (a < b ? -1 : 1));
    uses = new Map();
    const secretIds = noted.map(([secretId]) => secretId);
    const apiKeyIds = noted.map(([, { apiKeyId }]) => apiKeyId);
    const times = noted.map(([, { at }]) => at.toISOString());
    try {
      await db.$executeRaw`
        UPDATE "KeySecret" s SET "lastUsedAt" = u."at"
        FROM (SELECT * FROM unnest(${secretIds}::text[], ${times}::timestamptz[])) AS u("id", "at")
        WHERE s."id" = u."id" AND (s."lastUsedAt" IS NULL OR s."lastUsedAt" < u."at")`;
      await db.$executeRaw`
        UPDATE "ApiKey" k SET "lastUsedAt" = u."at"
        FROM (
          SELECT "id", max("at") AS "at" FROM unnest(${apiKeyIds}::text[], ${times}::timestamptz[]) AS n("id", "at") GROUP BY "id"
        ) AS u
        WHERE k."id" = u."id" AND (k."lastUsedAt" IS NULL OR k."lastUsedAt" < u."at")`;
    } catch (error) {
      log.warn({ err: error, keys: noted.length }, 'could not write when keys were last used');
    }
  };
  const flush = () => {
    flushing = flushing.then(write);
    return flushing;
  };
  const timer = setInterval(flush, flushIntervalMs);
  timer.unref();

  return {
    note(key, at) {
      uses.set(key.secretId, { apiKeyId: key.id, at });
    },
    flush,
    close() {
      clearInterval(timer);
      return flush();
    },
  };
}
