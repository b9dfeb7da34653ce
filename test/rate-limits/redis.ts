import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { describe, onTestFinished } from 'vitest';
import {
  openRedisWindows,
  type RedisWindows,
  type RedisWindowsOptions,
} from '../../src/domain/rate-limits/redis-windows.js';
import { createLog } from '../../src/http/log.js';
import { openProxy, type TcpProxy } from './proxy.js';

const { REDIS_URL } = process.env;

/**
 * These tests require a Redis or Valkey and run if REDIS_URL names one. It may be shared: each test has its
 * own key prefix.
 */
export const describeWithRedis = describe.skipIf(!REDIS_URL);

export function redisUrl(): string {
  if (!REDIS_URL) throw new Error('This run has no Redis; set REDIS_URL.');
  return REDIS_URL;
}

export function aPrefix(): string {
  return `tollkeeper-test:${randomBytes(6).toString('hex')}:`;
}

export function aLog() {
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  return { log: createLog({ level: 'trace', destination }), lines };
}

/** Windows that are connected and closed when the test ends, with a timeout for a busy machine. */
export async function someWindows(
  options: Partial<RedisWindowsOptions> = {},
): Promise<{ windows: RedisWindows; lines: readonly Record<string, unknown>[] }> {
  const { log, lines } = aLog();
  const windows = openRedisWindows({ url: redisUrl(), log, keyPrefix: aPrefix(), answerWithinMs: 5_000, ...options });
  onTestFinished(() => windows.close());
  const reason = await windows.waitUntilUp(5_000);
  if (reason !== null) throw new Error(`REDIS_URL is set, so the tests want that Redis, and it is away: ${reason}`);
  return { windows, lines };
}

/** A proxy to Redis that is closed when the test ends. */
export async function aProxy(): Promise<TcpProxy> {
  const proxy = await openProxy(redisUrl());
  onTestFinished(() => proxy.close());
  return proxy;
}

export async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const startedAt = performance.now();
  const result = await work();
  return { result, ms: performance.now() - startedAt };
}
