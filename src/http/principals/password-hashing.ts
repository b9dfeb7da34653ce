import { availableParallelism } from 'node:os';
import { hashPassword, verifyPassword } from 'better-auth/crypto';
import pLimit from 'p-limit';
import { RateLimitedError } from '../../errors.js';

/** How passwords are hashed. It is slow on purpose, too slow for tests that sign up hundreds of people. */
export interface PasswordHashing {
  hash(password: string): Promise<string>;
  verify(stored: { hash: string; password: string }): Promise<boolean>;
}

/** scrypt of better-auth: N = 16384, r = 16, p = 1. About 100 ms of one thread. */
export const scryptHashing: PasswordHashing = { hash: hashPassword, verify: verifyPassword };

/**
 * How many passwords are hashed at a time: at most half of libuv's four threads, because the other half is
 * for the rest of the server (cookies' signatures, DNS, files), and at most half of the processor's cores.
 */
export const hashesAtOnceMax = Math.max(1, Math.min(2, Math.floor(availableParallelism() / 2)));
/** How many wait: the last of them for two or three seconds. */
export const waitingHashesMax = 32;
const retryAfterSeconds = 2;

/** More passwords than can be hashed and wait. */
export function tooManyPasswords(): RateLimitedError {
  return new RateLimitedError(
    'Too many people are signing up or signing in right now. Wait and try again.',
    retryAfterSeconds,
  );
}

/**
 * Hashes passwords in a queue of its own, so that many sign-ups do not delay anything else.
 * @throws RateLimitedError from both functions if the queue is full
 */
export function queuePasswordHashing(hashing: PasswordHashing): PasswordHashing {
  const limit = pLimit(hashesAtOnceMax);
  async function enqueue<Result>(work: () => Promise<Result>): Promise<Result> {
    // Calls that will start in this turn are still pending.
    if (limit.activeCount + limit.pendingCount >= hashesAtOnceMax + waitingHashesMax) {
      throw tooManyPasswords();
    }
    return limit(work);
  }
  return {
    hash: (password) => enqueue(() => hashing.hash(password)),
    verify: (stored) => enqueue(() => hashing.verify(stored)),
  };
}
