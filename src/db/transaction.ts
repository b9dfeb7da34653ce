import { setTimeout as sleep } from 'node:timers/promises';
import { isDriverAdapterError } from '@prisma/driver-adapter-utils';
import { UnavailableError } from '../errors.js';
import { Prisma, type PrismaClient } from '../generated/prisma/client.js';
import type { RunStatement } from './database.js';
import { outageStates } from './outage.js';

export type Db = PrismaClient;
export type Tx = Prisma.TransactionClient;

export interface TransactionOptions {
  /** READ COMMITTED unless told; the guard stands in the statement, so a stricter level is rarely needed. */
  isolationLevel?: Prisma.TransactionIsolationLevel;
}

/** Transactions that are under way, to tell them from the database as a whole. */
const openTransactions = new WeakSet<object>();

const triesMax = 5;
const firstWaitMs = 10;
/** No new try begins after this, so that a caller waits for the limits of one transaction and not for five of them. */
const patienceMs = 12_000;

/**
 * Runs `work` in one interactive transaction, and again where the database undid it for the sake of another one
 * (serialization failure, deadlock, write conflict) or could not begin it in time. `work` may therefore run several
 * times: it does nothing that a rollback would not undo. A lost connection is never tried again here, because the
 * COMMIT may have arrived; the caller's idempotency key decides that. Where `db` is a transaction itself, the work is a part of it:
 * it commits, fails and is tried again with the whole.
 * @throws UnavailableError where the database cannot be reached, or stays too busy.
 */
export async function transaction<T>(
  db: Db,
  work: (tx: Tx) => Promise<T>,
  { isolationLevel }: TransactionOptions = {},
): Promise<T> {
  if (openTransactions.has(db)) return work(db);
  const begin = (tx: Tx) => {
    openTransactions.add(tx);
    return work(tx);
  };
  const giveUpAt = Date.now() + patienceMs;
  for (let tries = 1; ; tries += 1) {
    try {
      return await db.$transaction(begin, isolationLevel ? { isolationLevel } : {});
    } catch (error) {
      const undone = isWriteConflict(error) || isStartTimeout(error);
      if (undone && tries < triesMax && Date.now() < giveUpAt) {
        // Jitter, so that two that collided do not meet again.
        await sleep(firstWaitMs * 2 ** tries * (0.5 + Math.random()));
      } else if (undone || isUnavailable(error)) {
        throw unavailable(error, undone ? 'The database is busy. Try again in a moment.' : undefined);
      } else {
        throw error;
      }
    }
  }
}

function unavailable(cause: unknown, message?: string): UnavailableError {
  if (cause instanceof UnavailableError) return cause;
  const error = new UnavailableError(message);
  // The caller is told nothing of the cause; the log is.
  error.cause = cause;
  return error;
}

/** Prisma's codes for a database that is away, refuses more connections, or does not answer in time. */
const unavailableCodes = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2037']);

/** The driver adapter's own words for the same. Who may connect was settled at the start: at run time it is an outage. */
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

/** Whether the database could not be reached, or could not answer in time: not the caller's fault, and it may pass. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof UnavailableError) return true;
  if (unavailableCodes.has(prismaCodeOf(error) ?? '')) return true;
  if (isStartTimeout(error) || isExpired(error)) return true;
  const { kind, state, severity } = driverErrorOf(error);
  // FATAL ends the session, or refuses to begin one.
  return unavailableKinds.has(kind) || outageStates.test(state) || severity === 'FATAL';
}

/** Whether a unique index refused the write, through Prisma's queries and through raw SQL alike. */
export function isUniqueViolation(error: unknown): boolean {
  const { kind, state } = driverErrorOf(error);
  return prismaCodeOf(error) === 'P2002' || kind === 'UniqueConstraintViolation' || state === '23505';
}

/** Whether a statement waited for a lock as long as it may. */
export function isLockTimeout(error: unknown): boolean {
  return driverErrorOf(error).state === '55P03';
}

/** Runs prepared statements within a transaction, for what otherwise goes past Prisma. */
export function runWithin(tx: Tx): RunStatement {
  return ({ text }, values) => tx.$queryRawUnsafe(text, ...values);
}

/** Whether the database undid the transaction so that another one could proceed; PostgreSQL's classes 40001 and 40P01. */
function isWriteConflict(error: unknown): boolean {
  const { kind, state } = driverErrorOf(error);
  return (
    prismaCodeOf(error) === 'P2034' || kind === 'TransactionWriteConflict' || state === '40001' || state === '40P01'
  );
}

/** P2028 has several meanings; only this one says that nothing has begun. */
function isStartTimeout(error: unknown): boolean {
  return prismaCodeOf(error) === 'P2028' && messageOf(error).includes('Unable to start a transaction');
}

/** The work took longer than a transaction may live; Prisma has rolled it back. */
function isExpired(error: unknown): boolean {
  return prismaCodeOf(error) === 'P2028' && messageOf(error).includes('expired transaction');
}

function prismaCodeOf(error: unknown): string | undefined {
  if (error instanceof Prisma.PrismaClientKnownRequestError) return error.code;
  return error instanceof Prisma.PrismaClientInitializationError ? error.errorCode : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}

/** What the driver adapter said, whether Prisma wrapped it (in `meta`) or let it pass; empty where it said nothing. */
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
