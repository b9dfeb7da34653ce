import { buildSchema as buildFrom, type OperationDefinitionNode, parse } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createServiceToken } from '../../src/domain/identity/service-tokens.js';
import { findPlainRun } from '../../src/graphql/plain/operation.js';
import { buildSchema } from '../../src/graphql/schema.js';
import { startTestServer } from './server.js';

type Server = Awaited<ReturnType<typeof startTestServer>>;
let server: Server;
let secret: string;
let headers: Record<string, string>;

beforeAll(async () => {
  server = await startTestServer(['default', 'masko']);
  const { token } = await createServiceToken(server.deps.db, 'plain operations');
  headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json' };
  const owner = await server.signUp();
  const { body } = await server.graphql(
    'mutation { createApiKey(input: { name: "plain", product: "default" }) { ... on CreateApiKeyPayload { secret } } }',
    { authorization: `Bearer ${owner.token}` },
  );
  ({ secret } = (body as { data: { createApiKey: { secret: string } } }).data.createApiKey);
});
afterAll(() => server.close());

const fields = `valid code rejection { status code message } billable watermark charge { __typename credits state replayed quantity expiresAt }
  rateLimits { limit windowSeconds } headers { name }`;
const one = `mutation ($input: VerifyApiKeyInput!) { verifyApiKey(input: $input) { ${fields} } }`;
const many = `mutation ($inputs: [VerifyApiKeyInput!]!) { verifyApiKeys(inputs: $inputs) { ${fields} } }`;

async function answerDirectly(query: string, variables: object) {
  const answered = await server.handler.answerDirectly({
    head: { method: 'POST', url: 'https://keys.example.com/graphql', headers: new Headers(headers) },
    body: JSON.stringify({ query, variables }),
    address: null,
  });
  if (answered === null) throw new Error('This was not for the direct transport.');
  return { status: answered.status, body: withoutRequestId(answered.body) };
}

async function answerByYoga(query: string, variables: object) {
  const body = JSON.stringify({ query, variables });
  const answered = await server.fetch('/graphql', { method: 'POST', headers, body });
  return { status: answered.status, body: withoutRequestId(await answered.text()) };
}

function withoutRequestId(body: string): unknown {
  return JSON.parse(body, (name, value: unknown) => (name === 'requestId' ? undefined : value));
}

describe('an operation that is run plainly gets the answer of the executor', () => {
  const bearer = () => ({ credential: { bearer: secret } });
  const idempotencyKey = 'once';
  test.each<[string, string, () => object]>([
    ['a key that is good', one, () => ({ input: bearer() })],
    ['a charge that repeats', one, () => ({ input: { ...bearer(), charge: { action: 'request', idempotencyKey } } })],
    ['a key that is unknown', one, () => ({ input: { credential: { bearer: 'tk_live_nonsense' } } })],
    ['a permission that is missing', one, () => ({ input: { ...bearer(), requires: ['data:write'] } })],
    [
      'credits that do not suffice',
      one,
      () => ({ input: { ...bearer(), charge: { action: 'request', quantity: 1e6 } } }),
    ],
    ['an action that does not exist', one, () => ({ input: { ...bearer(), charge: { action: 'nonsense' } } })],
    ['a text that cannot be stored', one, () => ({ input: { ...bearer(), origin: '\0' } })],
    [
      'many, of which one is wrong',
      many,
      () => ({ inputs: [bearer(), { ...bearer(), product: 'nonsense' }, bearer()] }),
    ],
    ['none of many', many, () => ({ inputs: [] })],
    ['too many', many, () => ({ inputs: Array.from({ length: 101 }, bearer) })],
    ['a variable that is missing', one, () => ({})],
    ['a variable that is null', one, () => ({ input: null })],
    [
      'two credentials at once',
      one,
      () => ({ input: { credential: { bearer: 'x', pair: { keyId: 'x', secret: 'x' } } } }),
    ],
    ['a field of another name', one, () => ({ input: { ...bearer(), nonsense: true } })],
    ['one where many are asked for', many, () => ({ inputs: bearer() })],
    [
      'other names, twice',
      'mutation ($i: VerifyApiKeyInput!) { a: verifyApiKey(input: $i) { b: code b: code c: valid } }',
      () => ({ i: bearer() }),
    ],
    [
      'a fragment',
      `${one.replace(fields, '...answer')} fragment answer on Verification { code ... on Verification { valid } }`,
      () => ({ input: bearer() }),
    ],
    ['what is skipped', one.replace('valid', 'valid @skip(if: true)'), () => ({ input: bearer() })],
    [
      'what has to be looked up',
      one.replace('valid', 'apiKey { name preview } workspace { name }'),
      () => ({ input: bearer() }),
    ],
    [
      'a literal',
      'mutation { verifyApiKey(input: { credential: { bearer: "" } }) { code rejection { status } } }',
      () => ({}),
    ],
    [
      'a literal with a variable in it',
      'mutation ($b: String!) { verifyApiKey(input: { credential: { bearer: $b } }) { code } }',
      () => ({ b: secret }),
    ],
  ])('%s', async (_what, query, variables) => {
    // Once more than the first time, since what was found out about a document is used from then on.
    await answerByYoga(query, variables());
    await answerDirectly(query, variables());
    expect(await answerDirectly(query, variables())).toEqual(await answerByYoga(query, variables()));
  });

  test('who may not ask is refused', async () => {
    const authorised = headers;
    headers = { 'content-type': 'application/json', accept: 'application/json' };
    const variables = { input: { credential: { bearer: secret } } };
    const direct = await answerDirectly(one, variables);
    expect(direct).toEqual(await answerByYoga(one, variables));
    expect(direct.status).toBe(401);
    headers = authorised;
  });
});

describe('only what needs no executor is run without it', () => {
  const schema = buildSchema({ mutationsPerMinute: 60 });
  const isPlain = (document: string, of = schema) => {
    const parsed = parse(document);
    return findPlainRun(of, parsed, parsed.definitions[0] as OperationDefinitionNode) !== null;
  };

  test('a verification is, of one or of many', () => {
    expect([one, many].map((document) => isPlain(document))).toEqual([true, true]);
  });

  test.each([
    [
      'two fields',
      `mutation ($input: VerifyApiKeyInput!) { a: verifyApiKey(input: $input) { valid } b: verifyApiKey(input: $input) { valid } }`,
    ],
    ['a directive', one.replace('valid', 'valid @include(if: true)')],
    ['what a resolver looks up', one.replace('valid', 'apiKey { id }')],
    ['a union', 'mutation { revokeApiKey(input: { apiKeyId: "x" }) { __typename } }'],
    ['a connection', '{ workspaces { nodes { id } } }'],
    ['introspection', '{ __schema { types { name } } }'],
  ])('%s is not', (_what, document) => expect(isPlain(document)).toBe(false));

  test('a field without a resolver is not', () => {
    expect(isPlain('{ hello }', buildFrom('type Query { hello: String }'))).toBe(false);
  });
});
