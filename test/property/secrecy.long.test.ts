import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { format } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createCipher } from '../../src/domain/access/cipher.js';
import { createServiceToken } from '../../src/domain/identity/service-tokens.js';
import { charge, createApiKey, postAuth, revokeApiKey, rotateApiKey, verify } from '../factories.js';
import type { CredentialInput, Environment } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { allProducts, Client, expectMember, publicUrl, startServer, type TestServer } from '../harness.js';

const productsDocument = graphql(`
  query ProductsOfSecrecy {
    products { slug signingSecrets headers prices { action } keyFormats { environment } }
  }
`);

const organizationDocument = graphql(`
  mutation OrganizationOfSecrecy($input: CreateWorkspaceInput!) {
    createWorkspace(input: $input) { __typename ... on CreateWorkspacePayload { workspace { id } } ... on Error { message } }
  }
`);

const inviteDocument = graphql(`
  mutation InviteOfSecrecy($input: InviteMemberInput!) {
    inviteMember(input: $input) { __typename ... on InviteMemberPayload { token } ... on Error { message } }
  }
`);

const acceptDocument = graphql(`
  mutation AcceptOfSecrecy($input: AcceptInvitationInput!) {
    acceptInvitation(input: $input) { __typename ... on AcceptInvitationPayload { member { id } } ... on Error { message } }
  }
`);

const rotateDocument = graphql(`
  mutation RotateOfSecrecy($input: RotateSigningSecretInput!) {
    rotateSigningSecret(input: $input) { __typename ... on RotateSigningSecretPayload { signingSecret } ... on Error { message } }
  }
`);

const updateDocument = graphql(`
  mutation UpdateOfSecrecy($input: UpdateApiKeyInput!) {
    updateApiKey(input: $input) { __typename ... on UpdateApiKeyPayload { apiKey { status } } ... on Error { message } }
  }
`);

interface Answered {
  readonly place: string;
  readonly status: number;
  readonly text: string;
}

/** A secret that is shown once and never stored or logged in plaintext. */
interface Secret {
  readonly name: string;
  readonly plaintext: string;
}

const encryptionKey = randomBytes(32);
/** Describes the current request in the message of a failure. */
let place = '';
const answers: Answered[] = [];
const printed: string[] = [];

let server: TestServer;
const secrets: Secret[] = [];
/** Session tokens of better-auth. */
const sessionTokens: Secret[] = [];
const passwords: Secret[] = [];
/** All stored rows as one text per table. */
let stored: Map<string, string>;

function keep(name: string, plaintext: string, among = secrets): string {
  if (plaintext === '') throw new Error(`There is no ${name}.`);
  among.push({ name, plaintext });
  return plaintext;
}

const consoleMethods = ['debug', 'error', 'info', 'log', 'warn'] as const;

beforeAll(async () => {
  for (const method of consoleMethods) {
    vi.spyOn(console, method).mockImplementation((...args: unknown[]) => {
      printed.push(format(...args));
    });
  }
  const started = await startServer({ encryptionKey });
  const fetch: TestServer['fetch'] = async (path, init) => {
    const response = await started.fetch(path, init);
    const text = await response.clone().text();
    const headers = [...response.headers].map((header) => header.join(': ')).join('\n');
    answers.push({ place, status: response.status, text: `${headers}\n${text}` });
    return response;
  };
  server = {
    ...started,
    fetch,
    anonymous: new Client(fetch, started.anonymous.headers),
    backend: new Client(fetch, started.backend.headers),
  };
  keep('service token', started.serviceToken);
  await liveThroughEverything();
  await misplaceEverything();
  await server.services.uses.flush();
  stored = await dumpTables(server);
}, 120_000);

afterAll(() => {
  vi.restoreAllMocks();
});

// --- The journey: every kind of secret is created, shown, used, replaced and revoked.

