import type { Logger } from 'pino';
import { type Db, transaction } from '../../db/transaction.js';
import { DomainError } from '../../errors.js';
import { type Actor, type Principal, principalKey } from '../access/principal.js';
import { type AuditActor, recordAudit, systemActor } from './record.js';

/**
 * A call that was refused because a permission is missing or because the caller may not see the record that
 * it names.
 */
export interface RefusedAttempt {
  /** The action as it is recorded, such as `apiKey.revoke.refused`. */
  readonly action: string;
  /** The ids that the input names, the most specific first. */
  readonly ids: readonly string[];
  readonly code: 'FORBIDDEN' | 'NOT_FOUND';
  /**
   * Finds the workspace of the attempt and the record that the input names; null: the input names no
   * existing record.
   */
  locate(): Promise<{ readonly workspaceId: string; readonly recordId: string | null } | null>;
}

/** The workspace and the record that an event belongs to. */
interface AuditTarget {
  /** null: the chain of the server itself. */
  readonly workspaceId: string | null;
  readonly subjectId: string;
}

/**
 * Writes refused attempts to the audit trail, each in its own transaction, because the transaction of the
 * attempt was rolled back. Runs in the background, so that the response time does not reveal whether a
 * record exists. A crash loses the attempts that are not yet written.
 */
export interface RefusalRecorder {
  record(actor: Actor, attempt: RefusedAttempt): void;
  /** Writes all pending attempts and sums. Never rejects. */
  flush(): Promise<void>;
  /** Writes all pending attempts and stops the timer. */
  close(): Promise<void>;
}

/**
 * Length of a window. An attempt is written once per window; its repetitions are written as one sum at the
 * end.
 */
export const windowMs = 60_000;
/** Maximum number of attempts of one principal in one workspace that are written individually per window. */
export const attemptsPerPrincipalMax = 20;
/** Maximum number of attempts in one workspace that are written individually per window. */
export const attemptsPerWorkspaceMax = 200;
/** Maximum number of pending attempts, and of sums: a few megabytes of memory. */
const pendingMax = 1_000;
const sumsMax = 10_000;

const attemptsAction = 'attempts.refused';

interface Sum {
  readonly action: string;
  /** Null until the target is located. */
  target: AuditTarget | null;
  actor: AuditActor;
  attempts: number;
}

