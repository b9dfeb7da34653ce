import { createServer, type Server as HttpServer } from 'node:http';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { openTestDatabase } from '../database.js';
import { aPerson } from '../factories.js';
import { startServer, type TestServer } from '../harness.js';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

/** An OpenID provider on loopback with responses that a test can change. */
interface Issuer {
  readonly url: string;
  readonly server: HttpServer;
  requests: string[];
  keys: { kid: string; pair: KeyPair; alg: string }[];
  status: number;
}

let database: Database;
let issuer: Issuer;
let server: TestServer;
let rsa: KeyPair;
let ec: KeyPair;
const audience = 'https://keys.example.com';
const refused = { status: 401, body: { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] } };
const viewer = '{ viewer { kind user { id name email } workspace { kind } } }';

beforeAll(async () => {
  rsa = await generateKeyPair('RS256');
  ec = await generateKeyPair('ES256');
  database = await openTestDatabase();
});
afterAll(() => database.close());

/** Each test has its own issuer and therefore its own users. */
beforeEach(async () => {
  issuer = await startIssuer();
  server = await startServer({ products: ['default'], database, identityProvider: { issuer: issuer.url, audience } });
});
afterEach(async () => {
  issuer.server.close();
  await server.close();
});

/** All users whom the issuer of this test authenticated. */
function people() {
  return database.db.authAccount.findMany({
    where: { providerId: issuer.url },
    select: { accountId: true, user: { select: { personal: { select: { kind: true } } } } },
  });
}

async function startIssuer(): Promise<Issuer> {
  const http = createServer(async (request, response) => {
    issuer.requests.push(request.url ?? '');
    const answer = request.url?.endsWith('/jwks')
      ? {
          keys: await Promise.all(
            issuer.keys.map(async ({ kid, pair, alg }) => ({ ...(await exportJWK(pair.publicKey)), kid, alg })),
          ),
        }
      : { issuer: issuer.url, jwks_uri: `${issuer.url}/jwks` };
    response.writeHead(issuer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const address = http.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    server: http,
    requests: [],
    keys: [
      { kid: 'rsa', pair: rsa, alg: 'RS256' },
      { kid: 'ec', pair: ec, alg: 'ES256' },
    ],
    status: 200,
  };
}

function sign(claims: JWTPayload, { kid = 'rsa', alg = 'RS256', key = rsa.privateKey }: Partial<Signer> = {}) {
  return new SignJWT({ iss: issuer.url, aud: audience, sub: 'person-1', exp: inAnHour(), ...claims })
    .setProtectedHeader({ alg, kid })
    .sign(key);
}

interface Signer {
  kid: string;
  alg: string;
  key: Parameters<SignJWT['sign']>[0];
}

function inAnHour(): number {
  return Math.floor(Date.now() / 1000) + 3_600;
}

async function ask(token: string) {
  return server.anonymous.with({ authorization: `Bearer ${token}` }).send(viewer);
}

describe('a token of the identity provider', () => {
  test('creates a user with a PERSONAL workspace on first use and identifies the same user afterwards', async () => {
    const token = await sign({ name: 'Grace', email: 'Grace@Example.com', email_verified: true });
    const first = await ask(token);
    expect(first).toMatchObject({
      status: 200,
      body: {
        data: {
          viewer: {
            kind: 'USER',
            user: { name: 'Grace', email: 'grace@example.com' },
            workspace: { kind: 'PERSONAL' },
          },
        },
      },
    });
    const renamed = await ask(await sign({ name: 'Somebody else', email: 'other@example.com' }));
    expect(renamed.body).toEqual(first.body);
    expect(await people()).toEqual([{ accountId: 'person-1', user: { personal: { kind: 'PERSONAL' } } }]);
  });

  test('sent 20 times concurrently creates one user with one workspace', async () => {
    const token = await sign({ email: 'once@example.com' });
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(token)));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 200, body: { data: { viewer: { kind: 'USER' } } } });
    expect(await people()).toEqual([{ accountId: 'person-1', user: { personal: { kind: 'PERSONAL' } } }]);
    expect(await database.db.user.count({ where: { email: 'once@example.com' } })).toBe(1);
  });

  test('never identifies a local user with the same email address', async () => {
    const local = await aPerson(server);
    const answer = await ask(await sign({ email: local.email, email_verified: true }));
    expect(answer.body).toMatchObject({
      data: { viewer: { user: { email: expect.stringMatching(/^usr_[0-9a-f]{32}@identity\.invalid$/) } } },
    });
    expect(JSON.stringify(answer.body)).not.toContain(local.id);
  });

  test('without email address or name also creates a user', async () => {
    expect((await ask(await sign({}))).body).toMatchObject({
      data: { viewer: { user: { name: 'Unnamed', email: expect.stringMatching(/@identity\.invalid$/) } } },
    });
  });

  test('creates one user per subject', async () => {
    await ask(await sign({ sub: 'one' }));
    await ask(await sign({ sub: 'two' }));
    expect(await people()).toHaveLength(2);
  });

  test('may be signed with an elliptic curve', async () => {
    const token = await sign({}, { kid: 'ec', alg: 'ES256', key: ec.privateKey });
    expect((await ask(token)).status).toBe(200);
  });

  test('is verified with signing keys that are fetched once and cached', async () => {
    for (let times = 0; times < 3; times += 1) await ask(await sign({}));
    expect(issuer.requests).toEqual(['/.well-known/openid-configuration', '/jwks']);
  });
});

