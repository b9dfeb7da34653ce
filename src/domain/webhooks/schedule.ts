import type { WebhookDeliveryState } from '../../generated/prisma/enums.js';
import type { AttemptOutcome } from './send.js';

/** An endpoint that asks for more patience than this is asked again after this. */
export const retryAfterSecondsMax = 86_400;
/** A delay is lengthened or shortened by up to this part of it, so that what failed together is not tried again together. */
const jitter = 0.1;

/** What follows an attempt. */
export interface NextStep {
  readonly state: WebhookDeliveryState;
  /** When it is tried again; null once it has ended. */
  readonly dueAt: Date | null;
}

export interface Attempted {
  readonly outcome: AttemptOutcome;
  /** When it ended. */
  readonly at: Date;
  /** How many there were, this one included. */
  readonly attemptCount: number;
  /** Seconds between the attempts: one fewer than there are attempts. */
  readonly retryDelays: readonly number[];
  /** From 0 to 1. */
  readonly random: number;
}

/** Decides what follows an attempt: any 2xx is a success, everything else is not, redirects included. */
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

/** Whether the endpoint says that nothing shall come any more: 410 Gone. */
export function isGone({ status }: AttemptOutcome): boolean {
  return status === 410;
}

/** Seconds, by either form of RFC 9110, 10.2.3, within bounds; 0 for none and for what is neither. */
function parseRetryAfter(text: string | null, now: Date): number {
  if (text === null) return 0;
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : (Date.parse(text) - now.getTime()) / 1000;
  return Number.isNaN(seconds) ? 0 : Math.min(Math.max(seconds, 0), retryAfterSecondsMax);
}
