import type { Logger } from 'pino';
import { type Db, transaction } from '../../db/transaction.js';
import { DomainError } from '../../errors.js';
import { type Actor, type Principal, principalKey } from '../access/principal.js';
import { type AuditActor, recordAudit, systemActor } from './record.js';

/** A call that was refused for a missing permission, or because the caller may not see the record that it names. */
export interface RefusedAttempt {
  /** The action as it is recorded, such as `apiKey.revoke.refused`. */
  readonly action: string;
  /** The ids that the input names, the most specific first. */
  readonly ids: readonly string[];
  readonly code: 'FORBIDDEN' | 'NOT_FOUND';
  /** Finds the workspace of the attempt, and the record that the input names; null where it names nothing that exists. */
  locate(): Promise<{ readonly workspaceId: string; readonly recordId: string | null } | null>;
}

/** The workspace and the record that an event belongs to. */
interface AuditTarget {
  /** null: the chain of the server itself. */
  readonly workspaceId: string | null;
  readonly subjectId: string;
}

/**
 * Writes refused attempts to the audit trail, each in a transaction of its own, because that of the attempt was rolled back. It runs in
 * the background, so that the duration of an answer does not reveal what exists. A kill loses the attempts that are not yet written.
 */
export interface RefusalRecorder {
  record(actor: Actor, attempt: RefusedAttempt): void;
  /** Writes all recorded attempts and sums. Never rejects. */
  flush(): Promise<void>;
  /** Writes all recorded attempts, and stops. */
  close(): Promise<void>;
}

/** The same attempt is written once per window. Its repetitions are written as one sum at the end. */
export const windowMs = 60_000;
/** The most different attempts of one principal in one workspace that are written singly per window. */
export const attemptsPerPrincipalMax = 20;
/** The most attempts that are written singly for one workspace per window. */
export const attemptsPerWorkspaceMax = 200;
/** The most attempts that wait to be written, and the most sums: a few megabytes. */
const pendingMax = 1_000;
const sumsMax = 10_000;

const attemptsAction = 'attempts.refused';

interface Sum {
  readonly action: string;
  /** null until it is located. */
  target: AuditTarget | null;
  actor: AuditActor;
  attempts: number;
}

export function createRefusalRecorder({ db, log }: { db: Db; log: Logger }): RefusalRecorder {
  /** By principal, action and ids: repetitions of the attempts that were written in this window. */
  let repeated = new Map<string, Sum>();
  /** Attempts over the limits, by principal and workspace, or by workspace alone. */
  let excess = new Map<string, Sum>();
  /** How many attempts were written singly, by workspace, and by principal and workspace. */
  let singles = new Map<string, number>();
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

  /** Counts an attempt that is written singly, unless a limit of this window is reached. */
  const takeSingle = (principal: string, workspace: string): 'single' | 'principalLimit' | 'workspaceLimit' => {
    const ofWorkspace = singles.get(workspace) ?? 0;
    const ofPrincipal = singles.get(`${principal} ${workspace}`) ?? 0;
    if (ofWorkspace >= attemptsPerWorkspaceMax) return 'workspaceLimit';
    if (ofPrincipal >= attemptsPerPrincipalMax) return 'principalLimit';
    singles.set(workspace, ofWorkspace + 1);
    singles.set(`${principal} ${workspace}`, ofPrincipal + 1);
    return 'single';
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
    const taken = takeSingle(principal, workspace);
    if (taken === 'single') {
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
    singles = new Map();
    for (const { target, actor, action, attempts } of sums) {
      if (target !== null && attempts > 0) enqueue(actor, action, () => write(actor, target, action, attempts));
    }
    if (droppedCount > 0) log.error({ attempts: droppedCount }, 'refused attempts came too fast to be recorded');
    droppedCount = 0;
    // A window begins where the last one ended.
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
 * The workspace of the record that the input names, whether or not the caller may see it. Without such a record, a FORBIDDEN attempt is
 * recorded in the caller's own workspace, and a NOT_FOUND attempt is not recorded.
 */
async function findTarget(principal: Principal, { ids, code, locate }: RefusedAttempt): Promise<AuditTarget | null> {
  const located = await locate().catch((error: unknown) => {
    // An input that names no valid target.
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
