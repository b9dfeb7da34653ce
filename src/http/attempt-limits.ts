import { isIPv6 } from 'node:net';
import { hashSecretHex } from '../domain/access/secret-hash.js';
import type { RateLimit, RateLimitPolicy } from '../domain/rate-limits/limiter.js';
import { RateLimitedError } from '../errors.js';
import type { Services } from '../graphql/services.js';
import type { AttemptKind } from './auth-endpoints.js';

/**
 * How often a password can be tried or set. Each list has several windows, so that the wait grows: after the
 * attempts of a minute it is a minute, after those of an hour it is an hour. A refused attempt counts in
 * none.
 */
export interface AttemptLimits {
  /** Per kind of attempt and network, for all accounts. The people of a company share an address. */
  readonly network: Readonly<Record<AttemptKind, readonly RateLimit[]>>;
  /** Per account and network. */
  readonly accountFromNetwork: readonly RateLimit[];
  /**
   * Per account, from all networks. Far more than one network can use up, so that no single one locks the
   * account for the others.
   */
  readonly account: readonly RateLimit[];
}

const minute = 60;
const hour = 3_600;
const day = 86_400;

export const defaultAttemptLimits: AttemptLimits = {
  network: {
    signUp: [
      { limit: 60, windowSeconds: minute },
      { limit: 600, windowSeconds: hour },
    ],
    signIn: [
      { limit: 60, windowSeconds: minute },
      { limit: 1_200, windowSeconds: hour },
    ],
    changePassword: [
      { limit: 60, windowSeconds: minute },
      { limit: 600, windowSeconds: hour },
    ],
  },
  accountFromNetwork: [
    { limit: 10, windowSeconds: minute },
    { limit: 30, windowSeconds: hour },
    { limit: 100, windowSeconds: day },
  ],
  account: [
    { limit: 200, windowSeconds: hour },
    { limit: 1_000, windowSeconds: day },
  ],
};

/** What the messages call an attempt. */
const attempts: Readonly<Record<AttemptKind, string>> = {
  signUp: 'attempts to sign up',
  signIn: 'attempts to sign in',
  changePassword: 'attempts to change a password',
};

type LimiterServices = Pick<Services, 'limiter' | 'clock'>;

/** Counts attempts, in windows that processes share through Redis. */
export function createAttemptLimiter({ limiter, clock }: LimiterServices, limits: AttemptLimits) {
  async function take(kind: AttemptKind, scope: string, rateLimits: readonly RateLimit[], what: string): Promise<void> {
    // While Redis is unavailable, each process counts for itself.
    const policy: RateLimitPolicy = { rateLimits, rateLimitFallback: 'open' };
    const decision = await limiter.take(`${kind}:${scope}`, policy, clock());
    if (decision.allowed) return;
    throw new RateLimitedError(
      `Too many ${attempts[kind]} ${what}. Wait ${decision.retryAfterSeconds} seconds and try again.`,
      decision.retryAfterSeconds,
    );
  }

  return {
    /** Counts an attempt from an address, before anything of the request is read. @throws RateLimitedError */
    takeForNetwork: (kind: AttemptKind, address: string | null) =>
      take(kind, `network:${networkOf(address)}`, limits.network[kind], 'from this address'),
    /**
     * Counts an attempt for an account, whether it exists or not.
     * @param email in any case
     * @throws RateLimitedError
     */
    async takeForAccount(kind: AttemptKind, email: string, address: string | null): Promise<void> {
      const account = hashSecretHex(email.trim().toLowerCase()).slice(0, 32);
      const what = 'for this account';
      await take(kind, `account:${account}:${networkOf(address)}`, limits.accountFromNetwork, what);
      await take(kind, `account:${account}`, limits.account, what);
    },
  };
}

/** The /64 of an IPv6 address, all of which one household or machine has. */
export function networkOf(address: string | null): string {
  if (address === null) return 'unknown';
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [left = '', right] = address.split('%', 1).join('').split('::');
  const leading = left === '' ? [] : left.split(':');
  const trailing = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array.from({ length: 8 - leading.length - trailing.length }, () => '0');
  return [...leading, ...(right === undefined ? [] : zeros), ...trailing].slice(0, 4).join(':');
}
