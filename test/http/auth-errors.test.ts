import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { authEndpoints } from '../../src/http/auth-endpoints.js';
import { aPerson, password } from '../factories.js';
import { publicUrl, startServer, type TestServer } from '../harness.js';

let server: TestServer;
let cookieOfPerson: string;

const noLimits = {
  network: { signUp: [], signIn: [], changePassword: [] },
  accountFromNetwork: [],
  account: [],
};

beforeAll(async () => {
  server = await startServer({ products: ['default'], attemptLimits: noLimits });
  cookieOfPerson = (await aPerson(server)).cookie;
});

const valid = () => ({
  name: 'Mallory',
  email: `${randomUUID()}@example.com`,
  password,
  currentPassword: password,
  newPassword: 'another correct horse',
  id: 'ses_unknown',
});

const strange: unknown[] = [
  null,
  0,
  1e308,
  true,
  [],
  [[]],
  {},
  { toString: 1 },
  '',
  ' ',
  '\u0000',
  '\ud800',
  '\u202e',
  'x'.repeat(5_000),
  '%',
  '%00',
  "' OR 1=1 --",
  '{{7*7}}',
  'a@b',
  '@',
  'javascript:alert(1)',
];

const bodies: string[] = [
  '',
  '{',
  'null',
  '[]',
  '"text"',
  '0',
  '{}',
  '{"__proto__":{"email":"a@example.com"}}',
  '{"constructor":{"prototype":{}}}',
  '\ufeff{}',
  '['.repeat(10_000),
  `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
  ...Object.keys(valid()).flatMap((name) => strange.map((value) => JSON.stringify({ ...valid(), [name]: value }))),
  ...[
    'callbackURL',
    'redirectTo',
    'errorCallbackURL',
    'rememberMe',
    'emailVerified',
    'image',
    'token',
    'revokeOtherSessions',
  ].flatMap((name) => [1, 'https://evil.example', {}].map((value) => JSON.stringify({ ...valid(), [name]: value }))),
];

const headersOf = (): Record<string, string>[] => [
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/x-www-form-urlencoded' },
  { 'content-type': 'multipart/form-data; boundary=x' },
  { 'content-type': 'application/json; charset=utf-16' },
  { origin: 'https://evil.example' },
  { origin: 'null', 'sec-fetch-site': 'same-origin' },
  { origin: publicUrl, cookie: '__Secure-tollkeeper.session_token=%' },
  { origin: publicUrl, cookie: '__Secure-tollkeeper.session_token=a.b; __Secure-tollkeeper.session_data=%E0%A4%A' },
  { origin: publicUrl, cookie: `__Secure-tollkeeper.session_token=${'x'.repeat(3_000)}` },
  { origin: publicUrl, cookie: `${cookieOfPerson}x; __Secure-tollkeeper.dont_remember=%` },
  { origin: 'https://evil.example', cookie: cookieOfPerson },
  { origin: '://', referer: '://' },
  { referer: 'https://evil.example/', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
  { authorization: 'Bearer' },
  { authorization: 'Bearer %E0%A4%A' },
  { authorization: 'Bearer a.b.c' },
  { authorization: `Bearer ${'.'.repeat(1_000)}` },
  { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` },
  { 'user-agent': '\u00ff'.repeat(2_000) },
  { 'x-forwarded-for': "' --", 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'javascript' },
  { 'accept-encoding': 'x', accept: 'x/y', 'x-captcha-response': '1' },
];

const queries = [
  '?',
  '?disableCookieCache=%E0%A4%A',
  '?disableRefresh[]=1&disableRefresh=2',
  '?callbackURL=https://evil.example',
];

describe('an anonymous caller writes no error line to the log', () => {
  test.each([...authEndpoints.keys()])('with malformed requests to %s', async (endpoint) => {
    const [method = '', path = ''] = endpoint.split(' ');
    const send = async (init: { headers?: Record<string, string>; body?: string }, query = '') => {
      const { headers = {}, body = JSON.stringify(valid()) } = init;
      const response = await server.fetch(`/api/auth${path}${query}`, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(method === 'POST' && { body }),
      });
      await response.arrayBuffer();
      return response.status;
    };
    const before = server.logged().length;
    const statuses = [
      ...(await Promise.all((method === 'POST' ? bodies : ['']).map((body) => send({ body })))),
      ...(await Promise.all(headersOf().map((headers) => send({ headers })))),
      ...(await Promise.all(queries.map((query) => send({}, query)))),
    ];
    expect(statuses.filter((status) => status >= 500)).toEqual([]);
    const errors = server
      .logged()
      .slice(before)
      .split('\n')
      .filter((line) => /"level":(?:50|60)/.test(line));
    expect(errors).toEqual([]);
  });

  test('with concurrent sign-ups of one address', async () => {
    const before = server.logged().length;
    const person = JSON.stringify(valid());
    await Promise.all(
      Array.from({ length: 8 }, () =>
        server.fetch('/api/auth/sign-up/email', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: person,
        }),
      ),
    );
    expect(server.logged().slice(before)).not.toContain('"level":50');
  });
});
