import type { Db, Tx } from '../../db/transaction.js';
import { Prisma } from '../../generated/prisma/client.js';

/** Where a chain ends: how many events it has, and the hash of the last one in hexadecimal; '' for none. */
export interface ChainEnd {
  readonly sequence: number;
  readonly hash: string;
}

/** The first thing that is wrong with a chain. */
export interface ChainFault {
  /** The number at which the chain is broken. */
  readonly sequence: number;
  /** The event that stands there, or the next one after a gap; null where none follows. */
  readonly eventId: string | null;
  /** changed: the event is not what was recorded. missing: events from this number on were removed. added: the event was not recorded by this server. */
  readonly kind: 'changed' | 'missing' | 'added';
}

export interface ChainReport {
  /** Where the chain says that it ends. */
  readonly end: ChainEnd;
  readonly fault: ChainFault | null;
}

interface Link extends ChainEnd {
  readonly id: string;
  readonly previousHash: string;
  /** Whether the hash is that of the event as it is now. */
  readonly sound: boolean;
}

/** Some ten milliseconds a statement, and some 200 KB. */
const linksPerRead = 1_000;

/**
 * Follows the chain of a workspace, or with null that of the server itself, to where it ended when this began. The database hashes the
 * events anew; what comes in meanwhile is left for the next time.
 * @param newest how many events to look at, from the end; all of them without it. Memory is bounded either way.
 */
export async function verifyChain(db: Db | Tx, workspaceId: string | null, newest?: number): Promise<ChainReport> {
  const { end, last } = await readEnd(db, workspaceId);
  const report = (fault: ChainFault | null): ChainReport => ({ end, fault });
  let at = await startBefore(db, workspaceId, newest === undefined ? 0 : Math.max(0, end.sequence - newest));
  if ('kind' in at) return report(at);
  while (at.sequence < end.sequence) {
    const links = await readLinks(db, workspaceId, at.sequence, end.sequence);
    for (const link of links) {
      const fault = findFault(at, link);
      if (fault !== null) return report(fault);
      at = link;
    }
    if (links.length === 0) return report({ sequence: at.sequence + 1, eventId: null, kind: 'missing' });
  }
  if (at.hash !== end.hash) return report({ sequence: at.sequence, eventId: last?.id ?? null, kind: 'changed' });
  if (last !== null && last.sequence > end.sequence) {
    return report({ sequence: last.sequence, eventId: last.id, kind: 'added' });
  }
  return report(null);
}

function findFault(before: ChainEnd, link: Link): ChainFault | null {
  const { sequence, id: eventId } = link;
  if (sequence !== before.sequence + 1) return { sequence: before.sequence + 1, eventId, kind: 'missing' };
  return link.sound && link.previousHash === before.hash ? null : { sequence, eventId, kind: 'changed' };
}

/** The end of the chain, and the last event that there is: read at one moment, so that they have to agree. */
async function readEnd(
  db: Db | Tx,
  workspaceId: string | null,
): Promise<{ end: ChainEnd; last: { id: string; sequence: number } | null }> {
  const [row] = await db.$queryRaw<
    { sequence: number | null; hash: string | null; lastId: string | null; lastSequence: number | null }[]
  >`
    SELECT c."sequence", encode(c."hash", 'hex') AS "hash", l."id" AS "lastId", l."sequence" AS "lastSequence"
    FROM (SELECT 1) one
    LEFT JOIN "AuditChain" c ON c."workspaceId" = ${workspaceId ?? ''}
    LEFT JOIN LATERAL (
      SELECT e."id", e."sequence" FROM "AuditEvent" e WHERE ${of(workspaceId)} ORDER BY e."sequence" DESC LIMIT 1
    ) l ON true`;
  return {
    end: { sequence: row?.sequence ?? 0, hash: row?.hash ?? '' },
    last: row?.lastId == null || row.lastSequence === null ? null : { id: row.lastId, sequence: row.lastSequence },
  };
}

/** The event after which to begin, whose hash is taken as it is. */
async function startBefore(db: Db | Tx, workspaceId: string | null, sequence: number): Promise<ChainEnd | ChainFault> {
  if (sequence === 0) return { sequence: 0, hash: '' };
  const [link] = await readLinks(db, workspaceId, sequence - 1, sequence);
  return link ?? { sequence, eventId: null, kind: 'missing' };
}

function readLinks(db: Db | Tx, workspaceId: string | null, after: number, upTo: number): Promise<Link[]> {
  return db.$queryRaw<Link[]>`
    SELECT e."sequence", e."id", encode(e."hash", 'hex') AS "hash", encode(e."previousHash", 'hex') AS "previousHash",
      e."hash" = tollkeeper.audit_hash(e) AS "sound"
    FROM "AuditEvent" e
    WHERE ${of(workspaceId)} AND e."sequence" > ${after}::int AND e."sequence" <= ${upTo}::int
    ORDER BY e."sequence" LIMIT ${linksPerRead}::int`;
}

function of(workspaceId: string | null): Prisma.Sql {
  return workspaceId === null ? Prisma.sql`e."workspaceId" IS NULL` : Prisma.sql`e."workspaceId" = ${workspaceId}`;
}

/** The hash of one event in hexadecimal, or null where there is none of this number. */
export async function findHash(db: Db, workspaceId: string | null, sequence: number): Promise<string | null> {
  const [link] = await readLinks(db, workspaceId, sequence - 1, sequence);
  return link?.hash ?? null;
}

/** Every workspace that has events or an end of a chain, and first null for the server itself. One statement each, so memory is bounded. */
export async function* listChains(db: Db): AsyncGenerator<string | null> {
  yield null;
  for (let after = ''; ; ) {
    const [row] = await db.$queryRaw<{ next: string | null }[]>`
      SELECT least(
        (SELECT min("workspaceId") FROM "AuditChain" WHERE "workspaceId" > ${after}),
        (SELECT min("workspaceId") FROM "AuditEvent" WHERE "workspaceId" > ${after})
      ) AS "next"`;
    if (row?.next == null) return;
    after = row.next;
    yield after;
  }
}
