import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** Time limit of a new connection, with TLS and authentication. */
const connectWithinMs = 2_000;

/**
 * Pause between two attempts to connect. It doubles if a connection was short, to spare an overloaded Redis.
 */
const pauseMsMin = 250;
const pauseMsMax = 4_000;
const stableAfterMs = 10_000;

/** Redis is unreachable, too slow, or refuses a command. The reason is logged once. */
export class RedisUnavailableError extends Error {
  override readonly name = 'RedisUnavailableError';
}

export interface RedisLinkOptions {
  readonly url: string;
  readonly log: Logger;
  /** Time limit of a command. */
  readonly answerWithinMs: number;
  /**
   * Runs the same command as requests do. Redis counts as reachable once this succeeds within the time limit.
   */
  readonly check: (redis: Redis) => Promise<unknown>;
}

/**
 * A connection to Redis that reconnects in the background. While Redis is unavailable, commands fail at once.
 */
export interface RedisLink {
  readonly isUp: boolean;
  /** Host and port, without user name and password. */
  readonly target: string;
  /**
   * @throws RedisUnavailableError at once while Redis is known to be unavailable, otherwise after
   *   `answerWithinMs`
   */
  run<T>(work: (redis: Redis) => Promise<T>): Promise<T>;
  /** Waits until Redis answers, at most `timeoutMs`. @returns null, or the reason why it is unavailable */
  waitUntilUp(timeoutMs: number): Promise<string | null>;
  close(): Promise<void>;
}

export function openRedisLink({ url, log, answerWithinMs, check }: RedisLinkOptions): RedisLink {
  const { hostname, port } = new URL(url);
  const target = `${hostname}:${port || 6379}`;
  const closing = new AbortController();
  let connection: Redis | null = null;
  let isUp = false;
  let upSince = 0;
  let pauseMs = pauseMsMin;
  let reason: string | null = null;
  let reconnecting: Promise<void> = Promise.resolve();
  let onAttempt: (() => void)[] = [];

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
      // The error that ioredis throws only says that the connection is closed. The `error` event has the
      // cause.
      throw failures[0] ?? error;
    }
  }

  async function reconnect(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await connect();
        if (closing.signal.aborted) return;
        isUp = true;
        upSince = performance.now();
        reason = null;
        log.info({ redis: target }, 'Redis answers: rate limits are shared');
        return;
      } catch (error) {
        if (!closing.signal.aborted) reportUnavailable(error);
      } finally {
        for (const notify of onAttempt.splice(0)) notify();
      }
      await pause();
    }
  }

  function lose(redis: Redis, error: unknown): void {
    if (!isUp || redis !== connection) return;
    isUp = false;
    redis.disconnect();
    if (closing.signal.aborted) return;
    reportUnavailable(error);
    pauseMs = performance.now() - upSince < stableAfterMs ? Math.min(pauseMs * 2, pauseMsMax) : pauseMsMin;
    reconnecting = pause().then(reconnect);
  }

  function reportUnavailable(error: unknown): void {
    if (reason === null) {
      log.warn(
        { redis: target, reason: reasonOf(error) },
        'Redis does not answer: the rateLimitFallback of each product applies until it does',
      );
    }
    reason = reasonOf(error);
  }

  async function pause(): Promise<void> {
    // Jitter, so that processes do not all reconnect at the same time.
    const ms = pauseMs * (0.5 + Math.random());
    await sleep(ms, undefined, { signal: closing.signal, ref: false }).catch(() => undefined);
  }

  reconnecting = reconnect();

  return {
    get isUp() {
      return isUp;
    },
    target,
    async run(work) {
      const redis = connection;
      if (!isUp || redis === null) throw new RedisUnavailableError();
      try {
        return await within(answerWithinMs, work(redis));
      } catch (error) {
        lose(redis, error);
        throw new RedisUnavailableError('Redis did not answer.', { cause: error });
      }
    },
    async waitUntilUp(timeoutMs) {
      const waiting = new AbortController();
      const over = sleep(timeoutMs, true, { signal: waiting.signal }).catch(() => true);
      let isOver = false;
      while (!isUp && !isOver) {
        const attempted = new Promise<boolean>((resolve) => onAttempt.push(() => resolve(false)));
        isOver = await Promise.race([over, attempted]);
      }
      waiting.abort();
      return isUp ? null : (reason ?? 'no answer yet');
    },
    async close() {
      closing.abort();
      isUp = false;
      onAttempt = [];
      connection?.disconnect();
      await reconnecting;
    },
  };
}

/**
 * A connection that is never reused: if it ends, or an answer is late, a new one replaces it. Nothing is sent
 * twice.
 */
function openConnection(url: string): Redis {
  return new Redis(url, {
    lazyConnect: true,
    retryStrategy: null,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // Our own check covers more than INFO, and does not need permission for INFO.
    enableReadyCheck: false,
    connectTimeout: connectWithinMs,
    connectionName: 'tollkeeper',
  });
}

function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const giveUp = () => reject(new Error(`no answer within ${limitMs} ms`));
    // Read answers that arrived while this process was busy, before the command counts as late.
    const timer = setTimeout(() => setImmediate(giveUp), limitMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // An AggregateError, one failure per address of the host, has no message of its own.
  return error.message || ('code' in error ? String(error.code) : error.name);
}
