import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { createBatcher, statementSizeMax } from '../../db/batcher.js';
import type { RunStatement, Statement } from '../../db/database.js';
import { equalInConstantTime } from '../access/secret-hash.js';
import type { LookUp } from './classify-credential.js';
import { type KeyRecord, parseKey, type StoredKey } from './key-record.js';
import { KeyTable } from './key-table.js';

/**
 * API keys in memory, found by their secrets. Before every answer the cache asks the database what has
 * changed since the last time: one probe of an index for all requests that wait, however many keys there are.
 * So a revocation is seen by the next verification on every process.
 */
export interface KeyCache {
  /**
   * The key of a credential in its current state, or null. The hash of the secret is looked up in every case,
   * so an unknown key id takes as long as a known one.
   * @throws UnavailableError
   */
  load(lookUp: LookUp): Promise<KeyRecord | null>;
  /**
   * The cached key, or null. It may have changed since: for callers whose own statement confirms it by the
   * {@link snapshot}.
   */
  getCached(lookUp: LookUp): KeyRecord | null;
  /** Whether a key has not changed since it was read, as far as the {@link snapshot} sees. */
  isCurrent(key: KeyRecord): boolean;
  /** What the cache has seen of the database. */
  readonly snapshot: CacheSnapshot;
  /**
   * Reads keys ahead, the newest first, until the budget is used up, so that the first verification of a key
   * does not have to look it up after a start. Takes turns with the verifications, and half of the time at
   * most. Ends early where the signal says so.
   * @throws UnavailableError
   */
  fill(signal: AbortSignal): Promise<void>;
  /** How many secrets are cached, and about how much memory they take. */
  readonly size: number;
  readonly bytes: number;
}

export interface CacheSnapshot {
  /** Of the database server; see `tollkeeper.era()`. Empty before the first refresh. */
  readonly era: string;
  /** A `pg_snapshot`: the transactions whose changes were seen. null before the first refresh. */
  readonly transactions: string | null;
}

interface RefreshRow {
  readonly era: string;
  readonly snapshot: string;
  /** Ids of keys and workspaces. */
  readonly changed: readonly string[] | null;
  readonly records: readonly StoredKey[] | null;
}

interface PageRow extends RefreshRow {
  /** Where the next page begins; null after the last one. */
  readonly last: string | null;
}

const refreshKeys: Statement = {
  name: 'refresh-keys',
  text: `SELECT * FROM tollkeeper.refresh_keys(seen => $1::pg_snapshot, hashes => string_to_array($2, ','))`,
};

const readPageOfKeys: Statement = {
  name: 'page-of-keys',
  text: 'SELECT * FROM tollkeeper.page_of_keys(seen => $1::pg_snapshot, before => $2::text, size => $3::integer)',
};

/** Of the keys that are read ahead: a page takes about 3 ms of the database and of this process. */
const pageSize = 200;

const nothingSeen: CacheSnapshot = { era: '', transactions: null };

/** @param bytesMax the budget; see `TOLLKEEPER_KEY_CACHE_MB` */
export function createKeyCache(run: RunStatement, bytesMax: number): KeyCache {
  const table = new KeyTable(bytesMax);
  let snapshot = nothingSeen;

  const clear = () => {
    table.clear();
    snapshot = nothingSeen;
  };
  /**
   * Removes what has changed since the last statement, and returns what this one has read, in one snapshot of
   * the database.
   */
  const request = async <Row extends RefreshRow>(statement: Statement, values: readonly unknown[]): Promise<Row> => {
    const [row] = await run<Row>(statement, [snapshot.transactions, ...values]).catch((error: unknown) => {
      // Another server may answer the next time, and it may not know what this one knew.
      clear();
      throw error;
    });
    if (row === undefined) throw new Error('The refresh of the key cache returned no row.');
    if (row.era === snapshot.era) row.changed?.forEach((id) => void table.removeOf(id));
    else table.clear();
    snapshot = { era: row.era, transactions: row.snapshot };
    return row;
  };
  // One statement at a time: so what it reads is never older than what is cached.
  const exclusively = pLimit(1);

  const refresh = async (hashes: readonly string[]): Promise<KeyRecord[]> => {
    const { records } = await request<RefreshRow>(refreshKeys, [hashes.length === 0 ? null : hashes.join(',')]);
    return records?.map((key) => table.put(parseKey(key))) ?? [];
  };
  /** @returns where the next page begins; null after the last one, and where the cache is full */
  const readPage = async (before: string | null): Promise<string | null> => {
    const { records, last } = await request<PageRow>(readPageOfKeys, [before, pageSize]);
    for (const key of records ?? []) {
      if (table.isFull) return null;
      if (!table.has(key.hash)) table.put(parseKey(key));
    }
    return last;
  };

  const refreshAll = async (lookUps: readonly LookUp[], found: Map<string, KeyRecord>) => {
    const hashes = [...new Set(lookUps.map(({ hash }) => hash))];
    for (let at = 0; at === 0 || at < hashes.length; at += statementSizeMax) {
      for (const key of await refresh(hashes.slice(at, at + statementSizeMax))) found.set(key.hash, key);
    }
  };

  const loadAll = async (lookUps: readonly LookUp[]) => {
    const found = new Map<string, KeyRecord>();
    const cached = lookUps.map(({ hash }) => table.get(hash));
    await refreshAll(
      lookUps.filter((_, index) => cached[index] === null),
      found,
    );
    const current = cached.map((key) => (key !== null && table.isCurrent(key) ? key : null));
    const removed = lookUps.filter((_, index) => cached[index] !== null && current[index] === null);
    if (removed.length > 0) await refreshAll(removed, found);
    return lookUps.map((lookUp, index) => confirm(lookUp, current[index] ?? found.get(lookUp.hash) ?? null));
  };

  return {
    // Cached keys cost the database nothing, so there is no limit to how many requests share a refresh.
    load: createBatcher((lookUps) => exclusively(loadAll, lookUps), { sizeMax: Number.POSITIVE_INFINITY }),
    getCached: (lookUp) => confirm(lookUp, table.get(lookUp.hash)),
    isCurrent: (key) => table.isCurrent(key),
    async fill(signal) {
      let before: string | null = null;
      do {
        const startedAt = performance.now();
        before = await exclusively(readPage, before);
        await sleep(performance.now() - startedAt, undefined, { signal }).catch(() => undefined);
      } while (before !== null && !signal.aborted);
    },
    get snapshot() {
      return snapshot;
    },
    get size() {
      return table.size;
    },
    get bytes() {
      return table.bytes;
    },
  };
}

/** A secret alone does not identify the key of a header pair. */
function confirm({ keyId }: LookUp, key: KeyRecord | null): KeyRecord | null {
  if (key === null) return null;
  if (keyId === null && key.keyId === null) return key;
  return equalInConstantTime(key.keyId ?? '', keyId ?? '') ? key : null;
}
