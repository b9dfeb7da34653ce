import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

/** The prefix of each kind of id. An id is its prefix, an underscore and a UUIDv7 in 32 hex digits: it sorts by time and says what it names. */
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

/** Makes an id. Ids made one after the other in one process sort in that order. */
export function newId(kind: IdKind): string {
  const random = drawRandom();
  tick(random);
  uuidv7({ random, msecs: last.msecs, seq: last.seq }, idBytes);
  return `${idPrefixes[kind]}_${idBytes.toString('hex')}`;
}

const idBytes = Buffer.alloc(16);

/** Drawing random bytes costs more than all else about an id, however few they are: so they are drawn for many ids at once. */
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

/** The time and the count of the last id. Within a millisecond the count goes on, so that ids sort as they were made (RFC 9562, 6.2). */
const last = { msecs: 0, seq: 0 };

function tick(random: Buffer): void {
  const now = Date.now();
  if (now > last.msecs) {
    last.msecs = now;
    // Its highest bit is free, so that there is room to count.
    last.seq = random.readUInt32BE(6) >>> 1;
    return;
  }
  last.seq = (last.seq + 1) >>> 0;
  if (last.seq === 0) last.msecs += 1;
}

const kindsByPrefix = new Map<string, IdKind>(
  Object.entries(idPrefixes).map(([kind, prefix]) => [prefix, kind as IdKind]),
);

/** Tells what an id names, or null where it has not the form of an id. */
export function findIdKind(id: string): IdKind | null {
  const match = /^([a-z]{3})_[0-9a-f]{32}$/.exec(id);
  return (match?.[1] && kindsByPrefix.get(match[1])) || null;
}