describe('a token is refused', () => {
  test.each<[string, JWTPayload]>([
    ['that has expired', { exp: inAnHour() - 7_200 }],
    ['that never expires', { exp: undefined as unknown as number }],
    ['that is not valid yet', { nbf: inAnHour() }],
    ['for another audience', { aud: 'https://elsewhere.example' }],
    ['without an audience', { aud: undefined as unknown as string }],
    ['without a subject', { sub: undefined as unknown as string }],
    ['with an empty subject', { sub: '' }],
    ['with a subject that is too long', { sub: 'x'.repeat(300) }],
    ['with a number as its subject', { sub: 5 as unknown as string }],
  ])('%s', async (_name, claims) => {
    expect(await ask(await sign(claims))).toMatchObject(refused);
    expect(await people()).toEqual([]);
  });

  test('of another issuer, without any request to an issuer', async () => {
    expect(await ask(await sign({ iss: 'https://elsewhere.example' }))).toMatchObject(refused);
    expect(issuer.requests).toEqual([]);
  });

  test('signed with a key that the issuer does not publish', async () => {
    const { privateKey } = await generateKeyPair('RS256');
    expect(await ask(await sign({}, { key: privateKey }))).toMatchObject(refused);
    expect(await ask(await sign({}, { kid: 'unknown', key: privateKey }))).toMatchObject(refused);
  });

  test('signed with a shared secret, including the public key', async () => {
    const key = new TextEncoder().encode(JSON.stringify(await exportJWK(rsa.publicKey)));
    expect(await ask(await sign({}, { alg: 'HS256', key }))).toMatchObject(refused);
  });

  test('that is not signed', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { iss: issuer.url, aud: audience, sub: 'x', exp: inAnHour() };
    expect(await ask(`${part({ alg: 'none' })}.${part(claims)}.`)).toMatchObject(refused);
    expect(await ask(`${part({ alg: 'none' })}.${part(claims)}.AA`)).toMatchObject(refused);
  });

  test('whose claims were changed', async () => {
    const [header, , signature] = (await sign({})).split('.');
    const claims = Buffer.from(JSON.stringify({ iss: issuer.url, aud: audience, sub: 'x', exp: inAnHour() }));
    expect(await ask(`${header}.${claims.toString('base64url')}.${signature}`)).toMatchObject(refused);
  });
});

describe('an unreachable identity provider', () => {
  const unavailable = { status: 503, body: { errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE' } }] } };

  test('makes its tokens answer 503 and does not affect local sessions', async () => {
    issuer.status = 500;
    expect(await ask(await sign({}))).toMatchObject(unavailable);
    const { token } = await aPerson(server);
    expect((await ask(token)).status).toBe(200);
  });

  test('is not requested again immediately after a failure', async () => {
    issuer.status = 500;
    await ask(await sign({}));
    await ask(await sign({}));
    expect(issuer.requests).toHaveLength(1);
  });
});
