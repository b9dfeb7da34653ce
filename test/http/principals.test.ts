import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../src/db/ids.js';
import { hashSecretHex } from '../../src/domain/access/secret-hash.js';

import { aKeyOf, aPerson, password } from '../factories.js';
import { publicUrl, startServer, type TestServer } from '../harness.js';

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ products: ['makistry', 'makepay', 'craftkit', 'makra'] });
});

const viewer = '{ viewer { kind user { email } apiKey { id } workspace { kind } } }';

const viewerAs = (headers: Record<string, string>) => server.anonymous.with(headers).send(viewer);

function refusal(code: string | null, message?: string) {
  return {
    status: 401,
    body: {
      errors: [
        {
          ...(message === undefined ? {} : { message }),
          extensions: {
            code: 'UNAUTHENTICATED',
            requestId: expect.any(String),
            ...(code === null ? {} : { productCode: code }),
          },
        },
      ],
    },
  };
}

describe('the principal of a request', () => {
  test('is anonymous without a credential', async () => {
    expect(await server.anonymous.send(viewer)).toMatchObject({ status: 200, body: { data: { viewer: null } } });
  });

  test('is the person for a session token, with a PERSONAL workspace', async () => {
    const { token, email } = await aPerson(server);
    expect(await viewerAs({ authorization: `Bearer ${token}` })).toMatchObject({
      status: 200,
      body: { data: { viewer: { kind: 'USER', user: { email }, workspace: { kind: 'PERSONAL' } } } },
    });
  });

  test('does not depend on the case of the Authorization scheme', async () => {
    const { token } = await aPerson(server);
    const answer = await viewerAs({ authorization: `bEARER ${token}` });
    expect(answer.body).toMatchObject({ data: { viewer: { kind: 'USER' } } });
  });

  test('is the same person for the signed token of set-auth-token', async () => {
    const { email } = await aPerson(server);
    const response = await server.fetch('/api/auth/sign-in/email', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    });
    const token = response.headers.get('set-auth-token');
    expect(token).toMatch(/^[A-Za-z0-9]{32}\./);
    const answer = await viewerAs({ authorization: `Bearer ${token}` });
    expect(answer.body).toMatchObject({ data: { viewer: { kind: 'USER', user: { email } } } });
    const forged = await viewerAs({ authorization: `Bearer ${token?.slice(0, 34)}${'A'.repeat(40)}` });
    expect(forged.status).toBe(401);
  });

  test('is refused for an expired session', async () => {
    const { token, id } = await aPerson(server);
    await server.services.db.authSession.updateMany({
      where: { userId: id },
      data: { expiresAt: new Date(Date.now() - 1) },
    });
    expect((await viewerAs({ authorization: `Bearer ${token}` })).status).toBe(401);
  });

  test('gets the missing PERSONAL workspace of an interrupted sign-up with the next request', async () => {
    const token = randomBytes(16).toString('hex');
    const id = newId('user');
    await server.services.db.user.create({
      data: {
        id,
        name: 'Cut short',
        email: `${id}@example.com`,
        sessions: {
          create: {
            id: newId('authSession'),
            token: hashSecretHex(token),
            expiresAt: new Date(Date.now() + 60_000),
          },
        },
      },
    });
    const answers = await Promise.all(Array.from({ length: 5 }, () => viewerAs({ authorization: `Bearer ${token}` })));
    expect(answers.map(({ body }) => body)).toEqual(
      answers.map(() => ({
        data: { viewer: expect.objectContaining({ kind: 'USER', workspace: { kind: 'PERSONAL' } }) },
      })),
    );
  });

  test('is a service for a service token', async () => {
    const answer = await server.backend.send(viewer);
    expect(answer.body).toMatchObject({ data: { viewer: { kind: 'SERVICE' } } });
  });

  test.each(['makistry', 'craftkit', 'makra'])('is the API key for a bearer key of %s', async (product) => {
    const { apiKey, secret } = await aKeyOf(server, product);
    const answer = await viewerAs({ authorization: `Bearer ${secret}` });
    expect(answer.body).toMatchObject({ data: { viewer: { kind: 'API_KEY', apiKey: { id: apiKey.id } } } });
  });

  test('is the API key for the header pair of a product', async () => {
    const { apiKey, secret } = await aKeyOf(server, 'makepay');
    const answer = await viewerAs({
      'x-makecrypto-key-id': apiKey.keyId ?? '',
      'x-makecrypto-key-secret': secret,
    });
    expect(answer.body).toMatchObject({ data: { viewer: { kind: 'API_KEY', apiKey: { id: apiKey.id } } } });
  });
});

