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

describe('a compiled operation has the same response as by graphql-js', () => {
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
    // Twice, because from its second run on a document is known to be within the limits.
    await answerByGraphqlJs(query, variables());
    await answer(query, variables());
    expect(await answer(query, variables())).toEqual(await answerByGraphqlJs(query, variables()));
  });

  test('a client without permission is refused', async () => {
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

  test('a verification is, of one or of many', () => {
    expect([one, many].map((document) => isCompiled(document))).toEqual([true, true]);
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
  ])('%s is not', (_what, document) => expect(isCompiled(document)).toBe(false));

  test('a field without a resolver is not', () => {
    expect(isCompiled('{ hello }', buildFrom('type Query { hello: String }'))).toBe(false);
  });
});
