import type { Clock } from '../../clock.js';
import type { Db, Tx } from '../../db/transaction.js';
import type { Products } from '../../products/product.js';
import type { Access } from '../access/access.js';
import type { Permission } from '../access/permissions.js';
import type { Actor, Principal } from '../access/principal.js';
import type { AuditChange } from '../audit/record.js';

/** What GraphQL, the throttle and the audit trail have to know of a mutation. */
export interface MutationDefinition {
  /** The field of `Mutation`. */
  readonly name: string;
  /** The permission that the caller needs. */
  readonly permission: Permission;
  /**
   * The permission that a kind of principal must be able to hold to call the mutation at all; by default
   * {@link permission}. It differs where a caller may do to itself what needs a permission for others.
   */
  readonly permissionToCall?: Permission;
  /**
   * Whether the throttle of management mutations counts it. Mutations that a backend calls for each request
   * are not throttled.
   */
  readonly throttled: boolean;
  /** Names of actions in the audit trail; null: not recorded. */
  readonly audit: { readonly done: string | null; readonly refused: string } | null;
}

/**
 * Where a command takes effect: enough to authorize it, to audit a refusal, and to keep its idempotency key.
 */
export interface Target {
  readonly workspaceId: string;
  /** The slug of the product whose rules apply; null where no product is concerned. */
  readonly product: string | null;
  /** The record that the input names; null where it names none. */
  readonly recordId: string | null;
  /**
   * What authorization depends on beside the workspace, such as the id of a key or a role; null: nothing.
   */
  readonly subject: string | null;
}

export interface ScopeContext {
  readonly db: Db | Tx;
  readonly principal: Principal;
  readonly products: Products;
  readonly permission: Permission;
  /** SHA-256 of the request's idempotency key; null without one. */
  readonly keyHash: Uint8Array<ArrayBuffer> | null;
}

/** How a kind of command finds its target, authorizes the caller and loads the record that it is about. */
export interface Scope<Input, Subject> {
  /** The ids that the input names, the most specific first. */
  ids(input: Input): readonly string[];
  /**
   * Finds the target, whether or not the principal may see it; null where it does not exist.
   * @throws ValidationError
   */
  locate(context: ScopeContext, input: Input): Promise<Target | null>;
  /** The error for a target that does not exist. */
  notFound(context: ScopeContext): Error;
  /** Makes concurrent changes of what the command reads wait until the transaction ends. */
  lock(tx: Tx, target: Target): Promise<void>;
  /**
   * @throws NotFoundError where the principal may not see the target, ForbiddenError where it lacks the
   * permission
   */
  authorize(context: ScopeContext, target: Target): Promise<Access>;
  /**
   * Whether the principal may see the result of an earlier command with this target again; by default
   * whether {@link authorize} allows the command now.
   */
  mayReplay?(context: ScopeContext, target: Target): Promise<boolean>;
  /**
   * Loads what the command is about, in its current state.
   * @throws NotFoundError, ForbiddenError, ConflictError
   */
  load(context: ScopeContext & { readonly db: Tx }, target: Target, access: Access, input: Input): Promise<Subject>;
}

/** What each command works with. */
export interface CommandContext {
  /** The transaction of the command, its audit events and its idempotency record. */
  readonly tx: Tx;
  readonly actor: Actor;
  readonly clock: Clock;
  readonly products: Products;
  /** Records what was done. The event is written last, because it locks the end of the audit chain. */
  audit(change: CommandAudit): void;
  /** Runs work after the commit; never after a rollback. */
  afterCommit(work: () => void): void;
}

/** An audit event of a command. The workspace is that of the target by default. */
export type CommandAudit = Pick<AuditChange, 'subjectId' | 'before' | 'after'> & { readonly workspaceId?: string };

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
