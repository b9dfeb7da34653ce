import { findIdKind, type IdKind } from '../../db/ids.js';
import type { Db } from '../../db/transaction.js';
import type { Principal } from '../access/principal.js';
import { findPersonalWorkspaceId } from '../workspaces/personal.js';

/** Where an event belongs. */
export interface Place {
  /** null: in the chain of the server itself. */
  readonly workspaceId: string | null;
  readonly subjectId: string;
}

type FindRow = (db: Db, where: { id: string }) => Promise<{ workspaceId: string } | null>;

const select = { workspaceId: true } as const;

/** What can be changed by its id, and whose it is. */
const rows: Partial<Record<IdKind, FindRow>> = {
  apiKey: (db, where) => db.apiKey.findUnique({ where, select }),
  charge: (db, where) => db.charge.findUnique({ where, select }),
  invitation: (db, where) => db.invitation.findUnique({ where, select }),
  keySecret: (db, where) => db.keySecret.findUnique({ where, select }),
  member: (db, where) => db.member.findUnique({ where, select }),
  webhookDelivery: (db, where) => db.webhookDelivery.findUnique({ where, select }),
  webhookEndpoint: (db, where) => db.webhookEndpoint.findUnique({ where, select }),
  workspace: async (db, where) => {
    const found = await db.workspace.findUnique({ where, select: { id: true } });
    return found && { workspaceId: found.id };
  },
};

/**
 * Where a refused attempt belongs: with the first of its ids that names something, whoever may see that. What is forbidden and names
 * nothing is noted where the principal itself is at home; what is not found and names nothing is noted nowhere.
 */
export async function findPlace(
  db: Db,
  principal: Principal,
  ids: readonly string[],
  code: 'FORBIDDEN' | 'NOT_FOUND',
): Promise<Place | null> {
  for (const id of ids) {
    const kind = findIdKind(id);
    const found = kind && (await rows[kind]?.(db, { id }));
    if (found) return { workspaceId: found.workspaceId, subjectId: id };
  }
  return code === 'FORBIDDEN' && ids.length === 0 ? findHome(db, principal) : null;
}

async function findHome(db: Db, principal: Principal): Promise<Place | null> {
  switch (principal.kind) {
    case 'apiKey':
      return { workspaceId: principal.workspaceId, subjectId: principal.workspaceId };
    case 'user': {
      const workspaceId = await findPersonalWorkspaceId({ db }, principal.userId);
      return workspaceId === null ? null : { workspaceId, subjectId: workspaceId };
    }
    case 'service':
      return { workspaceId: null, subjectId: principal.serviceTokenId };
    case 'anonymous':
      return null;
  }
}
