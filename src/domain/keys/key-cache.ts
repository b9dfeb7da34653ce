import { LRUCache } from 'lru-cache';
import { createFlushLoader, statementSizeMax } from '../../db/batcher.js';
import type { RunStatement, Statement } from '../../db/database.js';
import { equalInConstantTime } from '../access/secret-hash.js';
import { type KeyRecord, parseRecords } from './key-record.js';
import type { Presented } from './presented.js';

type Candidate = Extract<Presented, { kind: 'candidate' }>;

/**
 * Reads keys by their secrets. A process keeps what it has read, and asks the database each time only what has changed since: one probe of
 * an index for all that ask together, however many keys there are. So a revocation is seen by the next verification on every process.
 */
export interface KeyReader {
  /**
   * The key of a credential as it stands now, or null. It goes by the secret's hash in every case, so an unknown key id costs what a
   * known one costs.
   * @throws UnavailableError
   */
  find(presented: Candidate): Promise<KeyRecord | null>;
  /** What is kept of it, or null; it may have changed since. For those who let the database confirm it in their own statement. */
  recall(presented: Candidate): KeyRecord | null;
  /** Whether this is still what is kept: then nothing has changed it that {@link Moment} of `lastLook` sees. */
  isKept(record: KeyRecord): boolean;
  readonly lastLook: Moment;
}

/** What of the database was seen: all that had been committed. */
export interface Moment {
  /** See `tollkeeper_era()`; empty before the first look. */
  readonly era: string;
  /** A `pg_snapshot`; null before the first look. */
  readonly snapshot: string | null;
}

interface Look {
  readonly era: string;
  readonly snapshot: string;
  readonly changed: readonly string[] | null;
  readonly records: string | null;
}

const lookAtKeys: Statement = {
  name: 'look-at-keys',
  text: `SELECT * FROM tollkeeper_look($1::pg_snapshot, string_to_array($2, ','))`,
};

/** How many keys are kept, those that were asked for last; about 1 KB each. */
const keptMax = 20_000;

const never: Moment = { era: '', snapshot: null };

export function createKeyReader(run: RunStatement): KeyReader {
  const kept = new LRUCache<string, KeyRecord>({ max: keptMax });
  let lastLook = never;

  const forgetAll = () => {
    kept.clear();
    lastLook = never;
  };
  const forget = (changed: Look['changed']) => {
    if (changed === null) return;
    const ids = new Set(changed);
    for (const [hash, { id, workspaceId }] of kept) if (ids.has(id) || ids.has(workspaceId)) kept.delete(hash);
  };
  /** Only one look is under way at a time, so what it reads is never older than what is kept. */
  const look = async (hashes: readonly string[]): Promise<KeyRecord[]> => {
    const { snapshot } = lastLook;
    const asked = hashes.length === 0 ? null : hashes.join(',');
    const [seen] = await run<Look>(lookAtKeys, [snapshot, asked]).catch((error: unknown) => {
      // Another server may answer the next time, and may not know what this one has told.
      forgetAll();
      throw error;
    });
    if (seen === undefined) throw new Error('The database did not say what has changed.');
    if (seen.era !== lastLook.era) forgetAll();
    else forget(seen.changed);
    lastLook = seen;
    const records = parseRecords(seen.records);
    for (const record of records) kept.set(record.hash, record);
    return records;
  };

  const lookFor = async (hashes: readonly string[], found: Map<string, KeyRecord>) => {
    for (let at = 0; at === 0 || at < hashes.length; at += statementSizeMax) {
      const records = await look(hashes.slice(at, at + statementSizeMax));
      for (const record of records) found.set(record.hash, record);
    }
  };

  // However many ask, what is kept costs the database nothing: so all of them go together.
  const find = createFlushLoader<Candidate, KeyRecord | null>(async (candidates) => {
    const known = new Set<string>();
    const unknown = new Set<string>();
    for (const { hash } of candidates) (kept.has(hash) ? known : unknown).add(hash);
    const found = new Map<string, KeyRecord>();
    await lookFor([...unknown], found);
    // What was known is as it is kept, unless it has just been forgotten.
    const forgotten: string[] = [];
    for (const hash of known) {
      const record = kept.get(hash);
      if (record === undefined) forgotten.push(hash);
      else found.set(hash, record);
    }
    if (forgotten.length > 0) await lookFor(forgotten, found);
    return candidates.map((candidate) => confirm(candidate, found.get(candidate.hash)));
  }, Number.POSITIVE_INFINITY);

  return {
    find,
    recall: (candidate) => confirm(candidate, kept.get(candidate.hash)),
    isKept: (record) => kept.peek(record.hash) === record,
    get lastLook() {
      return lastLook;
    },
  };
}

/** Of a pair, the secret alone is not enough. */
function confirm({ keyId }: Candidate, record: KeyRecord | undefined): KeyRecord | null {
  if (record === undefined) return null;
  if (keyId === null && record.keyId === null) return record;
  return equalInConstantTime(record.keyId ?? '', keyId ?? '') ? record : null;
}
