import { buildSchema as buildFrom, Kind, type OperationDefinitionNode, parse } from 'graphql';
import { beforeAll, describe, expect, test } from 'vitest';
import { compileOperation } from '../../src/graphql/compiled/compile-operation.js';
import { buildSchema } from '../../src/graphql/schema.js';
import { aKeyOf } from '../factories.js';
import { startServer, type TestServer } from '../harness.js';

let server: TestServer;
let secret: string;
let headers: Record<string, string>;

beforeAll(async () => {
  server = await startServer({ products: ['default', 'masko'] });
  headers = {
    authorization: `Bearer ${server.serviceToken}`,
    'content-type': 'application/json',
    accept: 'application/json',
  };
  ({ secret } = await aKeyOf(server, 'default'));
});

const fields = `valid code rejection { status code message } billable watermark charge { __typename credits state replayed quantity expiresAt }
  rateLimits { limit windowSeconds } headers { name }`;
const one = `mutation ($input: VerifyApiKeyInput!) { verifyApiKey(input: $input) { ${fields} } }`;
const many = `mutation ($inputs: [VerifyApiKeyInput!]!) { verifyApiKeys(inputs: $inputs) { ${fields} } }`;

async function answer(query: string, variables: object) {
  const body = JSON.stringify({ query, variables });
  const answered = await server.fetch('/graphql', { method: 'POST', headers, body });
  return { status: answered.status, body: withoutRequestId(await answered.text()) };
}

/** A skipped second root field leaves the answer unchanged and makes graphql-js execute the operation. */
function answerByGraphqlJs(query: string, variables: object) {
  const operation = parse(query).definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  const end = (operation?.selectionSet.loc?.end ?? 0) - 1;
  return answer(`${query.slice(0, end)}skipped: __typename @skip(if: true)${query.slice(end)}`, variables);
}

function withoutRequestId(body: string): unknown {
  return JSON.parse(body, (name, value: unknown) => (name === 'requestId' ? undefined : value));
}

describe('a compiled operation and graphql-js give the same response for', () => {
  const bearer = () => ({ credential: { bearer: secret } });
  const idempotencyKey = 'once';
  test.each<[string, string, () => object]>([
    ['a valid key', one, () => ({ input: bearer() })],
    ['a replayed charge', one, () => ({ input: { ...bearer(), charge: { action: 'request', idempotencyKey } } })],
    ['an unknown key', one, () => ({ input: { credential: { bearer: 'tk_live_nonsense' } } })],
    ['a missing permission', one, () => ({ input: { ...bearer(), requires: ['data:write'] } })],
    ['insufficient credits', one, () => ({ input: { ...bearer(), charge: { action: 'request', quantity: 1e6 } } })],
    ['an unknown action', one, () => ({ input: { ...bearer(), charge: { action: 'nonsense' } } })],
    ['a text that cannot be stored', one, () => ({ input: { ...bearer(), origin: '\0' } })],
    [
      'a batch with one invalid input',
      many,
      () => ({ inputs: [bearer(), { ...bearer(), product: 'nonsense' }, bearer()] }),
    ],
    ['an empty batch', many, () => ({ inputs: [] })],
    ['a batch over the maximum', many, () => ({ inputs: Array.from({ length: 101 }, bearer) })],
    ['a missing variable', one, () => ({})],
    ['a variable of null', one, () => ({ input: null })],
    [
      'two credentials in one input',
      one,
      () => ({ input: { credential: { bearer: 'x', pair: { keyId: 'x', secret: 'x' } } } }),
    ],
    ['an unknown input field', one, () => ({ input: { ...bearer(), nonsense: true } })],
    ['a single input instead of a list', many, () => ({ inputs: bearer() })],
    [
      'aliases and repeated fields',
      'mutation ($i: VerifyApiKeyInput!) { a: verifyApiKey(input: $i) { b: code b: code c: valid } }',
      () => ({ i: bearer() }),
    ],
    [
      'a fragment',
      `${one.replace(fields, '...answer')} fragment answer on Verification { code ... on Verification { valid } }`,
      () => ({ input: bearer() }),
    ],
    ['a skipped field', one.replace('valid', 'valid @skip(if: true)'), () => ({ input: bearer() })],
    [
      'fields that a resolver loads',
      one.replace('valid', 'apiKey { name preview } workspace { name }'),
      () => ({ input: bearer() }),
    ],
    [
      'a literal',
      'mutation { verifyApiKey(input: { credential: { bearer: "" } }) { code rejection { status } } }',
      () => ({}),
    ],
    [
      'a literal that contains a variable',
      'mutation ($b: String!) { verifyApiKey(input: { credential: { bearer: $b } }) { code } }',
      () => ({ b: secret }),
    ],
  ])('%s', async (_what, query, variables) => {
    // Runs twice, because from the second run on the limits of the document are cached.
    await answerByGraphqlJs(query, variables());
    await answer(query, variables());
    expect(await answer(query, variables())).toEqual(await answerByGraphqlJs(query, variables()));
  });

  test('a client that is refused for lack of permission', async () => {
    const authorised = headers;
    headers = { 'content-type': 'application/json', accept: 'application/json' };
    const variables = { input: { credential: { bearer: secret } } };
    const compiled = await answer(one, variables);
    expect(compiled).toEqual(await answerByGraphqlJs(one, variables));
    expect(compiled.status).toBe(401);
    headers = authorised;
  });
});

describe('only operations whose fields need no resolver are compiled', () => {
  const schema = buildSchema({ mutationsPerMinute: 60 });
  const isCompiled = (document: string, of = schema) => {
    const parsed = parse(document);
    return compileOperation(of, parsed, parsed.definitions[0] as OperationDefinitionNode) !== null;
  };

  test('verifyApiKey and verifyApiKeys are compiled', () => {
    expect([one, many].map((document) => isCompiled(document))).toEqual([true, true]);
  });

  test.each([
    [
      'an operation with two root fields',
      `mutation ($input: VerifyApiKeyInput!) { a: verifyApiKey(input: $input) { valid } b: verifyApiKey(input: $input) { valid } }`,
    ],
    ['an operation with a directive', one.replace('valid', 'valid @include(if: true)')],
    ['a field that a resolver loads', one.replace('valid', 'apiKey { id }')],
    ['a union', 'mutation { revokeApiKey(input: { apiKeyId: "x" }) { __typename } }'],
    ['a connection', '{ workspaces { nodes { id } } }'],
    ['introspection', '{ __schema { types { name } } }'],
  ])('%s is not compiled', (_what, document) => expect(isCompiled(document)).toBe(false));

  test('a root field without a resolver is not compiled', () => {
    expect(isCompiled('{ hello }', buildFrom('type Query { hello: String }'))).toBe(false);
  });
});
