import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import type { Prisma } from '../../generated/prisma/client.js';
import { type Actor, principalRecord } from '../access/principal.js';

/** Who acts, as far as it is known: what this server does by itself comes of no request. */
export type AuditActor = Pick<Actor, 'principal' | 'address'> & { readonly requestId: string | null };

export interface AuditChange {
  /** Whose chain the event belongs to; null for that of the server itself. */
  readonly workspaceId: string | null;
  /** What was done, as subject.pastTense: `apiKey.revoked`; or what was tried: `apiKey.revoke.refused`. */
  readonly action: string;
  readonly subjectId: string;
  /** Whether it was tried and not done. */
  readonly refused?: boolean;
  /** What was and what is. Never a secret. */
  readonly before?: Prisma.InputJsonObject;
  readonly after?: Prisma.InputJsonObject;
}

/** This server itself, where nobody asked. */
export const systemActor: AuditActor = { principal: { kind: 'anonymous' }, requestId: null, address: null };

/**
 * Records who did what, in the transaction of the change. The database appends the event to the chain of its workspace, whose end stays
 * locked until the transaction ends: so this comes after every other lock that the transaction takes.
 */
export async function recordAudit(tx: Tx, actor: AuditActor, change: AuditChange): Promise<void> {
  const { kind, id } = principalRecord(actor.principal);
  await tx.auditEvent.create({
    data: {
      id: newId('auditEvent'),
      workspaceId: change.workspaceId,
      actorKind: kind,
      actorId: id,
      action: change.action,
      subjectId: change.subjectId,
      refused: change.refused ?? false,
      ...(change.before && { before: change.before }),
      ...(change.after && { after: change.after }),
      requestId: actor.requestId,
      address: actor.address,
    },
    select: { id: true },
  });
}
