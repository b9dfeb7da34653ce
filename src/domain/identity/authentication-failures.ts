import type { Logger } from 'pino';
import type { RunStatement, Statement } from '../../db/database.js';
import type { Db } from '../../db/transaction.js';
import { ValidationError } from '../../errors.js';

/** What a refused credential seemed to be. */
export const authenticationKinds = [
  'API_KEY',
  'SERVICE_TOKEN',
  'SESSION',
  'IDENTITY_TOKEN',
  'PASSWORD',
  'VERIFICATION',
  'MALFORMED',
] as const;
export type AuthenticationKind = (typeof authenticationKinds)[number];

/**
 * Counts credentials that were refused. They are added up per hour and kind, and written now and then: however many come, they cost a
 * few rows an hour. A kill loses those of the last seconds.
 */
export interface AuthenticationFailures {
  count(kind: AuthenticationKind, at: Date): void;
  /** Writes what was counted until now. Where the database is away it is kept, for the next time. Never rejects. */
  flush(): Promise<void>;
  /** Writes what was counted, and stops. */
  close(): Promise<void>;
}

const flushIntervalMs = 10_000;
const hourMs = 3_600_000;

// Rows are locked in one order, so that processes never wait for each other in a circle.
const addFailures: Statement = {
  name: 'add-authentication-failures',
  text: `
    INSERT INTO "AuthenticationFailure" AS f ("hour", "kind", "failures")
    SELECT to_timestamp(u.hour * 3600.0::float8), u.kind, u.failures
    FROM unnest($1::int[], $2::text[], $3::bigint[]) AS u(hour, kind, failures) ORDER BY u.hour, u.kind
    ON CONFLICT ("hour", "kind") DO UPDATE SET "failures" = f."failures" + excluded."failures"`,
};

export function createAuthenticationFailures(run: RunStatement, log: Logger): AuthenticationFailures {
  let counts = new Map<string, { hour: number; kind: AuthenticationKind; failures: number }>();
  let writing: Promise<void> = Promise.resolve();
  let isDatabaseAway = false;

  const add = (hour: number, kind: AuthenticationKind, failures: number) => {
    const count = counts.get(`${hour} ${kind}`);
    if (count === undefined) counts.set(`${hour} ${kind}`, { hour, kind, failures });
    else count.failures += failures;
  };
  const write = async () => {
    const taken = [...counts.values()];
    if (taken.length === 0) return;
    counts = new Map();
    const columns = [taken.map(({ hour }) => hour), taken.map(({ kind }) => kind), taken.map((each) => each.failures)];
    try {
      await run(addFailures, columns);
      isDatabaseAway = false;
    } catch (error) {
      for (const { hour, kind, failures } of taken) add(hour, kind, failures);
      // Once per outage: it is tried again every few seconds.
      if (!isDatabaseAway) log.warn({ err: error }, 'could not write failed authentications; they are written later');
      isDatabaseAway = true;
    }
  };
  const flush = () => {
    writing = writing.then(write);
    return writing;
  };
  const timer = setInterval(flush, flushIntervalMs);
  timer.unref();

  return {
    count(kind, at) {
      add(Math.floor(at.getTime() / hourMs), kind, 1);
    },
    flush,
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}

export interface AuthenticationFailure {
  /** When it begins. */
  readonly hour: Date;
  readonly kind: AuthenticationKind;
  readonly failures: number;
}

const rangeMaxMs = 7 * 24 * hourMs;

/** What was counted from the hour of `from` until before `to`, oldest first. @throws ValidationError */
export async function readFailures(db: Db, { from, to }: { from: Date; to: Date }): Promise<AuthenticationFailure[]> {
  if (to <= from) throw new ValidationError('to', 'This must be later than from.');
  if (to.getTime() - from.getTime() > rangeMaxMs)
    throw new ValidationError('to', 'At most seven days can be asked for.');
  const rows = await db.authenticationFailure.findMany({
    where: { hour: { gte: new Date(Math.floor(from.getTime() / hourMs) * hourMs), lt: to } },
    orderBy: [{ hour: 'asc' }, { kind: 'asc' }],
  });
  // A kind of a later version is nothing that this one could name.
  return rows.flatMap(({ hour, kind, failures }) =>
    isKnown(kind) ? [{ hour, kind, failures: Number(failures) }] : [],
  );
}

function isKnown(kind: string): kind is AuthenticationKind {
  return (authenticationKinds as readonly string[]).includes(kind);
}
