import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** How long a new connection may take, with TLS and authentication. */
const connectWithinMs = 2_000;

/** Between two tries to reach Redis. It doubles each time that Redis was back for a moment only, so that one at its limits is left alone. */
const pauseMsMin = 250;
const pauseMsMax = 4_000;
const steadyAfterMs = 10_000;

/** Redis is not there, or too slow, or refuses what is asked of it. Which of them it is stands in the log, once. */
export class RedisAwayError extends Error {
  override readonly name = 'RedisAwayError';
}

export interface RedisLinkOptions {
  readonly url: string;
  readonly log: Logger;
  /** How long a request waits for an answer. */
  readonly answerWithinMs: number;
  /** Does what requests will do. Redis counts as reachable as soon as this succeeds within the time of a request. */
  readonly check: (redis: Redis) => Promise<unknown>;
}

/** One connection to a Redis that may be away: who asks is never kept waiting, and a new connection is sought in the background. */
export interface RedisLink {
  readonly isUp: boolean;
  /** Host and port, without anything secret. */
  readonly place: string;
  /** @throws RedisAwayError at once where Redis is known to be away, and after `answerWithinMs` where that is found out */
  run<T>(work: (redis: Redis) => Promise<T>): Promise<T>;
  /** Waits until Redis answers, or the time is over. @returns null, or why it is away */
  untilUp(patienceMs: number): Promise<string | null>;
  close(): Promise<void>;
}

export function openRedisLink({ url, log, answerWithinMs, check }: RedisLinkOptions): RedisLink {
  const { hostname, port } = new URL(url);
  const place = `${hostname}:${port || 6379}`;
  const closing = new AbortController();
  let connection: Redis | null = null;
  let isUp = false;
  let upSince = 0;
  let pauseMs = pauseMsMin;
  let reason: string | null = null;
  let seeking: Promise<void> = Promise.resolve();
  let onTry: (() => void)[] = [];

  async function connect(): Promise<void> {
    const redis = openConnection(url);
    connection = redis;
    const failures: unknown[] = [];
    redis.on('error', (error) => failures.push(error));
    redis.on('end', () => lose(redis, failures[0] ?? new Error('the connection was closed')));
    try {
      await within(connectWithinMs, redis.connect());
      await within(answerWithinMs, check(redis));
      if (redis.status !== 'ready') throw new Error('the connection was closed');
    } catch (error) {
      redis.disconnect();
      // What ioredis throws says that the connection is closed; what it told its listeners says why.
      throw failures[0] ?? error;
    }
  }

  async function seek(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await connect();
        if (closing.signal.aborted) return;
        isUp = true;
        upSince = performance.now();
        reason = null;
        log.info({ redis: place }, 'Redis answers: rate limits are shared');
        return;
      } catch (error) {
        if (!closing.signal.aborted) tellAway(error);
      } finally {
        for (const told of onTry.splice(0)) told();
      }
      await pause();
    }
  }

  function lose(redis: Redis, error: unknown): void {
    if (!isUp || redis !== connection) return;
    isUp = false;
    redis.disconnect();
    if (closing.signal.aborted) return;
    tellAway(error);
    pauseMs = performance.now() - upSince < steadyAfterMs ? Math.min(pauseMs * 2, pauseMsMax) : pauseMsMin;
    seeking = pause().then(seek);
  }

  function tellAway(error: unknown): void {
    if (reason === null) {
      log.warn(
        { redis: place, reason: reasonOf(error) },
        'Redis does not answer: until it does, the rateLimitFallback of each product decides',
      );
    }
    reason = reasonOf(error);
  }

  async function pause(): Promise<void> {
    // Jitter, so that processes which lost it together do not all come back at once.
    const ms = pauseMs * (0.5 + Math.random());
    await sleep(ms, undefined, { signal: closing.signal, ref: false }).catch(() => undefined);
  }

  seeking = seek();

  return {
    get isUp() {
      return isUp;
    },
    place,
    async run(work) {
      const redis = connection;
      if (!isUp || redis === null) throw new RedisAwayError();
      try {
        return await within(answerWithinMs, work(redis));
      } catch (error) {
        lose(redis, error);
        throw new RedisAwayError('Redis did not answer.', { cause: error });
      }
    },
    async untilUp(patienceMs) {
      const waiting = new AbortController();
      const over = sleep(patienceMs, true, { signal: waiting.signal }).catch(() => true);
      let isOver = false;
      while (!isUp && !isOver) {
        const tried = new Promise<boolean>((resolve) => onTry.push(() => resolve(false)));
        isOver = await Promise.race([over, tried]);
      }
      waiting.abort();
      return isUp ? null : (reason ?? 'no answer yet');
    },
    async close() {
      closing.abort();
      isUp = false;
      onTry = [];
      connection?.disconnect();
      await seeking;
    },
  };
}

/** A connection that is used once: when it ends, or an answer is late, another one takes its place and nothing is sent twice. */
function openConnection(url: string): Redis {
  return new Redis(url, {
    lazyConnect: true,
    retryStrategy: null,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // The check says more than INFO, and needs no permission for it.
    enableReadyCheck: false,
    connectTimeout: connectWithinMs,
    connectionName: 'tollkeeper',
  });
}

function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const giveUp = () => reject(new Error(`no answer within ${limitMs} ms`));
    // What arrived while this process was busy is read before it counts as late.
    const timer = setTimeout(() => setImmediate(giveUp), limitMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // An AggregateError, one failure per address of the host, has no message of its own.
  return error.message || ('code' in error ? String(error.code) : error.name);
}
