import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

/**
 * Prefixes of ids. An id is a prefix, an underscore and a UUIDv7 in 32 hexadecimal digits: it shows its kind
 * and sorts by time.
 */
export const idPrefixes = {
  apiKey: 'key',
  auditEvent: 'aud',
  authAccount: 'acc',
  authSession: 'ses',
  authVerification: 'avf',
  charge: 'chg',
  creditGrant: 'grt',
  invitation: 'inv',
  keySecret: 'sec',
  ledgerEntry: 'led',
  member: 'mem',
  request: 'req',
  serviceToken: 'svt',
  signingSecret: 'sig',
  user: 'usr',
  webhookAttempt: 'wha',
  webhookDelivery: 'whd',
  webhookEndpoint: 'whe',
  webhookEvent: 'evt',
  workspace: 'wsp',
} as const;

export type IdKind = keyof typeof idPrefixes;

/** Creates an id. Ids of one process sort in the order of their creation. */
export function newId(kind: IdKind): string {
  const random = drawRandom();
  tick(random);
  uuidv7({ random, msecs: last.msecs, seq: last.seq }, idBytes);
  return `${idPrefixes[kind]}_${idBytes.toString('hex')}`;
}

const idBytes = Buffer.alloc(16);

/**
 * Random bytes for many ids: a call for random bytes costs more than the rest of an id, however few bytes it
 * returns.
 */
const randomPool = Buffer.alloc(256 * idBytes.length);
let drawnTo = randomPool.length;

function drawRandom(): Buffer {
  if (drawnTo === randomPool.length) {
    randomFillSync(randomPool);
    drawnTo = 0;
  }
  drawnTo += idBytes.length;
  return randomPool.subarray(drawnTo - idBytes.length, drawnTo);
}

/**
 * Time and counter of the last id. Within a millisecond the counter increases, so that ids sort (RFC 9562,
 * 6.2).
 */
const last = { msecs: 0, seq: 0 };

function tick(random: Buffer): void {
  const now = Date.now();
  if (now > last.msecs) {
    last.msecs = now;
    // Its highest bit is zero, so that there is room to count.
    last.seq = random.readUInt32BE(6) >>> 1;
    return;
  }
  last.seq = (last.seq + 1) >>> 0;
  if (last.seq === 0) last.msecs += 1;
}

const kindsByPrefix = new Map<string, IdKind>(
  Object.entries(idPrefixes).map(([kind, prefix]) => [prefix, kind as IdKind]),
);

/** The kind of an id, or null if the text is not an id. */
export function findIdKind(id: string): IdKind | null {
  const match = /^([a-z]{3})_[0-9a-f]{32}$/.exec(id);
  return (match?.[1] && kindsByPrefix.get(match[1])) || null;
}
