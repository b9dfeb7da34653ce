import { expect, test } from 'vitest';
import { rateLimitHeaders } from '../../src/domain/rate-limits/headers.js';

const at = (ms: number) => new Date(1_800_000_000_000 + ms);
const minute = { limit: 60, windowSeconds: 60, remaining: 59, resetAt: at(60_000) };
const hour = { limit: 1_000, windowSeconds: 3_600, remaining: 10, resetAt: at(3_600_000) };

test('X-RateLimit headers describe the window with the fewest remaining requests', () => {
  const decision = { allowed: true, retryAfterSeconds: 0, decidedAt: at(0), states: [minute, hour] };
  expect(rateLimitHeaders(decision)).toEqual([
    { name: 'X-RateLimit-Limit', value: '1000' },
    { name: 'X-RateLimit-Remaining', value: '10' },
    { name: 'X-RateLimit-Reset', value: '1800003600' },
    { name: 'RateLimit-Policy', value: '"minute";q=60;w=60, "hour";q=1000;w=3600' },
    { name: 'RateLimit', value: '"minute";r=59;t=60, "hour";r=10;t=3600' },
  ]);
});

test('RateLimit headers name each window with its remaining requests and the seconds until its reset', () => {
  const states = [
    { limit: 5, windowSeconds: 1, remaining: 5, resetAt: at(0) },
    { limit: 9, windowSeconds: 90, remaining: 0, resetAt: at(20_001) },
    { limit: 99, windowSeconds: 86_400, remaining: 98, resetAt: at(1) },
  ];
  expect(rateLimitHeaders({ allowed: false, retryAfterSeconds: 21, decidedAt: at(0), states }).slice(3)).toEqual([
    { name: 'RateLimit-Policy', value: '"second";q=5;w=1, "90s";q=9;w=90, "day";q=99;w=86400' },
    { name: 'RateLimit', value: '"second";r=5;t=1, "90s";r=0;t=21, "day";r=98;t=1' },
    { name: 'Retry-After', value: '21' },
  ]);
});

test('X-RateLimit headers describe the window that resets last when several have equally few remaining requests', () => {
  const states = [
    { ...minute, remaining: 0 },
    { ...hour, remaining: 0 },
  ];
  expect(rateLimitHeaders({ allowed: false, retryAfterSeconds: 30, decidedAt: at(0), states })[0]).toEqual({
    name: 'X-RateLimit-Limit',
    value: '1000',
  });
});

test('a refusal has Retry-After in seconds, at least 1', () => {
  const states = [{ ...minute, remaining: 0 }];
  expect(rateLimitHeaders({ allowed: false, retryAfterSeconds: 12, decidedAt: at(0), states })).toContainEqual({
    name: 'Retry-After',
    value: '12',
  });
  expect(rateLimitHeaders({ allowed: false, retryAfterSeconds: 0, decidedAt: at(0), states })).toContainEqual({
    name: 'Retry-After',
    value: '1',
  });
});

test('a reset time is rounded up to the next second, so that a request at that time is allowed', () => {
  const [, , reset] = rateLimitHeaders({
    allowed: true,
    retryAfterSeconds: 0,
    decidedAt: at(0),
    states: [{ ...minute, resetAt: at(1) }],
  });
  expect(reset).toEqual({ name: 'X-RateLimit-Reset', value: '1800000001' });
});

test('without limits there are no rate limit headers', () => {
  expect(rateLimitHeaders({ allowed: true, retryAfterSeconds: 0, decidedAt: at(0), states: [] })).toEqual([]);
});