describe('an invalid credential is refused with the error of the product whose format it has:', () => {
  test.each([
    ['an unknown key', `Bearer mk_pub_${'0'.repeat(32)}`, 'invalid_api_key'],
    ['a truncated key', 'Bearer mk_pub_0123', 'invalid_api_key'],
    ['an unknown key of another product', `Bearer ck_live_${'0'.repeat(32)}`, 'invalid_credentials'],
    ['a token of unknown format', 'Bearer nonsense', 'invalid_api_key'],
    ['an unknown session', `Bearer ${'a1'.repeat(16)}`, 'invalid_api_key'],
    ['an unknown service token', `Bearer tks_${'a'.repeat(40)}`, 'invalid_api_key'],
    ['a token of an identity provider when none is configured', 'Bearer eyJhbGciOiJub25lIn0.e30.AA', 'invalid_api_key'],
    ['an empty header', '', 'invalid_api_key'],
    ['a scheme without a token', 'Bearer ', 'invalid_api_key'],
    ['another scheme', 'Basic YTpi', 'invalid_api_key'],
    ['two tokens', `Bearer ${'a1'.repeat(16)}, Bearer ${'a1'.repeat(16)}`, 'invalid_api_key'],
    ['a token that is too long', `Bearer ${'a'.repeat(9_000)}`, 'invalid_api_key'],
  ])('%s', async (_name, authorization, productCode) => {
    const answer = await viewerAs({ authorization });
    expect(answer).toMatchObject(refusal(productCode));
    expect(answer.body).not.toHaveProperty('data');
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="tollkeeper"');
  });

  test('one header of a pair', async () => {
    const { apiKey } = await aKeyOf(server, 'makepay');
    const answer = await viewerAs({ 'x-makecrypto-key-id': apiKey.keyId ?? '' });
    expect(answer).toMatchObject(refusal(null, 'Unauthorized'));
  });

  test('a header pair with the wrong secret', async () => {
    const { apiKey } = await aKeyOf(server, 'makepay');
    const { secret } = await aKeyOf(server, 'makepay');
    const answer = await viewerAs({
      'x-makecrypto-key-id': apiKey.keyId ?? '',
      'x-makecrypto-key-secret': secret,
    });
    expect(answer).toMatchObject(refusal(null, 'Invalid MakePay API credentials'));
  });

  test('a wrong credential with an invalid document, with 401', async () => {
    expect(await server.anonymous.with({ authorization: 'Bearer nonsense' }).send('{ nonsense')).toMatchObject({
      status: 401,
    });
  });

  test('a wrong credential of a client that accepts only plain JSON, with 401', async () => {
    const answer = await viewerAs({ authorization: 'Bearer nonsense', accept: 'application/json' });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  });
});

test('two credentials in one request are refused with 400, even if both are valid', async () => {
  const { token } = await aPerson(server);
  const { apiKey, secret } = await aKeyOf(server, 'makepay');
  const answer = await viewerAs({
    authorization: `Bearer ${token}`,
    'x-makecrypto-key-id': apiKey.keyId ?? '',
    'x-makecrypto-key-secret': secret,
  });
  expect(answer).toMatchObject({
    status: 400,
    body: { errors: [{ extensions: { code: 'BAD_USER_INPUT', field: 'headers' } }] },
  });
});

