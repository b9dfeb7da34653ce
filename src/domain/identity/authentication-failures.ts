import type { Logger } from 'pino';
import type { RunStatement, Statement } from '../../db/database.js';
import type { Db } from '../../db/transaction.js';
import { ValidationError } from '../../errors.js';

/** Kinds of refused credentials. */
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
 * Counts refused credentials per hour and kind, and writes the counts every ten seconds: a few rows per hour
 * at any rate of requests. A crash loses the counts of the last seconds.
 */
export interface AuthenticationFailures {
  count(kind: AuthenticationKind, at: Date): void;
  /** Writes the counts. If the database is unavailable, the next flush writes them. Never rejects. */
  flush(): Promise<void>;
  /** Writes the counts and stops the timer. */
  close(): Promise<void>;
}

const flushIntervalMs = 10_000;
const hourMs = 3_600_000;

// Rows are locked in one order, so that processes cannot deadlock.
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
  let isDatabaseDown = false;

  const add = (hour: number, kind: AuthenticationKind, failures: number) => {
    const count = counts.get(`${hour} ${kind}`);
    if (count === undefined) counts.set(`${hour} ${kind}`, { hour, kind, failures });
    else count.failures += failures;
  };
  const write = async () => {
    const pending = [...counts.values()];
    if (pending.length === 0) return;
    counts = new Map();
    const columns = [
      pending.map(({ hour }) => hour),
      pending.map(({ kind }) => kind),
      pending.map((each) => each.failures),
    ];
    try {
      await run(addFailures, columns);
      isDatabaseDown = false;
    } catch (error) {
      for (const { hour, kind, failures } of pending) add(hour, kind, failures);
      // Logged once per outage, because the flush is retried every few seconds.
      if (!isDatabaseDown) log.warn({ err: error }, 'could not write failed authentications; they are written later');
      isDatabaseDown = true;
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
  /** Start of the hour. */
  readonly hour: Date;
  readonly kind: AuthenticationKind;
  readonly failures: number;
}

const rangeMaxMs = 7 * 24 * hourMs;

/**
 * The counts from the hour of `from` until before `to`, oldest first.
 * @throws ValidationError for a range over seven days
 */
export async function readFailures(db: Db, { from, to }: { from: Date; to: Date }): Promise<AuthenticationFailure[]> {
  if (to <= from) throw new ValidationError('to', 'The time must be later than `from`.');
  if (to.getTime() - from.getTime() > rangeMaxMs)
    throw new ValidationError('to', 'The range must have at most seven days.');
  const rows = await db.authenticationFailure.findMany({
    where: { hour: { gte: new Date(Math.floor(from.getTime() / hourMs) * hourMs), lt: to } },
    orderBy: [{ hour: 'asc' }, { kind: 'asc' }],
  });
  // Kinds that a later version wrote are unknown to this version and to its schema.
  return rows.flatMap(({ hour, kind, failures }) =>
    isKnown(kind) ? [{ hour, kind, failures: Number(failures) }] : [],
  );
}

function isKnown(kind: string): kind is AuthenticationKind {
  return (authenticationKinds as readonly string[]).includes(kind);
}
