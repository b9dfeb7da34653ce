import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import type { Prisma } from '../../generated/prisma/client.js';
import { type Actor, principalRecord } from '../access/principal.js';

/** The principal that acts. Background work of the server has no request id. */
export type AuditActor = Pick<Actor, 'principal' | 'address'> & { readonly requestId: string | null };

export interface AuditChange {
  /** The workspace whose chain contains the event; null: the server's own chain. */
  readonly workspaceId: string | null;
  /**
   * `subject.pastTense` for an action, such as `apiKey.revoked`; `apiKey.revoke.refused` for a refused
   * attempt.
   */
  readonly action: string;
  readonly subjectId: string;
  /** Whether the action was refused. */
  readonly refused?: boolean;
  /** The changed values, before and after. Never contains a secret. */
  readonly before?: Prisma.InputJsonObject;
  readonly after?: Prisma.InputJsonObject;
}

/** The server itself, for background work and the command line. */
export const systemActor: AuditActor = { principal: { kind: 'anonymous' }, requestId: null, address: null };

/**
 * Records a change in its own transaction. A trigger appends the event to the chain of the workspace and
 * locks the end of the chain until the transaction ends. To avoid deadlocks, call this after the transaction
 * has taken all other locks.
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
