import { randomUUID } from 'node:crypto';
import { createServer, type Server as HttpServer } from 'node:http';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { newId } from '../../src/db/ids.js';
import { openTestDatabase } from '../database.js';
import { anOrganization, aPerson, password } from '../factories.js';
import { type Client, startServer, type TestServer } from '../harness.js';

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

const joined = { __typename: 'AcceptInvitationPayload' };
const notFound = { __typename: 'NotFoundError', message: 'Invitation not found.', field: 'input.token' };

/** A new person with an organization. */
async function anOwner() {
  const owner = await aPerson(server);
  return { owner: owner.client, workspaceId: await anOrganization(owner) };
}

/** Invites an address. @returns the token of the invitation */
async function invite(owner: Client, workspaceId: string, email: string): Promise<string> {
  const { data } = await owner.send<{ inviteMember: { token: string } }>(
    'mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { ... on InviteMemberPayload { token } } }',
    { input: { workspaceId, email, role: 'MEMBER' } },
  );
  return data?.inviteMember.token ?? '';
}

/** Accepts an invitation with a bearer token of a person. */
async function accept(token: string, invitation: string) {
  const { data } = await server.anonymous
    .with({ authorization: `Bearer ${token}` })
    .send<{ acceptInvitation: unknown }>(
      `mutation ($input: AcceptInvitationInput!) {
        acceptInvitation(input: $input) { __typename ... on Error { message } ... on NotFoundError { field } }
      }`,
      { input: { token: invitation } },
    );
  return data?.acceptInvitation;
}

function signUp(email: string) {
  return server.fetch('/api/auth/sign-up/email', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Ada', email, password }),
  });
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
    const token = await sign({ email: 'once@example.com', email_verified: true });
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

describe('an address that the identity provider does not vouch for', () => {
  const unproven: [string, JWTPayload][] = [
    ['false', { email_verified: false }],
    ['absent', {}],
    ['no boolean', { email_verified: 'true' }],
  ];

  test.each(unproven)('(email_verified is %s) accepts no invitation', async (_name, claims) => {
    const { workspaceId, owner } = await anOwner();
    const email = `${randomUUID()}@example.com`;
    const invitation = await invite(owner, workspaceId, email);
    const user = await ask(await sign({ email, ...claims }));
    expect(user.body).toMatchObject({
      data: { viewer: { user: { email: expect.stringMatching(/^usr_[0-9a-f]{32}@identity\.invalid$/) } } },
    });
    expect(await accept(await sign({ email, ...claims }), invitation)).toEqual(notFound);
    // The same token, when the provider vouches for the address.
    expect(await accept(await sign({ email, email_verified: true }), invitation)).toEqual(joined);
  });

  test.each(unproven)('(email_verified is %s) does not keep its owner from signing up', async (_name, claims) => {
    const { workspaceId, owner } = await anOwner();
    const email = `${randomUUID()}@example.com`;
    const invitation = await invite(owner, workspaceId, email);
    await ask(await sign({ email, ...claims }));
    const response = await signUp(email);
    expect(response.status).toBe(200);
    const { token } = (await response.json()) as { token: string };
    expect(await accept(token, invitation)).toEqual(joined);
  });

  test('does not keep its owner from signing in through the provider', async () => {
    const email = `${randomUUID()}@example.com`;
    await ask(await sign({ sub: 'attacker', email, email_verified: false }));
    const owner = await ask(await sign({ sub: 'owner', email, email_verified: true }));
    expect(owner.body).toMatchObject({ data: { viewer: { user: { email } } } });
    const attacker = await ask(await sign({ sub: 'attacker', email, email_verified: false }));
    expect(JSON.stringify(attacker.body)).not.toContain(email);
  });

  test('becomes the address of the user when the provider vouches for it later, and is no proof without that', async () => {
    const { workspaceId, owner } = await anOwner();
    const email = `${randomUUID()}@example.com`;
    await ask(await sign({ email }));
    const verified = await ask(await sign({ email: email.toUpperCase(), email_verified: true }));
    expect(verified.body).toMatchObject({ data: { viewer: { user: { email } } } });
    const answers = await ask(await sign({ email, email_verified: false }));
    expect(answers.body).toEqual(verified.body);
    const invitation = await invite(owner, workspaceId, email);
    expect(await accept(await sign({ email, email_verified: false }), invitation)).toEqual(notFound);
    expect(await accept(await sign({ email, email_verified: true }), invitation)).toEqual(joined);
  });

  test('and that an earlier release stored is released at the next sign-in', async () => {
    const email = `${randomUUID()}@example.com`;
    const id = newId('user');
    await database.db.user.create({
      data: {
        id,
        name: 'Earlier',
        email,
        accounts: { create: { id: newId('authAccount'), providerId: issuer.url, accountId: 'person-1' } },
      },
    });
    const answer = await ask(await sign({ email }));
    expect(answer.body).toMatchObject({ data: { viewer: { user: { id, email: `${id}@identity.invalid` } } } });
    expect((await signUp(email)).status).toBe(200);
  });
});

describe('an address that the identity provider vouches for', () => {
  test('accepts invitations also if a local user has it, and the users stay apart', async () => {
    const { workspaceId, owner } = await anOwner();
    const local = await aPerson(server);
    const invitation = await invite(owner, workspaceId, local.email);
    const token = await sign({ email: local.email, email_verified: true });
    expect(await accept(token, invitation)).toEqual(joined);
    const members = await database.db.member.findMany({ where: { workspaceId } });
    expect(members.map(({ userId }) => userId)).not.toContain(local.id);
  });

  test('follows the provider, and is then free for others', async () => {
    const before = `${randomUUID()}@example.com`;
    const after = `${randomUUID()}@example.com`;
    await ask(await sign({ email: before, email_verified: true }));
    expect((await signUp(before)).status).not.toBe(200);
    const moved = await ask(await sign({ email: after, email_verified: true }));
    expect(moved.body).toMatchObject({ data: { viewer: { user: { email: after } } } });
    expect((await signUp(before)).status).toBe(200);
  });

  test('is that of one user, if two ask for it concurrently', async () => {
    const email = `${randomUUID()}@example.com`;
    const subjects = ['one', 'two', 'three', 'four'];
    for (const sub of subjects) await ask(await sign({ sub }));
    const answers = await Promise.all(
      subjects.map(async (sub) => ask(await sign({ sub, email, email_verified: true }))),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(await database.db.user.count({ where: { email, emailVerified: true } })).toBe(1);
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