interface SignedUpUser {
  readonly email: string;
  readonly password: string;
  readonly client: Client;
}

async function signUp(name: string): Promise<SignedUpUser> {
  const email = `${randomBytes(8).toString('hex')}@example.com`;
  const password = keep(`password of ${name}`, `Pw ${randomBytes(12).toString('base64')}`, passwords);
  await postAuth(server, '/sign-up/email', { name, email, password });
  const response = await postAuth(server, '/sign-in/email', { email, password });
  const { token } = (await response.json()) as { token: string };
  keep(`session of ${name}`, token, sessionTokens);
  return { email, password, client: server.anonymous.with({ authorization: `Bearer ${token}` }) };
}

async function liveThroughEverything(): Promise<void> {
  place = 'the journey';
  const owner = await signUp('Ada');
  const guest = await signUp('Grace');
  const { createWorkspace } = await owner.client.run(organizationDocument, { input: { name: 'Acme' } });
  const workspaceId = expectMember(createWorkspace, 'CreateWorkspacePayload').workspace.id;

  for (const role of ['ADMIN', 'MEMBER'] as const) {
    const email = role === 'ADMIN' ? guest.email : 'unknown@example.com';
    const { inviteMember } = await owner.client.run(inviteDocument, { input: { workspaceId, email, role } });
    const token = keep(`invitation as ${role}`, expectMember(inviteMember, 'InviteMemberPayload').token);
    const { acceptInvitation } = await guest.client.run(acceptDocument, { input: { token } });
    expect(acceptInvitation.__typename).toBe(role === 'ADMIN' ? 'AcceptInvitationPayload' : 'NotFoundError');
  }

  const revoked = await createServiceToken(server.services.db, 'a former backend');
  keep('revoked service token', revoked.token);
  await server.services.db.serviceToken.update({
    where: { id: revoked.serviceToken.id },
    data: { revokedAt: new Date() },
  });

  const { products } = await server.anonymous.run(productsDocument);
  expect(products.map(({ slug }) => slug)).toEqual(allProducts);
  for (const product of products) {
    for (const { environment } of product.keyFormats) await liveThroughAKey(owner, workspaceId, product, environment);
  }
  await postAuth(server, '/sign-out', {}, { ...owner.client.headers });
  await signUp('Alan');
}

async function liveThroughAKey(
  owner: SignedUpUser,
  workspaceId: string,
  { slug, signingSecrets, headers, prices }: ProductOfSecrecy,
  environment: Environment,
): Promise<void> {
  // The backend creates the key, because for some products only the operator issues keys.
  const made = await createApiKey(server.backend, { workspaceId, name: 'ci', product: slug, environment });
  const { secret, apiKey } = made;
  const name = `${slug} ${environment}`;
  keep(`key of ${name}`, secret);
  const { keyId } = apiKey;
  const credential: CredentialInput = keyId ? { pair: { keyId, secret } } : { bearer: secret };
  const own = server.anonymous.with(
    keyId ? { [headers[0] ?? '']: keyId, [headers[1] ?? '']: secret } : { authorization: `Bearer ${secret}` },
  );
  expect(await verify(server, credential)).toMatchObject({ code: 'VALID' });
  const [price] = prices;
  if (price && !keyId)
    await charge(server, secret, { action: price.action, idempotencyKey: `job of ${slug}`.replaceAll(' ', '-') });
  expect(await own.send('{ viewer { kind apiKey { preview } } credits { balance } }')).toMatchObject({ status: 200 });
  const input = { apiKeyId: apiKey.id };
  if (signingSecrets) {
    keep(`signing secret of ${name}`, made.signingSecret ?? '');
    const mayRotateItself = server.services.products.find(slug)?.keyPermissions.includes('signingSecret:rotate');
    for (const client of mayRotateItself ? [owner.client, own] : [owner.client]) {
      const { rotateSigningSecret } = await client.run(rotateDocument, { input });
      const { signingSecret } = expectMember(rotateSigningSecret, 'RotateSigningSecretPayload');
      keep(`rotated signing secret of ${name}`, signingSecret);
    }
  }
  for (const enabled of [false, true]) {
    await server.backend.run(updateDocument, { input: { ...input, enabled } });
    await verify(server, credential);
    await own.send('{ viewer { kind } }');
  }
  // A replayable secret is decrypted with the idempotency key alone, so that key is a secret too.
  const idempotencyKey = keep(`idempotency key of ${name}`, randomUUID());
  const keyed = server.backend.with({ ...server.backend.headers, 'idempotency-key': idempotencyKey });
  const other = await createApiKey(keyed, { workspaceId, name: 'kept', product: slug, environment });
  keep(`kept key of ${name}`, other.secret);
  keep(`kept signing secret of ${name}`, other.signingSecret ?? randomUUID());
  expect(await createApiKey(keyed, { workspaceId, name: 'kept', product: slug, environment })).toEqual(other);
  keep(`rotated key of ${name}`, (await rotateApiKey(server.backend, other.apiKey.id, 0)).secret);
  await revokeApiKey(server.backend, apiKey.id, 'leaked');
  expect(await verify(server, credential)).toMatchObject({ code: 'INVALID_CREDENTIAL' });
  expect(await own.send('{ viewer { kind } }')).toMatchObject({ status: 401 });
}

