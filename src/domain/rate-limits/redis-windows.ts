import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { createBatcher } from '../../db/batcher.js';
import { describeDecision, type Standing } from './decision.js';
import type { RateLimit, RateLimitDecision } from './limiter.js';
import { openRedisLink, RedisAwayError, type RedisLink } from './redis-link.js';
import { windowsScript } from './redis-script.js';

export interface RedisWindowsOptions {
  readonly url: string;
  readonly log: Logger;
  /** What the names of all keys begin with. */
  readonly keyPrefix?: string;
  /** How long a request waits for an answer: 50 ms unless a test has more patience. */
  readonly answerWithinMs?: number;
  /** Decides by the `now` of whoever asks instead of Redis's own time, for tests that move the clock and ask one by one. */
  readonly usesCallersTime?: boolean;
}

/** Rolling windows that all processes share. Both methods throw RedisAwayError where Redis does not answer in time. */
export interface RedisWindows extends Pick<RedisLink, 'place' | 'untilUp' | 'close'> {
  take(key: string, limits: readonly RateLimit[], now: Date): Promise<RateLimitDecision>;
  peek(key: string, limits: readonly RateLimit[], now: Date): Promise<RateLimitDecision>;
}

interface Question {
  readonly key: string;
  readonly limits: readonly RateLimit[];
  readonly counts: boolean;
  readonly now: Date;
}

/** Taken from before Redis counts as reachable, so that one that only reads, such as a replica, does not. */
const checkQuestion: Question = {
  key: 'check',
  limits: [{ limit: 1_000, windowSeconds: 1 }],
  counts: true,
  now: new Date(0),
};

/**
 * Exact rolling windows in Redis or Valkey: never more than `limit` requests in any `windowSeconds` of its clock, whichever process
 * asks. What arrives together is decided in one round trip, in the order of arrival. Absolute times are told on the clock of whoever
 * asks, so that they fit the other dates of the answer.
 */
export function openRedisWindows({
  url,
  log,
  keyPrefix = 'tollkeeper:rate-limit:',
  answerWithinMs = 50,
  usesCallersTime = false,
}: RedisWindowsOptions): RedisWindows {
  /** How far Redis's clock is ahead of this process's, in microseconds. An upper bound, since it ignores the way back. */
  let aheadUs: number | null = null;

  async function ask(redis: Redis, questions: readonly Question[]): Promise<RateLimitDecision[]> {
    const sentUs = clockUs();
    const deadlineUs = aheadUs === null ? Number.MAX_SAFE_INTEGER : sentUs + aheadUs + answerWithinMs * 1000;
    const args = [deadlineUs, usesCallersTime ? (questions[0]?.now.getTime() ?? 0) * 1000 : 0];
    for (const { limits, counts } of questions) {
      args.push(counts ? 1 : 0, limits.length);
      for (const { limit, windowSeconds } of limits) args.push(limit, windowSeconds * 1_000_000);
    }
    const keys = questions.map(({ key }) => keyPrefix + key);
    const [presentUs = 0, ...found] = toNumbers(await runScript(redis, keys, args));
    aheadUs = presentUs - sentUs;
    if (found.length === 0 && questions.length > 0) throw new Error('the request reached Redis too late');
    return readDecisions(questions, found);
  }

  const link = openRedisLink({
    url,
    log,
    answerWithinMs,
    check: (redis) => {
      // Another Redis may have another clock.
      aheadUs = null;
      return ask(redis, [checkQuestion]);
    },
  });
  const load = createBatcher((questions: readonly Question[]) => link.run((redis) => ask(redis, questions)));
  const decide = (question: Question) => (link.isUp ? load(question) : Promise.reject(new RedisAwayError()));

  return {
    take: (key, limits, now) => decide({ key, limits, counts: true, now }),
    peek: (key, limits, now) => decide({ key, limits, counts: false, now }),
    place: link.place,
    untilUp: link.untilUp,
    close: link.close,
  };
}

/** A clock that nobody sets. */
function clockUs(): number {
  return Math.round(performance.now() * 1000);
}

async function runScript(redis: Redis, keys: readonly string[], args: readonly number[]): Promise<unknown> {
  try {
    return await redis.evalsha(windowsScript.sha, keys.length, ...keys, ...args);
  } catch (error) {
    // It was restarted, or somebody emptied its cache.
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return redis.eval(windowsScript.text, keys.length, ...keys, ...args);
  }
}

function toNumbers(answer: unknown): number[] {
  if (!Array.isArray(answer)) throw new Error('Redis answered in a form that is not known');
  return answer.map(Number);
}

function readDecisions(questions: readonly Question[], found: readonly number[]): RateLimitDecision[] {
  let at = 0;
  const next = () => found[at++] ?? 0;
  return questions.map(({ limits, now }) => {
    const allowed = next() === 1;
    const standings: Standing[] = limits.map(() => ({ used: next(), resetMs: next() }));
    return describeDecision(limits, standings, allowed, now);
  });
}
