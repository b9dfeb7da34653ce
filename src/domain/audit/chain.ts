import type { Db, Tx } from '../../db/transaction.js';
import { Prisma } from '../../generated/prisma/client.js';

/**
 * The end of a hash chain: the number of events, and the hash of the last one in hexadecimal; '' for an
 * empty chain.
 */
export interface ChainEnd {
  readonly sequence: number;
  readonly hash: string;
}

/** The first fault of a chain. */
export interface ChainFault {
  /** Sequence number at which the chain is broken. */
  readonly sequence: number;
  /** The event with this number, or the next one after a gap; null: no event follows. */
  readonly eventId: string | null;
  /**
   * changed: the event was modified. missing: events from this number on were removed. added: the event was
   * not recorded by this server.
   */
  readonly kind: 'changed' | 'missing' | 'added';
}

export interface ChainReport {
  /** The end that `AuditChain` records. */
  readonly end: ChainEnd;
  readonly fault: ChainFault | null;
}

interface Link extends ChainEnd {
  readonly id: string;
  readonly previousHash: string;
  /** Whether the stored hash is the hash of the stored event. */
  readonly isIntact: boolean;
}

/** Events per statement: about 10 ms and 200 KB. */
const linksPerRead = 1_000;

/**
 * Verifies the hash chain of a workspace, or with null the server's own chain. The database computes the
 * hashes again. Events that are added during the verification are not checked. Memory is bounded.
 * @param newest number of events to check, counted from the end; by default all
 */
export async function verifyChain(db: Db | Tx, workspaceId: string | null, newest?: number): Promise<ChainReport> {
  const { end, last } = await readEnd(db, workspaceId);
  const report = (fault: ChainFault | null): ChainReport => ({ end, fault });
  let at = await readStart(db, workspaceId, newest === undefined ? 0 : Math.max(0, end.sequence - newest));
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
  return link.isIntact && link.previousHash === before.hash ? null : { sequence, eventId, kind: 'changed' };
}

/**
 * The recorded end of the chain and the last event, read in one statement so that both belong to the same
 * snapshot.
 */
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
      SELECT e."id", e."sequence" FROM "AuditEvent" e WHERE ${inChain(workspaceId)} ORDER BY e."sequence" DESC LIMIT 1
    ) l ON true`;
  return {
    end: { sequence: row?.sequence ?? 0, hash: row?.hash ?? '' },
    last: row?.lastId == null || row.lastSequence === null ? null : { id: row.lastId, sequence: row.lastSequence },
  };
}

/** The event before the first one to check. Its hash is trusted. */
async function readStart(db: Db | Tx, workspaceId: string | null, sequence: number): Promise<ChainEnd | ChainFault> {
  if (sequence === 0) return { sequence: 0, hash: '' };
  const [link] = await readLinks(db, workspaceId, sequence - 1, sequence);
  return link ?? { sequence, eventId: null, kind: 'missing' };
}

function readLinks(db: Db | Tx, workspaceId: string | null, after: number, upTo: number): Promise<Link[]> {
  return db.$queryRaw<Link[]>`
    SELECT e."sequence", e."id", encode(e."hash", 'hex') AS "hash", encode(e."previousHash", 'hex') AS "previousHash",
      e."hash" = tollkeeper.audit_hash(e) AS "isIntact"
    FROM "AuditEvent" e
    WHERE ${inChain(workspaceId)} AND e."sequence" > ${after}::int AND e."sequence" <= ${upTo}::int
    ORDER BY e."sequence" LIMIT ${linksPerRead}::int`;
}

/** The condition for the events of one chain. */
function inChain(workspaceId: string | null): Prisma.Sql {
  return workspaceId === null ? Prisma.sql`e."workspaceId" IS NULL` : Prisma.sql`e."workspaceId" = ${workspaceId}`;
}

/** The hash of the event with this sequence number, in hexadecimal; null: no such event. */
export async function findHash(db: Db, workspaceId: string | null, sequence: number): Promise<string | null> {
  const [link] = await readLinks(db, workspaceId, sequence - 1, sequence);
  return link?.hash ?? null;
}

/**
 * The ids of all workspaces with a chain, after null for the server's own chain. One statement per
 * workspace, so memory is bounded.
 */
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
