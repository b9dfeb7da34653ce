import { setTimeout as sleep } from 'node:timers/promises';
import { isDriverAdapterError } from '@prisma/driver-adapter-utils';
import { UnavailableError } from '../errors.js';
import { Prisma, type PrismaClient } from '../generated/prisma/client.js';
import type { RunStatement } from './database.js';
import { outageStates } from './error-codes.js';

export type Db = PrismaClient;
export type Tx = Prisma.TransactionClient;

export interface TransactionOptions {
  /**
   * READ COMMITTED by default. Conditions belong into the statements, so a stricter level is rarely needed.
   */
  isolationLevel?: Prisma.TransactionIsolationLevel;
}

/** Open transactions, to distinguish them from the client of the whole database. */
const openTransactions = new WeakSet<object>();

const triesMax = 5;
const firstWaitMs = 10;
/**
 * No try begins after this time, so that a caller waits for the limits of one transaction and not of five.
 */
const retryWindowMs = 12_000;

/**
 * Runs `work` in one interactive transaction. It is tried again if the database rolled it back in favour of
 * another transaction (serialization failure, deadlock, write conflict) or could not start it in time. `work`
 * may therefore run several times and must have no effect that a rollback does not undo. After a lost
 * connection there is no second try, because the COMMIT may have succeeded: the caller's idempotency key
 * decides that case. If `db` is a transaction, the work becomes a part of it: it commits, fails and is tried
 * again with the whole.
 * @throws UnavailableError if the database cannot be reached, or stays too busy.
 */
export async function transaction<T>(
  db: Db,
  work: (tx: Tx) => Promise<T>,
  { isolationLevel }: TransactionOptions = {},
): Promise<T> {
  if (openTransactions.has(db)) return work(db);
  const giveUpAt = Date.now() + retryWindowMs;
  for (let tries = 1; ; tries += 1) {
    let hasStarted = false;
    try {
      return await db.$transaction(
        (tx) => {
          hasStarted = true;
          openTransactions.add(tx);
          return work(tx);
        },
        isolationLevel ? { isolationLevel } : {},
      );
    } catch (error) {
      const canRetry = isWriteConflict(error) || (!hasStarted && prismaCodeOf(error) === transactionFailed);
      if (canRetry && tries < triesMax && Date.now() < giveUpAt) {
        // Random waits, so that two transactions that collided do not collide again.
        await sleep(firstWaitMs * 2 ** tries * (0.5 + Math.random()));
      } else if (canRetry || isUnavailable(error)) {
        throw unavailable(error, canRetry ? 'The database is busy. Try again in a moment.' : undefined);
      } else {
        throw error;
      }
    }
  }
}

function unavailable(cause: unknown, message?: string): UnavailableError {
  if (cause instanceof UnavailableError) return cause;
  const error = new UnavailableError(message);
  // For the log; the caller does not see it.
  error.cause = cause;
  return error;
}

/** Prisma's code for a transaction that did not start in time, or ran longer than it may. */
const transactionFailed = 'P2028';

/** Prisma's codes for a database that cannot be reached, refuses connections, or does not answer in time. */
const unavailableCodes = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', transactionFailed, 'P2037']);

/**
 * The same as the driver adapter calls it. The start has checked who may connect, so at run time these are
 * outages.
 */
const unavailableKinds = new Set([
  'AuthenticationFailed',
  'ConnectionClosed',
  'DatabaseAccessDenied',
  'DatabaseDoesNotExist',
  'DatabaseNotReachable',
  'SocketTimeout',
  'TlsConnectionError',
  'TooManyConnections',
]);

/**
 * Whether the database could not be reached or did not answer in time. It is not the caller's fault, and may
 * pass.
 */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof UnavailableError) return true;
  if (unavailableCodes.has(prismaCodeOf(error) ?? '')) return true;
  const { kind, state, severity } = driverErrorOf(error);
  // FATAL ends the connection, or refuses it.
  return unavailableKinds.has(kind) || outageStates.test(state) || severity === 'FATAL';
}

/** Whether a unique index refused the write, through Prisma's queries and through raw SQL alike. */
export function isUniqueViolation(error: unknown): boolean {
  const { kind, state } = driverErrorOf(error);
  return prismaCodeOf(error) === 'P2002' || kind === 'UniqueConstraintViolation' || state === '23505';
}

/** Whether a statement reached its lock_timeout. */
export function isLockTimeout(error: unknown): boolean {
  return driverErrorOf(error).state === '55P03';
}

/** Runs statements in a transaction that otherwise run without Prisma. */
export function runWithin(tx: Tx): RunStatement {
  return ({ text }, values) => tx.$queryRawUnsafe(text, ...values);
}

/** Whether the database rolled the transaction back in favour of another one: SQLSTATE 40001 or 40P01. */
function isWriteConflict(error: unknown): boolean {
  const { kind, state } = driverErrorOf(error);
  return (
    prismaCodeOf(error) === 'P2034' || kind === 'TransactionWriteConflict' || state === '40001' || state === '40P01'
  );
}

function prismaCodeOf(error: unknown): string | undefined {
  if (error instanceof Prisma.PrismaClientKnownRequestError) return error.code;
  return error instanceof Prisma.PrismaClientInitializationError ? error.errorCode : undefined;
}

/** The driver adapter's error, which Prisma passes on or wraps in `meta`; empty strings without one. */
function driverErrorOf(error: unknown): { kind: string; state: string; severity: string } {
  const wrapped = error instanceof Prisma.PrismaClientKnownRequestError ? error.meta?.driverAdapterError : error;
  if (!(wrapped instanceof Error) || !isDriverAdapterError(wrapped)) return { kind: '', state: '', severity: '' };
  const { cause } = wrapped;
  return {
    kind: cause.kind,
    state: cause.originalCode ?? '',
    severity: cause.kind === 'postgres' ? cause.severity : '',
  };
}