interface ProductOfSecrecy {
  readonly slug: string;
  readonly signingSecrets: boolean;
  readonly headers: readonly string[];
  readonly prices: readonly { readonly action: string }[];
}

// --- The same secrets in wrong positions of requests.

/** One secret of each format and state. */
const misplaced =
  /^(revoked service token|service token|invitation as ADMIN|kept key|key of default LIVE|signing secret of default LIVE|session of Alan)/;

async function misplaceEverything(): Promise<void> {
  for (const { name, plaintext } of [...secrets, ...sessionTokens]) {
    if (misplaced.test(name)) await misplace(name, plaintext);
  }
  for (const { name, plaintext } of passwords) await misplaceAtSignIn(name, plaintext);
}

async function misplace(name: string, secret: string): Promise<void> {
  const at = (where: string) => {
    place = `${name}, ${where}`;
  };
  const json = { 'content-type': 'application/json' };
  const viewer = JSON.stringify({ query: '{ viewer { kind } }' });
  const post = (headers: Record<string, string>, body = viewer, path = '/graphql') =>
    server.fetch(path, { method: 'POST', headers: { ...json, ...headers }, body });

  const inHeaders: Record<string, string>[] = [
    { authorization: secret },
    { authorization: `Basic ${secret}` },
    { authorization: `Bearer ${secret}x` },
    { authorization: `Bearer x${secret}` },
    { authorization: `bearer ${secret}, Bearer ${secret}` },
    { authorization: `Bearer "${secret}"` },
    { authorization: `Token ${secret}`, 'x-api-key': secret },
    { authorization: `Bearer ${secret}`, 'x-makecrypto-key-id': secret },
    { 'x-makecrypto-key-id': secret, 'x-makecrypto-key-secret': secret },
    { 'x-makecrypto-key-secret': secret },
    { cookie: `__Secure-tollkeeper.session_token=${secret}`, origin: publicUrl },
    { cookie: `${secret}=1; token=${secret}` },
    { origin: `https://${secret}`, referer: `https://example.com/?key=${secret}`, 'user-agent': secret },
    { 'content-type': `application/${secret}` },
    { 'content-type': `application/json; charset=${secret}` },
    { accept: secret, 'accept-language': secret, 'x-forwarded-for': secret },
  ];
  for (const headers of inHeaders) {
    at(`in the headers ${Object.keys(headers).join(', ')}: ${Object.values(headers)[0]?.replaceAll(secret, '…')}`);
    await post(headers);
  }

  const encoded = encodeURIComponent(secret);
  const inAddresses = [
    `/${secret}`,
    `/${encoded}`,
    `/graphql/${secret}`,
    `/api/auth/${secret}`,
    `/graphql?token=${encoded}&query={viewer{kind}}`,
    `/graphql?query=${encoded}`,
    `/graphql?query={${encoded}}`,
    `/graphql?query={viewer{kind}}&variables=${encoded}`,
    `/graphql?query={viewer{kind}}&operationName=${encoded}`,
    `/graphql?query={viewer{kind}}&extensions=${encoded}`,
    `/graphql?query=query($id:ID!){apiKey(id:$id){id}}&variables={"id":["${encoded}",{}]}`,
    `/api/auth/get-session?token=${encoded}`,
    `/api/auth/verify-email?token=${encoded}`,
  ];
  for (const address of inAddresses) {
    at(`in the address ${address.replaceAll(secret, '…')}`);
    await server.fetch(address, { headers: { accept: 'application/json' } });
  }

  const bodies = [
    `{"query": "{ viewer { kind } }", "token": "${secret}"`,
    secret,
    JSON.stringify(secret),
    JSON.stringify([secret]),
    JSON.stringify({ query: secret }),
    JSON.stringify({ query: [secret] }),
    JSON.stringify({ query: '{ viewer { kind } }', variables: secret }),
    JSON.stringify({ query: '{ viewer { kind } }', operationName: secret }),
    JSON.stringify({ query: '{ viewer { kind } }', operationName: [secret] }),
    JSON.stringify({ query: '{ viewer { kind } }', extensions: secret }),
    JSON.stringify({ query: '{ viewer { kind } }', [secret]: 1 }),
  ];
  for (const body of bodies) {
    at(`in the body ${body.replaceAll(secret, '…')}`);
    await post({}, body);
    await post({}, body, '/api/auth/sign-in/email');
  }

  const documents = [
    `{ ${secret} }`,
    `{ viewer { kind } } ${secret}`,
    `{ viewer(token: "${secret}") { kind } }`,
    `query ${secret} { viewer { kind } }`,
    `query ($key: String = "${secret}") { viewer { kind } }`,
    `{ viewer { kind @include(if: "${secret}") } }`,
    `{ viewer @${secret} { kind } }`,
    `{ ... ${secret} }`,
    `{ apiKey(id: "${secret}") { id } node(id: "${secret}") { id } nodes(ids: ["${secret}"]) { id } }`,
    `{ apiKeys(first: "${secret}") { nodes { id } } }`,
    `{ apiKeys(after: "${secret}") { nodes { id } } }`,
    `{ apiKeys(filter: { product: "${secret}" }) { nodes { id } } }`,
    `{ apiKeys(filter: { status: ${secret} }) { nodes { id } } }`,
    `{ apiKeys(filter: { status: "${secret}" }) { nodes { id } } }`,
    `{ credits(workspaceId: "${secret}") { balance } }`,
    `mutation { verifyApiKey(input: "${secret}") { code } }`,
    `mutation { verifyApiKey(input: { credential: "${secret}" }) { code } }`,
    `mutation { verifyApiKey(input: { credential: { token: "${secret}" } }) { code } }`,
    `mutation { verifyApiKey(input: { credential: { bearer: ["${secret}"] } }) { code } }`,
    `mutation { verifyApiKey(input: { credential: { bearer: ${secret} } }) { code } }`,
    `mutation { verifyApiKey(input: { credential: { bearer: "${secret}", pair: { keyId: "${secret}", secret: "${secret}" } } }) { code } }`,
    `mutation { verifyApiKey(input: { credential: { bearer: "${secret}" }, requires: 5 }) { code } }`,
    `mutation { verifyApiKey(input: { credential: { bearer: "${secret}" } }) { code nothing } }`,
    `mutation { verifyApiKey(input: { credential: { bearer: "${secret} " } }) { code rejection { message } } }`,
    `mutation { verifyApiKey(input: { credential: { pair: { keyId: "${secret}", secret: "${secret}" } } }) { code rejection { message } } }`,
  ];
  for (const query of documents) {
    at(`in the document ${query.replaceAll(secret, '…')}`);
    await server.backend.send(query);
  }

  const credential = { bearer: secret };
  const inputs: unknown[] = [
    secret,
    { credential: secret },
    { credential: [secret] },
    { credential: { bearer: { secret } } },
    { credential: { bearer: secret, pair: { keyId: secret, secret } } },
    { credential: { [secret]: secret } },
    { credential, requires: [7] },
    { credential, requires: [secret] },
    { credential, product: secret },
    { credential, origin: secret },
    { credential, origin: `https://${secret}/path` },
    { credential, charge: secret },
    { credential, charge: { action: secret, quantity: -1 } },
    { credential, charge: { action: 'request', quantity: secret } },
    { credential, charge: { action: 'request', idempotencyKey: `${secret} ${secret}` } },
    { credential, charge: { action: 'request', hold: secret } },
    { credential, [secret]: true },
    { credential: { bearer: `${secret}\n` } },
    { credential: { pair: { keyId: secret, secret: [] } } },
  ];
  for (const input of inputs) {
    at(`in the variables ${JSON.stringify(input).replaceAll(secret, '…')}`);
    await server.backend.send(
      'mutation ($input: VerifyApiKeyInput!) { verifyApiKey(input: $input) { code rejection { message } } }',
      { input },
    );
  }

  const mutations: [string, unknown][] = [
    ['CreateApiKey', { name: 'ci', product: secret }],
    ['CreateApiKey', { name: 'ci', environment: secret }],
    ['CreateApiKey', { name: 'ci', workspaceId: secret }],
    ['CreateApiKey', { name: 'ci', expiresAt: secret }],
    ['CreateApiKey', { name: 'ci', permissions: [secret] }],
    ['CreateApiKey', { name: 'ci', allowedOrigins: [secret] }],
    ['CreateApiKey', { name: `${secret}\u0007` }],
    ['RevokeApiKey', { apiKeyId: secret }],
    ['UpdateApiKey', { apiKeyId: secret, name: secret }],
    ['RotateSigningSecret', { apiKeyId: secret }],
    ['GrantCredits', { workspaceId: secret, credits: 1, reason: secret }],
    ['GrantCredits', { workspaceId: secret, credits: secret }],
    ['RefundCharge', { chargeId: secret, idempotencyKey: secret }],
    ['SuspendWorkspace', { workspaceId: secret, reason: secret }],
    ['InviteMember', { workspaceId: secret, email: secret, role: 'ADMIN' }],
    ['AcceptInvitation', { token: secret }],
    ['AcceptInvitation', { token: [secret, secret] }],
    ['EnableFeature', { workspaceId: secret, product: secret, feature: secret }],
  ];
  const signedIn = server.anonymous.with({ authorization: `Bearer ${sessionTokens.at(-1)?.plaintext}` });
  for (const [mutation, input] of mutations) {
    at(`in ${mutation} ${JSON.stringify(input).replaceAll(secret, '…')}`);
    const field = `${mutation.charAt(0).toLowerCase()}${mutation.slice(1)}`;
    const document = `mutation ($input: ${mutation}Input!) { ${field}(input: $input) { __typename ... on Error { code message } } }`;
    await server.backend.send(document, { input });
    await signedIn.send(document, { input });
  }
}