export function createRefusalRecorder({ db, log }: { db: Db; log: Logger }): RefusalRecorder {
  /** Repetitions of the attempts that were written in this window, by principal, action and ids. */
  let repeated = new Map<string, Sum>();
  /** Attempts over the limits, by principal and workspace, or by workspace alone. */
  let excess = new Map<string, Sum>();
  /** Number of attempts that were written individually, by workspace, and by principal and workspace. */
  let individualCounts = new Map<string, number>();
  let writing: Promise<void> = Promise.resolve();
  let pendingCount = 0;
  let droppedCount = 0;

  const write = (actor: AuditActor, { workspaceId, subjectId }: AuditTarget, action: string, attempts: number) =>
    transaction(db, (tx) =>
      recordAudit(tx, actor, { workspaceId, action, subjectId, refused: true, after: { attempts } }),
    );

  const enqueue = (actor: AuditActor, action: string, work: () => Promise<void>) => {
    pendingCount += 1;
    writing = writing
      .then(work)
      .catch((error: unknown) => {
        const { requestId, principal } = actor;
        log.error(
          { err: error, requestId, principal: principalKey(principal), action },
          'could not record a refused attempt',
        );
      })
      .finally(() => {
        pendingCount -= 1;
      });
  };

  /** Counts an attempt to be written individually, if no limit of this window is reached. */
  const countIndividual = (
    principal: string,
    workspace: string,
  ): 'individual' | 'principalLimit' | 'workspaceLimit' => {
    const ofWorkspace = individualCounts.get(workspace) ?? 0;
    const ofPrincipal = individualCounts.get(`${principal} ${workspace}`) ?? 0;
    if (ofWorkspace >= attemptsPerWorkspaceMax) return 'workspaceLimit';
    if (ofPrincipal >= attemptsPerPrincipalMax) return 'principalLimit';
    individualCounts.set(workspace, ofWorkspace + 1);
    individualCounts.set(`${principal} ${workspace}`, ofPrincipal + 1);
    return 'individual';
  };

  const addExcess = (key: string, target: AuditTarget, actor: AuditActor, attempts: number) => {
    const sum = excess.get(key) ?? { target, action: attemptsAction, actor, attempts: 0 };
    sum.attempts += attempts;
    excess.set(key, sum);
  };

  const writeAttempt = async (key: string, sum: Sum, attempt: RefusedAttempt) => {
    const { actor } = sum;
    const target = await findTarget(actor.principal, attempt);
    if (target === null) {
      repeated.delete(key);
      return;
    }
    const principal = principalKey(actor.principal);
    const workspace = target.workspaceId ?? '';
    const taken = countIndividual(principal, workspace);
    if (taken === 'individual') {
      sum.target = target;
      return write(actor, target, attempt.action, 1);
    }
    repeated.delete(key);
    const whole = { workspaceId: target.workspaceId, subjectId: target.workspaceId ?? target.subjectId };
    const attempts = 1 + sum.attempts;
    if (taken === 'principalLimit') addExcess(`${principal} ${workspace}`, whole, actor, attempts);
    else addExcess(workspace, whole, systemActor, attempts);
  };

  const writeSums = () => {
    const sums = [...repeated.values(), ...excess.values()];
    repeated = new Map();
    excess = new Map();
    individualCounts = new Map();
    for (const { target, actor, action, attempts } of sums) {
      if (target !== null && attempts > 0) enqueue(actor, action, () => write(actor, target, action, attempts));
    }
    if (droppedCount > 0) log.error({ attempts: droppedCount }, 'too many refused attempts; some were not recorded');
    droppedCount = 0;
    // The next window begins now.
    timer.refresh();
  };
  const timer = setInterval(writeSums, windowMs);
  timer.unref();

  const flush = async () => {
    // Pending attempts may still add to a sum.
    await writing;
    writeSums();
    await writing;
  };

  return {
    record(actor, attempt) {
      const key = [principalKey(actor.principal), attempt.action, ...attempt.ids].join(' ');
      const known = repeated.get(key);
      if (known !== undefined) {
        known.attempts += 1;
        known.actor = actor;
      } else if (pendingCount >= pendingMax || repeated.size >= sumsMax) {
        droppedCount += 1;
      } else {
        const sum: Sum = { action: attempt.action, target: null, actor, attempts: 0 };
        repeated.set(key, sum);
        enqueue(actor, attempt.action, () => writeAttempt(key, sum, attempt));
      }
    },
    flush,
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}

/**
 * The workspace of the record that the input names, whether or not the caller may see it. Without such a
 * record, a FORBIDDEN attempt is recorded in the caller's workspace, and a NOT_FOUND attempt is not
 * recorded.
 */
async function findTarget(principal: Principal, { ids, code, locate }: RefusedAttempt): Promise<AuditTarget | null> {
  const located = await locate().catch((error: unknown) => {
    // The input names no valid target.
    if (error instanceof DomainError) return null;
    throw error;
  });
  if (located !== null && located.recordId !== null) {
    return { workspaceId: located.workspaceId, subjectId: located.recordId };
  }
  if (code !== 'FORBIDDEN' || ids.length > 0) return null;
  if (located !== null) return { workspaceId: located.workspaceId, subjectId: located.workspaceId };
  switch (principal.kind) {
    case 'apiKey':
      return { workspaceId: principal.workspaceId, subjectId: principal.workspaceId };
    case 'service':
      return { workspaceId: null, subjectId: principal.serviceTokenId };
    default:
      return null;
  }
}
