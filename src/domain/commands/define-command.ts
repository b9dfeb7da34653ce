import type { Clock } from '../../clock.js';
import type { Db, Tx } from '../../db/transaction.js';
import type { Products } from '../../products/product.js';
import type { Access } from '../access/access.js';
import type { Permission } from '../access/permissions.js';
import type { Actor, Principal } from '../access/principal.js';
import type { AuditChange } from '../audit/record.js';

/** The properties of a mutation that GraphQL, the throttle and the audit trail read. */
export interface MutationDefinition {
  /** Name of the field of `Mutation`. */
  readonly name: string;
  /** The permission that the caller needs. */
  readonly permission: Permission;
  /**
   * The permission that a kind of principal must be able to hold to call the mutation. Default:
   * {@link permission}. It differs if callers may change themselves without the permission to change others.
   */
  readonly permissionToCall?: Permission;
  /** Whether the mutation is throttled. Mutations that a backend calls for each request are not. */
  readonly throttled: boolean;
  /** Audit actions; null: not recorded. */
  readonly audit: { readonly done: string | null; readonly refused: string } | null;
}

/**
 * The target of a command. It is needed to authorize the command, to audit a refusal and to store the
 * idempotency key.
 */
export interface Target {
  readonly workspaceId: string;
  /** Slug of the product whose rules apply; null: no product. */
  readonly product: string | null;
  /** Id of the record that the input names; null: none. */
  readonly recordId: string | null;
  /**
   * What authorization depends on in addition to the workspace, such as the id of a key or a role; null:
   * nothing.
   */
  readonly subject: string | null;
}

export interface ScopeContext {
  readonly db: Db | Tx;
  readonly principal: Principal;
  readonly products: Products;
  readonly permission: Permission;
  /** SHA-256 of the request's idempotency key; null: none. */
  readonly keyHash: Uint8Array<ArrayBuffer> | null;
}

/** How a kind of command locates its target, authorizes the caller and loads the record to change. */
export interface Scope<Input, Subject> {
  /** The ids that the input names, the most specific first. */
  ids(input: Input): readonly string[];
  /**
   * Finds the target, visible to the principal or not; null: it does not exist.
   * @throws ValidationError
   */
  locate(context: ScopeContext, input: Input): Promise<Target | null>;
  /** The error for a target that does not exist. */
  notFound(context: ScopeContext): Error;
  /** Locks what the command reads: concurrent changes wait until the transaction ends. */
  lock(tx: Tx, target: Target): Promise<void>;
  /**
   * @throws NotFoundError if the target is not visible to the principal, ForbiddenError if the permission is
   * missing
   */
  authorize(context: ScopeContext, target: Target): Promise<Access>;
  /**
   * Whether the principal may see the result of an earlier command with this target. Default:
   * {@link authorize} allows the command now.
   */
  mayReplay?(context: ScopeContext, target: Target): Promise<boolean>;
  /**
   * Loads the record that the command changes, under the lock.
   * @throws NotFoundError, ForbiddenError, ConflictError
   */
  load(context: ScopeContext & { readonly db: Tx }, target: Target, access: Access, input: Input): Promise<Subject>;
}

/** The services and functions that every command gets. */
export interface CommandContext {
  /** The transaction of the command, its audit events and its idempotency record. */
  readonly tx: Tx;
  readonly actor: Actor;
  readonly clock: Clock;
  readonly products: Products;
  /**
   * Records a change in the audit trail. The event is written last, because it locks the end of the audit
   * chain.
   */
  audit(change: CommandAudit): void;
  /** Runs work after the commit; never after a rollback. */
  afterCommit(work: () => void): void;
}

/** An audit event of a command. By default it has the command's action, in the workspace of the target. */
export type CommandAudit = Pick<AuditChange, 'subjectId' | 'before' | 'after'> & {
  readonly workspaceId?: string;
  /** The action of a change that the command's own change entails. */
  readonly action?: string;
};

/**
 * A mutation, defined once. GraphQL, authorization, idempotency, throttle and audit read this definition.
 * The runner authorizes, claims the idempotency key, runs the command in one transaction and records it.
 */
export interface Command<Input, Subject, Result extends object, Services = unknown> extends MutationDefinition {
  readonly audit: NonNullable<MutationDefinition['audit']>;
  readonly scope: Scope<Input, Subject>;
  /** Result fields that are shown once, and the field that holds the record they belong to; null: none. */
  readonly shownOnce: { readonly of: string; readonly fields: readonly string[] } | null;
  run(context: CommandContext & Services, input: Input, subject: Subject): Promise<Result>;
}

/** Defines a mutation. See `docs/architecture.md`. */
export function defineCommand<Input, Subject, Result extends object, Services = unknown>(
  command: Command<Input, Subject, Result, Services>,
): Command<Input, Subject, Result, Services> {
  return command;
}
