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
  return `${idPrefixes[kind]}_${uuidv7().replaceAll('-', '')}`;
}

const kindsByPrefix = new Map<string, IdKind>(
  Object.entries(idPrefixes).map(([kind, prefix]) => [prefix, kind as IdKind]),
);

/** Tells what an id names, or null where it has not the form of an id. */
export function findIdKind(id: string): IdKind | null {
  const match = /^([a-z]{3})_[0-9a-f]{32}$/.exec(id);
  return (match?.[1] && kindsByPrefix.get(match[1])) || null;
}
