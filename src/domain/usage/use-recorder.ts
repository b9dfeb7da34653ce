import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { RunStatement, Statement } from '../../db/database.js';
import { list, nameParameters, nullableList } from '../../db/named-parameters.js';
import type { VerificationCode } from '../../products/product.js';
import type { KeyRecord } from '../keys/key-record.js';
import { type Tally, UseBuffer } from './use-buffer.js';

type SpendingKey = Pick<KeyRecord, 'id' | 'workspaceId'>;
type UsedKey = Pick<KeyRecord, 'id' | 'workspaceId' | 'secretId'>;

/**
 * Counts how keys are used, and writes it every few seconds in the background, so that no request waits for
 * it. A killed process loses what it has not written: about four seconds. If the database's answer to a write
 * is lost, that write may be counted twice.
 */
export interface UseRecorder {
  /** Counts a verification by its code. A valid one is the last use of its secret, too. */
  record(key: UsedKey, code: VerificationCode, credits: number, at: Date): void;
  /** Counts credits that were taken without a verification: those of a captured hold. */
  spend(key: SpendingKey, credits: number, at: Date): void;
  /** Notes the last use of a secret that is not counted: a key's own request to this server. */
  note(key: UsedKey, at: Date): void;
  /**
   * Writes what was recorded until now. While the database is away it is kept for the next time. Never
   * rejects.
   */
  flush(): Promise<void>;
  /** Writes what was recorded, and stops. */
  close(): Promise<void>;
}

const flushIntervalMs = 4_000;

/** One statement takes about 3 ms, so that verifications do not wait for it. */
const rowsPerStatement = 250;

/**
 * Statements of the background are spread over this time, because all at once they keep a small database busy
 * for tenths of a second.
 */
const spreadMs = 3_000;

/** With as many tallies, the next flush does not wait for the interval. */
const earlyFlushSize = 10_000;

/** What is kept while the database is away: about 20 MB at most. */
const bufferSizeMax = 50_000;

const hourMs = 3_600_000;

/** One item per tally. */
const columns = nameParameters({
  workspace_id: list<string>('text'),
  api_key_id: list<string>('text'),
  secret_id: nullableList<string>('text'),
  /** Hours since 1970. */
  hour: list<number>('integer'),
  code: list<string>('text'),
  requests: list<number>('bigint'),
  credits: list<number>('bigint'),
  /** Milliseconds since 1970; 0 for none. */
  last_used_at_ms: list<number>('bigint'),
});

// Rows are locked in one order, so that processes which write the same keys do not deadlock. greatest()
// ignores nulls.
const addUsage: Statement = {
  name: 'add-usage',
  text: `
    INSERT INTO "KeyUsage" AS k
      ("workspaceId", "apiKeyId", "secretId", "hour", "code", "requests", "credits", "lastUsedAt")
    SELECT u.workspace_id, u.api_key_id, coalesce(u.secret_id, ''), to_timestamp(u.hour * 3600.0::float8), u.code, u.requests, u.credits,
      CASE WHEN u.last_used_at_ms > 0 THEN to_timestamp(u.last_used_at_ms / 1000.0::float8) END
    FROM unnest(${columns.expressions}) AS u(${columns.names})
    ORDER BY u.api_key_id, u.hour, u.code, coalesce(u.secret_id, '')
    ON CONFLICT ("apiKeyId", "hour", "code", "secretId") DO UPDATE
    SET "requests" = k."requests" + excluded."requests", "credits" = k."credits" + excluded."credits",
      "lastUsedAt" = greatest(k."lastUsedAt", excluded."lastUsedAt")`,
};

/** Waits between two statements. */
type Pause = () => Promise<void>;

export function createUseRecorder(run: RunStatement, log: Logger): UseRecorder {
  const buffer = new UseBuffer(bufferSizeMax);
  let flushing: Promise<void> = Promise.resolve();
  /** Flushes that run or wait. */
  let flushCount = 0;
  let isDatabaseAway = false;
  /** Ends the pauses between statements. */
  let haste = new AbortController();
  /** Uses that did not fit into the buffer since that was last logged. */
  let droppedCount = 0;

  const writeTallies = async (pause: Pause) => {
    for (let left = buffer.size; left > 0; left -= rowsPerStatement) {
      await pause();
      const tallies = buffer.take(Math.min(left, rowsPerStatement));
      await run(addUsage, encode(tallies)).catch((error: unknown) => {
        buffer.putBack(tallies);
        throw error;
      });
    }
  };
  const write = async () => {
    const statements = buffer.size / rowsPerStatement;
    const pause = () => sleep(spreadMs / Math.max(1, statements), undefined, { signal: haste.signal }).catch(() => {});
    try {
      await writeTallies(pause);
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
  /** A caller waits: without pauses, and without those of a write that is under way. */
  const flush = async () => {
    haste.abort();
    await begin();
    if (flushCount === 0) haste = new AbortController();
  };
  const timer = setInterval(() => {
    if (flushCount === 0) begin();
  }, flushIntervalMs);
  timer.unref();

  const count = (
    key: SpendingKey,
    secretId: string | null,
    code: VerificationCode,
    requests: number,
    credits: number,
    at: Date,
    isLastUse: boolean,
  ) => {
    const atMs = at.getTime();
    const hour = Math.floor(atMs / hourMs);
    if (!buffer.add(key, secretId, hour, code, requests, credits, isLastUse ? atMs : 0)) droppedCount += 1;
    if (buffer.size >= earlyFlushSize && flushCount === 0 && !isDatabaseAway) begin();
  };

  return {
    record: (key, code, credits, at) => count(key, key.secretId, code, 1, credits, at, code === 'VALID'),
    spend(key, credits, at) {
      if (credits > 0) count(key, null, 'VALID', 0, credits, at, false);
    },
    note: (key, at) => count(key, key.secretId, 'VALID', 0, 0, at, true),
    flush,
    async close() {
      clearInterval(timer);
      await flush();
      if (buffer.size > 0) log.error({ tallies: buffer.size }, 'lost the usage of keys: the database is away');
    },
  };
}

function encode(tallies: readonly Tally[]): unknown[] {
  return columns.encode({
    workspace_id: tallies.map(({ workspaceId }) => workspaceId),
    api_key_id: tallies.map(({ apiKeyId }) => apiKeyId),
    secret_id: tallies.map(({ secretId }) => secretId),
    hour: tallies.map(({ hour }) => hour),
    code: tallies.map(({ code }) => code),
    requests: tallies.map(({ requests }) => requests),
    credits: tallies.map(({ credits }) => credits),
    last_used_at_ms: tallies.map(({ lastUsedAtMs }) => lastUsedAtMs),
  });
}
