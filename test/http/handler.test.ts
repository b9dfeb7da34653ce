import { beforeAll, describe, expect, test } from 'vitest';
import { aPerson } from '../factories.js';
import { publicUrl, startServer, type TestServer } from '../harness.js';

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ products: ['default'], allowedOrigins: ['https://app.example.com'] });
});

describe('paths', () => {
  test('the root path redirects to GraphQL', async () => {
    const response = await server.fetch('/');
    expect([response.status, response.headers.get('location')]).toEqual([302, '/graphql']);
  });

  test('/health/live and /health/ready answer 200 while the server runs', async () => {
    const live = await server.fetch('/health/live');
    const ready = await server.fetch('/health/ready');
    expect([live.status, await live.json()]).toEqual([200, { status: 'live' }]);
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready' }]);
  });

  test.each([
    ['GET', '/nonsense'],
    ['GET', '/graphql/nonsense'],
    ['GET', '/api/auth'],
    ['POST', '/health/live'],
    ['DELETE', '/'],
  ])('%s %s answers 404 with a GraphQL error', async (method, path) => {
    const response = await server.fetch(path, { method });
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({
      errors: [
        {
          message: expect.any(String),
          extensions: { code: 'NOT_FOUND', field: 'path', requestId: response.headers.get('x-request-id') },
        },
      ],
    });
  });

  test('a closing server is live but not ready, and closes its connections', async () => {
    const closing = await startServer({ products: ['default'] });
    closing.drain();
    expect((await closing.fetch('/health/live')).status).toBe(200);
    const ready = await closing.fetch('/health/ready');
    expect([ready.status, ready.headers.get('connection')]).toEqual([503, 'close']);
    expect((await closing.anonymous.send('{ __typename }')).status).toBe(200);
  });
});

test('every response has headers against type sniffing, framing and caching', async () => {
  for (const path of ['/', '/nonsense', '/health/live', '/graphql?query=%7B__typename%7D', '/api/auth/get-session']) {
    const { headers } = await server.fetch(path);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('same-origin');
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-request-id')).toMatch(/^req_/);
  }
});

describe('pages of other origins', () => {
  const preflight = (origin: string, path: string) =>
    server.fetch(path, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,authorization',
      },
    });

  test.each(['/graphql', '/api/auth/sign-in/email'])('may call %s when their origin is allowed', async (path) => {
    for (const origin of [publicUrl, 'https://app.example.com']) {
      const response = await preflight(origin, path);
      expect(response.status).toBe(204);
      expect(response.headers.get('access-control-allow-origin')).toBe(origin);
      expect(response.headers.get('access-control-allow-credentials')).toBe('true');
      expect(response.headers.get('access-control-allow-headers')).toBe('content-type,authorization');
      expect(response.headers.get('vary')).toContain('origin');
    }
  });

  test('get no CORS headers when their origin is not allowed', async () => {
    for (const origin of ['https://evil.example', 'null', 'https://app.example.com.evil.example']) {
      const response = await preflight(origin, '/graphql');
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
      const answer = await server.anonymous.with({ origin }).send('{ __typename }');
      expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  test('may use a session cookie and read the exposed headers when their origin is allowed', async () => {
    const { cookie } = await aPerson(server);
    const answer = await server.anonymous
      .with({ cookie, origin: 'https://app.example.com' })
      .send('{ viewer { kind } }');
    expect(answer.body).toEqual({ data: { viewer: { kind: 'USER' } } });
    expect(answer.headers.get('access-control-expose-headers')).toContain('x-request-id');
  });
});

describe('GraphiQL', () => {
  const browse = () => server.fetch('/graphql', { headers: { accept: 'text/html,application/xhtml+xml' } });

  test('is one page that loads nothing from other hosts, which its content security policy also forbids', async () => {
    const response = await browse();
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const page = await response.text();
    expect(page.match(/<\/script/g)).toHaveLength(1);
    expect(page).toContain(`curl -s ${publicUrl}/api/auth/sign-up/email`);
    expect(page).not.toMatch(/<(?:script|link|img)[^>]+(?:src|href)\s*=\s*["']?https?:/i);
    expect(page).not.toContain('unpkg.com');
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("connect-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/https?:/);
  });

  test('is not served with TOLLKEEPER_PLAYGROUND=off', async () => {
    const { fetch, anonymous } = await startServer({ servesPlayground: false });
    for (const [path, status] of [
      ['/graphql', 406],
      ['/', 404],
    ] as const) {
      const response = await fetch(path, { headers: { accept: 'text/html' } });
      expect(response.status).toBe(status);
      expect(response.headers.get('content-type')).toContain('application/json');
    }
    expect((await anonymous.send('{ viewer { kind } }')).data).toEqual({ viewer: null });
  });

  test('shows example operations that are valid in the schema', async () => {
    const { graphiqlOptions } = await import('../../src/http/graphiql.js');
    const { buildSchema } = await import('../../src/graphql/schema.js');
    const { parse, validate } = await import('graphql');
    const schema = buildSchema({ mutationsPerMinute: 60 });
    const tabs = graphiqlOptions(publicUrl).defaultTabs ?? [];
    expect(tabs.length).toBeGreaterThan(3);
    for (const { query } of tabs) expect(validate(schema, parse(query ?? ''))).toEqual([]);
  });
});
