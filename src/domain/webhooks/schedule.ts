import type { WebhookDeliveryState } from '../../generated/prisma/enums.js';
import type { AttemptOutcome } from './send.js';

/** Maximum of an endpoint's `Retry-After`. A longer one is shortened to this. */
export const retryAfterSecondsMax = 86_400;
/**
 * Each delay varies by up to this fraction, so that deliveries that failed together are not retried together.
 */
const jitter = 0.1;

/** The next step of a delivery after an attempt. */
export interface NextStep {
  readonly state: WebhookDeliveryState;
  /** Time of the next attempt; null if there is none. */
  readonly dueAt: Date | null;
}

export interface Attempted {
  readonly outcome: AttemptOutcome;
  /** Time when the attempt ended. */
  readonly at: Date;
  /** Number of attempts, including this one. */
  readonly attemptCount: number;
  /** Seconds between the attempts. There is one attempt more than there are values. */
  readonly retryDelays: readonly number[];
  /** A random number from 0 to 1. */
  readonly random: number;
}

/**
 * Decides the next step after an attempt. A 2xx status is a success; everything else, redirects included, is
 * a failure.
 */
export function decideNextStep({ outcome, at, attemptCount, retryDelays, random }: Attempted): NextStep {
  if (isDelivered(outcome)) return { state: 'DELIVERED', dueAt: null };
  const delay = retryDelays[attemptCount - 1];
  if (delay === undefined) return { state: 'FAILED', dueAt: null };
  const seconds = Math.max(delay * (1 + jitter * (2 * random - 1)), parseRetryAfter(outcome.retryAfter, at));
  return { state: 'PENDING', dueAt: new Date(at.getTime() + Math.round(seconds * 1000)) };
}

export function isDelivered({ status }: AttemptOutcome): boolean {
  return status !== null && status >= 200 && status < 300;
}

/** Whether the endpoint wants no more deliveries: 410 Gone. */
export function isGone({ status }: AttemptOutcome): boolean {
  return status === 410;
}

/**
 * Parses `Retry-After` in both formats of RFC 9110, 10.2.3.
 * @returns seconds, at most the maximum; 0 if absent or invalid
 */
function parseRetryAfter(text: string | null, now: Date): number {
  if (text === null) return 0;
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : (Date.parse(text) - now.getTime()) / 1000;
  return Number.isNaN(seconds) ? 0 : Math.min(Math.max(seconds, 0), retryAfterSecondsMax);
}
