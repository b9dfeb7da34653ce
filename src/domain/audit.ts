import { newId } from '../db/ids.js';
import type { Tx } from '../db/transaction.js';
import type { Prisma } from '../generated/prisma/client.js';
import { type Actor, principalRecord } from './principal.js';

export interface AuditChange {
  readonly workspaceId: string | null;
  /** What was done, as subject.pastTense: `apiKey.revoked`. */
  readonly action: string;
  readonly subjectId: string;
  /** What was and what is. Never a secret. */
  readonly before?: Prisma.InputJsonObject;
  readonly after?: Prisma.InputJsonObject;
}

/** Records who did what, in the transaction of the change. */
export async function recordAudit(tx: Tx, actor: Actor, change: AuditChange): Promise<void> {
  const { kind, id } = principalRecord(actor.principal);
  await tx.auditEvent.create({
    data: {
      id: newId('auditEvent'),
      workspaceId: change.workspaceId,
      actorKind: kind,
      actorId: id,
      action: change.action,
      subjectId: change.subjectId,
      ...(change.before && { before: change.before }),
      ...(change.after && { after: change.after }),
      requestId: actor.requestId,
      address: actor.address,
    },
  });
}
