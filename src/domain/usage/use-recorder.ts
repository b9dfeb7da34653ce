import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { RunStatement, Statement } from '../../db/database.js';
import type { VerificationCode } from '../../products/product.js';
import type { KeyRecord } from '../keys/key-record.js';
import { type Tally, UseBuffer } from './use-buffer.js';

type SpendingKey = Pick<KeyRecord, 'id' | 'workspaceId'>;
type UsedKey = Pick<KeyRecord, 'id' | 'workspaceId' | 'secretId'>;

/**
 * Remembers how keys are used, and writes it down now and then, so that nobody waits for it. A kill loses what was not written yet:
 * about four seconds. Where the database's answer to a write is lost, what it wrote may be counted twice; nothing is lost then.
 */
export interface UseRecorder {
  /** Counts a verification by its outcome. One that let the request through is the last use of its secret too. */
  record(key: UsedKey, code: VerificationCode, credits: number, at: Date): void;
  /** Counts credits that were taken without a verification: those of a captured hold. */
  spend(key: SpendingKey, credits: number, at: Date): void;
  /** Notes a use that is no verification and is not counted: a key's own request to this server. */
  note(key: UsedKey, at: Date): void;
  /** Writes what was recorded until now. Where the database is away it is kept, for the next time. Never rejects. */
  flush(): Promise<void>;
  /** Writes what was recorded, and stops. */
  close(): Promise<void>;
}

const flushIntervalMs = 4_000;

/** One statement takes some 3 ms, so that what verifications wait for is not kept waiting by it. */
const rowsPerStatement = 250;

/** What is written in the background is spread over this, because all of it at once keeps a small database busy for tenths of a second. */
const spreadMs = 3_000;

/** So many keys in use do not wait for the interval. */
const earlyFlushSize = 10_000;

/** What is kept while the database is away: some 20 MB at most. */
const bufferSizeMax = 50_000;

const hourMs = 3_600_000;

// Rows are locked in one order, so that processes which write the same keys never wait for each other in a circle.
const addUsage: Statement = {
  name: 'add-usage',
  text: `
    INSERT INTO "KeyUsage" AS k ("workspaceId", "apiKeyId", "hour", "code", "requests", "credits")
    SELECT u.workspace_id, u.api_key_id, to_timestamp(u.hour * 3600.0::float8), u.code, u.requests, u.credits
    FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::bigint[], $6::bigint[])
      AS u(workspace_id, api_key_id, hour, code, requests, credits)
    ORDER BY u.api_key_id, u.hour, u.code
    ON CONFLICT ("apiKeyId", "hour", "code") DO UPDATE
    SET "requests" = k."requests" + excluded."requests", "credits" = k."credits" + excluded."credits"`,
};

const setLastUses: Statement = {
  name: 'set-last-uses',
  text: `
    WITH locked AS (
      SELECT s."id", u.at FROM unnest($1::text[], $2::timestamptz[]) AS u(id, at) JOIN "KeySecret" s ON s."id" = u.id
      WHERE s."lastUsedAt" IS NULL OR s."lastUsedAt" < u.at
      ORDER BY s."id" FOR NO KEY UPDATE OF s
    )
    UPDATE "KeySecret" s SET "lastUsedAt" = greatest(s."lastUsedAt", locked.at) FROM locked WHERE s."id" = locked."id"`,
};

/** Waits between two statements. */
type Pause = () => Promise<void>;

export function createUseRecorder(run: RunStatement, log: Logger): UseRecorder {
  const buffer = new UseBuffer(bufferSizeMax);
  let flushing: Promise<void> = Promise.resolve();
  /** Those under way and those that wait for them. */
  let flushCount = 0;
  let isDatabaseAway = false;
  /** Ends the pauses between statements. */
  let haste = new AbortController();
  /** What did not fit, since it was last logged. */
  let droppedCount = 0;

  const writeTallies = async (pause: Pause) => {
    for (let left = buffer.tallyCount; left > 0; left -= rowsPerStatement) {
      await pause();
      const tallies = buffer.takeTallies(Math.min(left, rowsPerStatement));
      await run(addUsage, columnsOf(tallies)).catch((error: unknown) => {
        buffer.putBack({ tallies });
        throw error;
      });
    }
  };
  const writeLastUses = async (pause: Pause) => {
    for (let left = buffer.lastUseCount; left > 0; left -= rowsPerStatement) {
      await pause();
      const lastUses = buffer.takeLastUses(Math.min(left, rowsPerStatement));
      const columns = [
        lastUses.map(({ secretId }) => secretId),
        lastUses.map(({ atMs }) => new Date(atMs).toISOString()),
      ];
      await run(setLastUses, columns).catch((error: unknown) => {
        buffer.putBack({ lastUses });
        throw error;
      });
    }
  };
  const write = async () => {
    const statements = (buffer.tallyCount + buffer.lastUseCount) / rowsPerStatement;
    const pause = () => sleep(spreadMs / Math.max(1, statements), undefined, { signal: haste.signal }).catch(() => {});
    try {
      await writeTallies(pause);
      await writeLastUses(pause);
      if (isDatabaseAway) log.info('the usage of keys is written again');
      isDatabaseAway = false;
    } catch (error) {
      // Once per outage: it is tried again every few seconds.
      if (!isDatabaseAway) log.warn({ err: error }, 'could not write the usage of keys; it is kept and written later');
      isDatabaseAway = true;
    }
    if (droppedCount > 0) log.error({ uses: droppedCount }, `lost uses of keys: ${bufferSizeMax} are kept at most`);
    droppedCount = 0;
  };
  const begin = () => {
    flushCount += 1;
    flushing = flushing.then(write).finally(() => {
      flushCount -= 1;
    });
    return flushing;
  };
  /** Somebody waits: without pauses, and without those of a write that is under way. */
  const flush = async () => {
    haste.abort();
    await begin();
    if (flushCount === 0) haste = new AbortController();
  };
  const timer = setInterval(() => {
    if (flushCount === 0) begin();
  }, flushIntervalMs);
  timer.unref();

  const count = (key: SpendingKey, code: VerificationCode, requests: number, credits: number, at: Date) => {
    const hour = Math.floor(at.getTime() / hourMs);
    if (!buffer.add(key.workspaceId, key.id, hour, code, requests, credits)) droppedCount += 1;
    if (buffer.tallyCount >= earlyFlushSize && flushCount === 0 && !isDatabaseAway) begin();
  };

  const note = ({ secretId }: UsedKey, at: Date) => {
    if (!buffer.touch(secretId, at.getTime())) droppedCount += 1;
  };

  return {
    record(key, code, credits, at) {
      count(key, code, 1, credits, at);
      if (code === 'VALID') note(key, at);
    },
    spend(key, credits, at) {
      if (credits > 0) count(key, 'VALID', 0, credits, at);
    },
    note,
    flush,
    async close() {
      clearInterval(timer);
      await flush();
      const lost = { tallies: buffer.tallyCount, lastUses: buffer.lastUseCount };
      if (lost.tallies + lost.lastUses > 0) log.error(lost, 'lost the usage of keys: the database is away');
    },
  };
}

function columnsOf(tallies: readonly Tally[]): unknown[] {
  return [
    tallies.map(({ workspaceId }) => workspaceId),
    tallies.map(({ apiKeyId }) => apiKeyId),
    tallies.map(({ hour }) => hour),
    tallies.map(({ code }) => code),
    tallies.map(({ requests }) => requests),
    tallies.map(({ credits }) => credits),
  ];
}
