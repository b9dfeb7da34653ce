import type { Logger } from 'pino';
import { type Db, transaction } from '../../db/transaction.js';
import { type Actor, principalKey } from '../access/principal.js';
import { findPlace, type Place } from './place.js';
import { type AuditActor, recordAudit, systemActor } from './record.js';

/** Something that was tried and refused for want of a permission, or because whoever tried may not see what they named. */
export interface RefusedAttempt {
  /** What was tried, as subject.verb: `apiKey.revoke`. */
  readonly action: string;
  /** The ids that were named, the most telling first. */
  readonly ids: readonly string[];
  readonly code: 'FORBIDDEN' | 'NOT_FOUND';
}

/**
 * Writes refused attempts into the audit trail, in transactions of their own, since the refused ones were undone. Nobody waits for it:
 * how long an answer takes says nothing about what exists. A kill loses what is under way.
 */
export interface RefusalRecorder {
  note(actor: Actor, attempt: RefusedAttempt): void;
  /** Writes what was noted until now, sums included. Never rejects. */
  flush(): Promise<void>;
  /** Writes what was noted, and stops. */
  close(): Promise<void>;
}

/** The same attempt counts once in so long; what it was repeated is written as one sum at the end. */
export const windowMs = 60_000;
/** The most different attempts of one principal in one workspace that are written singly in a window. */
export const attemptsPerPrincipalMax = 20;
/** The most that are written singly for one workspace in a window, whoever makes them. */
export const attemptsPerWorkspaceMax = 200;
/** The most that wait to be written, and that are summed up: some megabytes. */
const waitingMax = 1_000;
const sumsMax = 10_000;

interface Sum {
  readonly action: string;
  /** null while it is looked up. */
  place: Place | null;
  actor: AuditActor;
  attempts: number;
}

export function createRefusalRecorder({ db, log }: { db: Db; log: Logger }): RefusalRecorder {
  /** By principal, action and ids: what was repeated of those that were written in this window. */
  let seen = new Map<string, Sum>();
  /** What is beyond the limits, by principal and workspace, or by workspace alone. */
  let beyond = new Map<string, Sum>();
  let singles = new Map<string, number>();
  let writing: Promise<void> = Promise.resolve();
  let waiting = 0;
  let droppedCount = 0;

  const write = (actor: AuditActor, { workspaceId, subjectId }: Place, action: string, after: { attempts: number }) =>
    transaction(db, (tx) =>
      recordAudit(tx, actor, { workspaceId, action: `${action}.refused`, subjectId, refused: true, after }),
    );

  const enqueue = (actor: AuditActor, action: string, work: () => Promise<void>) => {
    waiting += 1;
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
        waiting -= 1;
      });
  };

  /** Takes one of the places in the window that are written singly, where there is one left. */
  const takeSingle = (principal: string, workspace: string): 'single' | 'of principal' | 'of workspace' => {
    const ofWorkspace = singles.get(workspace) ?? 0;
    const ofPrincipal = singles.get(`${principal} ${workspace}`) ?? 0;
    if (ofWorkspace >= attemptsPerWorkspaceMax) return 'of workspace';
    if (ofPrincipal >= attemptsPerPrincipalMax) return 'of principal';
    singles.set(workspace, ofWorkspace + 1);
    singles.set(`${principal} ${workspace}`, ofPrincipal + 1);
    return 'single';
  };

  const addBeyond = (key: string, place: Place, actor: AuditActor, attempts: number) => {
    const sum = beyond.get(key) ?? { place, action: 'attempts', actor, attempts: 0 };
    sum.attempts += attempts;
    beyond.set(key, sum);
  };

  const record = async (key: string, sum: Sum, { action, ids, code }: RefusedAttempt) => {
    const { actor } = sum;
    const place = await findPlace(db, actor.principal, ids, code);
    if (place === null) {
      seen.delete(key);
      return;
    }
    const principal = principalKey(actor.principal);
    const workspace = place.workspaceId ?? '';
    const taken = takeSingle(principal, workspace);
    if (taken === 'single') {
      sum.place = place;
      return write(actor, place, action, { attempts: 1 });
    }
    seen.delete(key);
    const whole = { workspaceId: place.workspaceId, subjectId: place.workspaceId ?? place.subjectId };
    const attempts = 1 + sum.attempts;
    if (taken === 'of principal') addBeyond(`${principal} ${workspace}`, whole, actor, attempts);
    else addBeyond(workspace, whole, systemActor, attempts);
  };

  const writeSums = () => {
    const sums = [...seen.values(), ...beyond.values()];
    seen = new Map();
    beyond = new Map();
    singles = new Map();
    for (const { place, actor, action, attempts } of sums) {
      if (place !== null && attempts > 0) enqueue(actor, action, () => write(actor, place, action, { attempts }));
    }
    if (droppedCount > 0) log.error({ attempts: droppedCount }, 'refused attempts came too fast to be recorded');
    droppedCount = 0;
    // A window begins where the last one ended.
    timer.refresh();
  };
  const timer = setInterval(writeSums, windowMs);
  timer.unref();

  const flush = async () => {
    // What waits may yet add to a sum.
    await writing;
    writeSums();
    await writing;
  };

  return {
    note(actor, attempt) {
      const key = [principalKey(actor.principal), attempt.action, ...attempt.ids].join(' ');
      const known = seen.get(key);
      if (known !== undefined) {
        known.attempts += 1;
        known.actor = actor;
      } else if (waiting >= waitingMax || seen.size >= sumsMax) {
        droppedCount += 1;
      } else {
        const sum: Sum = { action: attempt.action, place: null, actor, attempts: 0 };
        seen.set(key, sum);
        enqueue(actor, attempt.action, () => record(key, sum, attempt));
      }
    },
    flush,
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}