async function misplaceAtSignIn(name: string, password: string): Promise<void> {
  const email = 'ada@example.com';
  const attempts: [string, unknown][] = [
    ['/sign-in/email', { email, password: `${password}!` }],
    ['/sign-in/email', { email: password, password }],
    ['/sign-in/email', { email, password: [password] }],
    ['/sign-in/email', { email, password: { password } }],
    ['/sign-in/email', `{"email": "${email}", "password": "${password}`],
    ['/sign-in/email', { email, password, rememberMe: password }],
    ['/sign-in/email', { email, password, callbackURL: `https://elsewhere.example.com/${password}` }],
    ['/sign-up/email', { email: password, password, name: 'Ada' }],
    ['/sign-up/email', { email: 'grace@example.com', password: [password], name: 'Ada' }],
    ['/sign-up/email', { email: 'grace@example.com', password, name: ['Ada'] }],
    ['/sign-up/email', { email: 'grace@example.com', password, name: 'Ada', image: password }],
    ['/sign-up/email', { email: 'grace@example.com', password: password.repeat(20), name: 'Ada' }],
    ['/change-password', { currentPassword: password, newPassword: password }],
    [`/sign-in/email?password=${encodeURIComponent(password)}`, { email }],
  ];
  for (const [path, body] of attempts) {
    place = `${name}, at ${path}: ${JSON.stringify(body)}`.replaceAll(password, '…');
    await postAuth(server, path, body, { origin: publicUrl });
  }
  place = `${name}, in Basic authentication`;
  const basic = `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;
  await server.anonymous.with({ authorization: basic }).send('{ viewer { kind } }');
}

// --- The search for secrets.

/** All rows of all tables as text, bytes in hexadecimal. */
async function dumpTables({ services: { db } }: TestServer): Promise<Map<string, string>> {
  const tables = await db.$queryRaw<{ name: string }[]>`
    SELECT table_name::text AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1`;
  const dump = new Map<string, string>();
  for (const { name } of tables) {
    const rows = await db.$queryRawUnsafe<{ row: string }[]>(`SELECT to_jsonb(t)::text AS row FROM "${name}" t`);
    dump.set(name, rows.map(({ row }) => row).join('\n'));
  }
  return dump;
}

/** A secret as plain text, hexadecimal, base64 at any offset, percent-encoded, and in JSON. */
function formsOf(secret: string | Uint8Array): string[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].flatMap((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    // The first and the last characters also depend on the adjacent bytes.
    const inner = shifted
      .slice(offset === 0 ? 0 : 4)
      .replace(/=+$/, '')
      .slice(0, -1);
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
  const hex = bytes.toString('hex');
  const texts =
    typeof secret === 'string' ? [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)] : [];
  // Byte columns are dumped in hexadecimal, so base64 or hexadecimal text in them is encoded twice.
  const nested = [...base64, hex].map((text) => Buffer.from(text).toString('hex'));
  return [...new Set([...texts, hex, hex.toUpperCase(), ...base64, ...nested])];
}

/** The texts that contain a secret in any form. */
function findIn(texts: Iterable<readonly [where: string, text: string]>, { name, plaintext }: Secret): string[] {
  const forms = formsOf(plaintext);
  return [...texts].flatMap(([where, text]) =>
    forms.some((form) => text.includes(form)) ? [`${name}: ${where}`] : [],
  );
}

function findAll(texts: Iterable<readonly [string, string]>, among: readonly Secret[]): string[] {
  const all = [...texts];
  return among.flatMap((secret) => findIn(all, secret));
}

const logs = (): [string, string][] => [
  ['the log', server.logged()],
  ['the console', printed.join('\n')],
];

/** The responses to misplaced secrets, and every refusal of the journey. */
const refusals = (): [string, string][] =>
  answers
    .filter(({ place, status, text }) => place !== 'the journey' || status >= 400 || text.includes('"errors"'))
    .map(({ place, text }) => [place, text]);

describe('after a journey through every product, and with every kind of secret in every wrong position,', () => {
  test('the journey is complete and the search finds what is stored', () => {
    expect(secrets.length).toBeGreaterThanOrEqual(2 + 2 + 2 * 8 + 3 * 3);
    expect(answers.length).toBeGreaterThan(2_000);
    // The search finds the stored hashes of secrets.
    const hashes = secrets
      .filter(({ name }) => !name.includes('signing'))
      .map(({ name, plaintext }) => [name, createHash('sha256').update(plaintext).digest('hex')] as const);
    const everything = [...stored.values()].join('\n');
    expect(hashes.filter(([, hash]) => !everything.includes(hash))).toEqual([]);
    expect(server.logged()).toContain('verification refused');
  });

  test('no table contains the plaintext of a key, signing secret, service token, invitation or password', () => {
    expect(findAll(stored, [...secrets, ...passwords])).toEqual([]);
  });

  test('no log line contains any of these secrets or a session token', () => {
    expect(findAll(logs(), [...secrets, ...passwords, ...sessionTokens])).toEqual([]);
  });

  test('no refusal contains any of these secrets or a session token', () => {
    expect(findAll(refusals(), [...secrets, ...passwords, ...sessionTokens])).toEqual([]);
  });

  test('no session token is stored', () => {
    expect(findAll(stored, sessionTokens)).toEqual([]);
  });

  test('the encryption key is not stored, logged or sent', () => {
    const forms = formsOf(encryptionKey);
    const all = [...stored, ...logs(), ...answers.map(({ place, text }) => [place, text] as const)];
    expect(all.filter(([, text]) => forms.some((form) => text.includes(form))).map(([where]) => where)).toEqual([]);
  });
});

describe('a signing secret', () => {
  const rowsOf = async () => {
    const rows = await server.services.db.signingSecret.findMany({ orderBy: { id: 'desc' }, take: 20 });
    const plaintexts = new Set(secrets.map(({ plaintext }) => plaintext));
    return rows.flatMap(({ id, ciphertext }) => {
      try {
        const plaintext = server.services.cipher.open(ciphertext, id);
        return plaintexts.has(plaintext) ? [{ id, ciphertext, plaintext }] : [];
      } catch {
        // Another server of these tests encrypted it with its own key.
        return [];
      }
    });
  };

  test('can be decrypted only in its own row', async () => {
    const rows = await rowsOf();
    expect(rows.length).toBeGreaterThanOrEqual(6);
    for (const { ciphertext, id } of rows) {
      for (const other of rows) {
        if (other.id === id) continue;
        expect(() => server.services.cipher.open(ciphertext, other.id)).toThrow();
      }
      expect(() => server.services.cipher.open(ciphertext, '')).toThrow();
      expect(() => createCipher(randomBytes(32)).open(ciphertext, id)).toThrow();
    }
  });

  test('cannot be decrypted after a changed bit or a missing byte', async () => {
    const [row] = await rowsOf();
    if (!row) throw new Error('There are signing secrets.');
    const { ciphertext, id } = row;
    for (let bit = 0; bit < ciphertext.length * 8; bit += 1) {
      const changed = Uint8Array.from(ciphertext);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => server.services.cipher.open(changed, id)).toThrow();
    }
    for (let length = 0; length < ciphertext.length; length += 1) {
      expect(() => server.services.cipher.open(ciphertext.slice(0, length), id)).toThrow();
    }
  });

  test('is encrypted reversibly, differently each time, and bound to its context', () => {
    const cipher = createCipher(randomBytes(32));
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.string({ maxLength: 40 }), (text, context) => {
        const [one, other] = [cipher.seal(text, context), cipher.seal(text, context)];
        expect(cipher.open(one, context)).toBe(text);
        expect(Buffer.from(one).equals(other)).toBe(false);
        expect(() => cipher.open(one, `${context}x`)).toThrow();
        // A truncated authentication tag is easier to guess.
        for (let length = 0; length < one.length; length += 1) {
          expect(() => cipher.open(one.slice(0, length), context)).toThrow();
        }
      }),
      { numRuns: 50 },
    );
  });
});
