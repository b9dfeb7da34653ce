import type { Clock } from '../../clock.js';
import { type Db, type Tx, transaction } from '../../db/transaction.js';
import { DomainError, ForbiddenError, NotFoundError } from '../../errors.js';
import type { IdempotencyRecord } from '../../generated/prisma/client.js';
import type { Products } from '../../products/product.js';
import type { Access } from '../access/access.js';
import { type Permission, rolePermissions, userPermissions } from '../access/permissions.js';
import { type Actor, principalKey } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { RefusalRecorder, RefusedAttempt } from '../audit/refusals.js';
import type { Command, CommandAudit, ScopeContext, Target } from './define-command.js';
import {
  createKeyLocks,
  decideExpiry,
  fingerprintInput,
  hashKey,
  type IdempotentRequest,
  runIdempotent,
} from './idempotency.js';
import { restoreResult, storeResult } from './stored-result.js';

/** The caller of a command, and its idempotency key. */
export interface CommandRequest {
  readonly actor: Actor;
  readonly idempotency: IdempotentRequest | null;
}

export interface CommandRunner<Services> {
  /**
   * Runs a command in one transaction: locate, authorize, claim the idempotency key, lock, load, run, audit.
   * @throws the errors of the command, KeyInUseError, KeyReusedError, SecretUnavailableError,
   * UnavailableError
   */
  run<Input, Subject, Result extends object>(
    command: Command<Input, Subject, Result, Services>,
    request: CommandRequest,
    input: Input,
  ): Promise<Result>;
  /** Records a refused command in the audit trail, in the background. */
  recordRefusal<Input, Subject, Result extends object>(
    command: Command<Input, Subject, Result, Services>,
    actor: Actor,
    input: Input,
    code: RefusedAttempt['code'],
  ): void;
}

export interface CommandRunnerOptions<Services> {
  readonly db: Db;
  readonly products: Products;
  readonly clock: Clock;
  readonly refusals: Pick<RefusalRecorder, 'record'>;
  /** Further services that some commands need. */
  readonly services: Services;
}

export function createCommandRunner<Services extends object>({
  db,
  products,
  clock,
  refusals,
  services,
}: CommandRunnerOptions<Services>): CommandRunner<Services> {
  const runExclusively = createKeyLocks();

  function recordRefusal<Input, Subject, Result extends object>(
    { audit, permission, scope }: Command<Input, Subject, Result, Services>,
    actor: Actor,
    input: Input,
    code: RefusedAttempt['code'],
  ): void {
    const { principal } = actor;
    if (principal.kind === 'anonymous') return;
    const locate = () => scope.locate({ db, principal, products, permission, keyHash: null }, input);
    refusals.record(actor, { action: audit.refused, ids: scope.ids(input), code, locate });
  }

  async function runInTransaction<Input, Subject, Result extends object>(
    command: Command<Input, Subject, Result, Services>,
    { actor, idempotency }: CommandRequest,
    input: Input,
  ): Promise<Result> {
    const { permission, scope } = command;
    const keyHash = idempotency === null ? null : hashKey(idempotency.key);
    let afterCommit: (() => void)[] = [];
    const result = await transaction(db, async (tx) => {
      afterCommit = [];
      const context = { db: tx, principal: actor.principal, products, permission, keyHash };
      const target = await scope.locate(context, input);
      if (target === null) throw scope.notFound(context);
      const run = async (access: Access) => {
        const audits: CommandAudit[] = [];
        await scope.lock(tx, target);
        const subject = await scope.load(context, target, access, input);
        const made = await command.run(
          {
            ...services,
            tx,
            actor,
            clock,
            products,
            audit: (change) => void audits.push(change),
            afterCommit: (work) => void afterCommit.push(work),
          },
          input,
          subject,
        );
        await writeAudits(tx, command, actor, target, audits);
        return made;
      };
      const authorize = () => scope.authorize(context, target);
      if (idempotency === null || keyHash === null) return run(await authorize());
      const call = describeCall({
        command,
        idempotency,
        keyHash,
        target,
        context,
        input,
        authorize,
        run,
        now: clock(),
      });
      return runIdempotent<Result, Access>(tx, products, call);
    });
    for (const work of afterCommit) work();
    return result;
  }

  function describeCall<Input, Subject, Result extends object>({
    command: { name, permission, scope, shownOnce },
    idempotency,
    keyHash,
    target: { workspaceId, product, subject },
    context,
    input,
    authorize,
    run,
    now,
  }: {
    command: Command<Input, Subject, Result, Services>;
    idempotency: IdempotentRequest;
    keyHash: Uint8Array<ArrayBuffer>;
    target: Target;
    context: ScopeContext;
    input: Input;
    authorize: () => Promise<Access>;
    run: (access: Access) => Promise<Result>;
    now: Date;
  }) {
    const owner = { workspaceId, operation: name };
    return {
      request: idempotency,
      claim: {
        keyHash,
        workspaceId,
        space: spaceOf(permission),
        operation: name,
        fingerprint: fingerprintInput(idempotency.key, input),
        product,
        subject,
        createdAt: now,
        expiresAt: decideExpiry(products, product, now),
      },
      mayReplay: (original: IdempotencyRecord) =>
        scope.mayReplay?.(context, targetOf(original)) ??
        isAuthorized(() => scope.authorize(context, targetOf(original))),
      authorize,
      run,
      isFinal: () => true,
      store: (result: Result) => storeResult(result, shownOnce, idempotency, owner),
      restore: (stored: Parameters<typeof restoreResult>[0]) =>
        restoreResult(stored, shownOnce, idempotency, owner) as Result,
    };
  }

  return {
    recordRefusal,
    async run(command, request, input) {
      const { actor, idempotency } = request;
      const work = () => runInTransaction(command, request, input);
      try {
        if (idempotency === null) return await work();
        return await runExclusively(`${principalKey(actor.principal)} ${idempotency.key}`, work);
      } catch (error) {
        if (error instanceof ForbiddenError) recordRefusal(command, actor, input, 'FORBIDDEN');
        if (error instanceof NotFoundError) recordRefusal(command, actor, input, 'NOT_FOUND');
        throw error;
      }
    },
  };
}

/**
 * Idempotency keys of customer commands and of service commands are separate, so that neither can occupy the
 * other's.
 */
function spaceOf(permission: Permission): 'CUSTOMER' | 'SERVICE' {
  return rolePermissions.OWNER.has(permission) || userPermissions.has(permission) ? 'CUSTOMER' : 'SERVICE';
}

function targetOf({ workspaceId, product, subject }: IdempotencyRecord): Target {
  return { workspaceId, product, subject, recordId: null };
}

async function isAuthorized(authorize: () => Promise<unknown>): Promise<boolean> {
  try {
    await authorize();
    return true;
  } catch (error) {
    if (error instanceof DomainError) return false;
    throw error;
  }
}

async function writeAudits(
  tx: Tx,
  { audit }: { audit: { readonly done: string | null } },
  actor: Actor,
  { workspaceId }: Target,
  changes: readonly CommandAudit[],
): Promise<void> {
  const action = audit.done;
  if (action === null) return;
  for (const change of changes) await recordAudit(tx, actor, { workspaceId, action, ...change });
}