describe('a session cookie', () => {
  const isAnonymous = { data: { viewer: null } };

  test('authenticates JSON requests from the origin of the server', async () => {
    const { cookie, email } = await aPerson(server);
    const answer = await viewerAs({ cookie, origin: publicUrl });
    expect(answer.body).toMatchObject({ data: { viewer: { kind: 'USER', user: { email } } } });
  });

  test('is ignored without an origin', async () => {
    const { cookie } = await aPerson(server);
    expect((await viewerAs({ cookie })).body).toEqual(isAnonymous);
  });

  test('is ignored from any other origin', async () => {
    const { cookie } = await aPerson(server);
    for (const origin of ['https://evil.example', 'http://keys.example.com', 'null', `${publicUrl}.evil.example`]) {
      expect((await viewerAs({ cookie, origin })).body).toEqual(isAnonymous);
    }
  });

  const viewerByGet = async (headers: Record<string, string>) => {
    const response = await server.fetch(`/graphql?query=${encodeURIComponent('{ viewer { kind } }')}`, { headers });
    return response.json();
  };

  test.each([
    ['a browser says that it is of the same origin', { 'sec-fetch-site': 'same-origin' }],
    ['its origin is allowed', { origin: publicUrl, 'sec-fetch-site': 'same-site' }],
  ])('authenticates a query by GET if %s', async (_name, headers) => {
    const { cookie } = await aPerson(server);
    expect(await viewerByGet({ cookie, ...headers })).toEqual({ data: { viewer: { kind: 'USER' } } });
  });

  test.each([
    ['without Fetch Metadata', {}],
    ['of another site', { 'sec-fetch-site': 'cross-site' }],
    ['of another origin of the same site', { 'sec-fetch-site': 'same-site' }],
    ['that the user typed', { 'sec-fetch-site': 'none' }],
    ['of an origin that is not allowed', { 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' }],
  ])('is ignored in a GET %s', async (_name, headers) => {
    const { cookie } = await aPerson(server);
    expect(await viewerByGet({ cookie, ...headers })).toEqual(isAnonymous);
  });

  test('does not let a GET run a mutation', async () => {
    const { cookie } = await aPerson(server);
    const mutation = 'mutation { createWorkspace(input: { name: "x" }) { __typename } }';
    const response = await server.fetch(`/graphql?query=${encodeURIComponent(mutation)}`, {
      headers: { cookie, 'sec-fetch-site': 'same-origin' },
    });
    expect(response.status).toBe(405);
  });

  test('with a wrong signature is refused and cleared in the browser', async () => {
    const { cookie } = await aPerson(server);
    const answer = await viewerAs({ cookie: `${cookie.slice(0, -6)}AAAA%3D`, origin: publicUrl });
    expect(answer).toMatchObject({ status: 401, body: { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] } });
    expect(answer.headers.getSetCookie()).toEqual([
      '__Secure-tollkeeper.session_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure',
    ]);
  });

  test('is refused after signing out', async () => {
    const { cookie, token } = await aPerson(server);
    const out = await server.fetch('/api/auth/sign-out', {
      method: 'POST',
      headers: { cookie, origin: publicUrl, 'content-type': 'application/json' },
      body: '{}',
    });
    expect(out.status).toBe(200);
    expect((await viewerAs({ cookie, origin: publicUrl })).status).toBe(401);
    expect((await viewerAs({ authorization: `Bearer ${token}` })).status).toBe(401);
  });

  test('is overridden by an explicit credential', async () => {
    const { cookie } = await aPerson(server);
    const other = await aPerson(server);
    const answer = await viewerAs({ cookie, origin: publicUrl, authorization: `Bearer ${other.token}` });
    expect(answer.body).toMatchObject({ data: { viewer: { user: { email: other.email } } } });
  });

  test('of another name is not a credential', async () => {
    expect((await viewerAs({ cookie: 'theme=dark', origin: publicUrl })).body).toEqual(isAnonymous);
  });
});
