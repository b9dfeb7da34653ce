import type { Db, Tx } from '../../db/transaction.js';
import { findAccess } from '../access/access.js';
import { type Permission, rolePermissions, userPermissions } from '../access/permissions.js';
import type { Actor } from '../access/principal.js';
import type { Deps } from '../deps.js';

/** Where a call happens, as far as it has to be known to say whether somebody may repeat it. */
export interface Place {
  readonly workspaceId: string;
  /** Whose rules hold, by its slug; null where no product is concerned. */
  readonly product: string | null;
  /** What the permission depends on beside the workspace: the id of a key or a person, a role; null where on nothing. */
  readonly subject: string | null;
}

/** What idempotency has to know of one kind of call. */
export interface Kind<Input> {
  /** Keys that customers choose for what they may do, and those that services choose for what only they do, never meet. */
  readonly space: 'CUSTOMER' | 'SERVICE';
  /** Finds where a call happens; null where what it names does not exist. Nothing is decided here about who may know. */
  findPlace(deps: Deps, actor: Actor, input: Input, keyHash: Uint8Array<ArrayBuffer>): Promise<Place | null>;
  /** Whether somebody may do this there, and so may see again what came of it. */
  allows(db: Db | Tx, deps: Deps, actor: Actor, place: Place): Promise<boolean>;
}

/** Whose keys those of a permission are. */
export function spaceOf(permission: Permission): Kind<never>['space'] {
  return rolePermissions.OWNER.has(permission) || userPermissions.has(permission) ? 'CUSTOMER' : 'SERVICE';
}

/** Asks for a permission in the workspace, and for nothing else. */
export function holds(permission: Permission): Kind<never>['allows'] {
  return async (db, _deps, { principal }, { workspaceId }) => {
    const access = await findAccess(db, principal, workspaceId);
    return access?.permissions.has(permission) ?? false;
  };
}

/** What takes a permission in the workspace of something. */
export function takes<Input>(
  permission: Permission,
  find: (deps: Deps, input: Input) => Promise<{ workspaceId: string; product?: string } | null>,
): Kind<Input> {
  return {
    space: spaceOf(permission),
    findPlace: async (deps, _actor, input) => {
      const found = await find(deps, input);
      return found && { workspaceId: found.workspaceId, product: found.product ?? null, subject: null };
    },
    allows: holds(permission),
  };
}
