import { readFile } from 'node:fs/promises';
import {
  buildClientSchema,
  getIntrospectionQuery,
  type IntrospectionQuery,
  lexicographicSortSchema,
  printSchema,
} from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import { queryLimits } from '../../src/graphql/query-limits.js';
import type { IntrospectionAccess } from '../../src/settings.js';
import { aPerson, createApiKey } from '../factories.js';
import { aServer, startServer } from '../harness.js';
import { schema } from './sample-operations.js';

const refusal = (message: string | RegExp) => ({
  message: expect.stringMatching(message),
  extensions: { code: 'BAD_USER_INPUT', field: 'query', requestId: expect.stringMatching(/^req_/) },
});

describe('a request above a query limit is refused before anything is read', () => {
  test('because of its depth', async () => {
    const { client } = await aPerson(await aServer());
    const nest = (depth: number) =>
      `{ apiKeys(first: 1) { nodes { ${'workspace { apiKeys(first: 1) { nodes { '.repeat(depth)} id ${'} } }'.repeat(depth)} } } }`;
    expect((await client.send(nest(1))).errors).toEqual([]);
    const { data, errors } = await client.send(nest(6));
    expect({ data, errors }).toMatchObject({
      data: null,
      errors: [refusal(/^The operation is 21 levels deep, and the limit is 16\. Select fewer levels/)],
    });
  });

  test('because of the sum of its pages', async () => {
    const { client } = await aPerson(await aServer());
    const document = (first: number) =>
      `{ workspaces(first: ${first}) { nodes { apiKeys(first: ${first}) { nodes { id name workspace { members(first: ${first}) { nodes { id role user { id email } } } } } } } } }`;
    expect((await client.send(document(10))).errors).toEqual([]);
    const { data, errors } = await client.send(document(100));
    expect({ data, errors }).toMatchObject({
      data: null,
      errors: [refusal(/^The operation costs \d{6,}, and the limit is 25000\. Select fewer fields/)],
    });
  });

  test('because of its breadth', async () => {
    const { client } = await aPerson(await aServer());
    const kinds = Array.from({ length: 40 }, (_, index) => `a${index}: kind`).join(' ');
    const document = (viewers: number) =>
      `{ ${Array.from({ length: viewers }, (_, index) => `a${index}: viewer { ...F }`).join(' ')} } fragment F on Viewer { ${kinds} }`;
    expect((await client.send(document(100))).errors).toEqual([]);
    const { data, errors } = await client.send(document(150));
    expect({ data, errors }).toMatchObject({
      data: null,
      errors: [
        {
          message: 'The document selects more than 5000 fields. Select less in one request.',
          extensions: { code: 'BAD_USER_INPUT', field: 'query' },
        },
      ],
    });
  });

  test('because of its tokens', async () => {
    const server = await aServer();
    const { status, data, errors } = await server.anonymous.send(`{ ${'viewer { kind } '.repeat(3_000)}}`);
    expect({ status, data, errors }).toMatchObject({
      status: 400,
      data: null,
      errors: [
        {
          message: 'Syntax Error: Document contains more that 5000 tokens. Parsing aborted.',
          extensions: { code: 'GRAPHQL_PARSE_FAILED' },
        },
      ],
    });
  });

  test('because of fragments that multiply', async () => {
    const { client } = await aPerson(await aServer());
    const fragments = Array.from(
      { length: 12 },
      (_, index) =>
        `fragment F${index} on Workspace { a${index}: credits { balance } b${index}: apiKeys(first: 100) { nodes { workspace { ...F${index + 1} } } } }`,
    );
    const { data, errors } = await client.send(
      `{ workspaces(first: 100) { nodes { ...F0 } } } ${fragments.join(' ')} fragment F12 on Workspace { id }`,
    );
    expect({ data, code: errors[0]?.extensions?.code }).toEqual({ data: null, code: 'BAD_USER_INPUT' });
  });
});

test('the texts of a list are validated once per request, however many aliases use the list', async () => {
  const { client } = await aPerson(await aServer());
  const fields = Array.from(
    { length: 20 },
    (_, index) =>
      `a${index}: explainVerification(input: { credential: { bearer: "x" }, requires: $requires }) { code }`,
  );
  const requires = Array.from({ length: 1_000 }, (_, index) => `permission:${index}`);
  const check = vi.spyOn(String.prototype, 'isWellFormed');
  try {
    const { errors } = await client.send(`query ($requires: [String!]) { ${fields.join(' ')} }`, { requires });
    expect(errors[0]).toMatchObject({ message: 'At most 20 permissions can be required at once.' });
    const checked = check.mock.contexts.filter((text) => String(text).startsWith('permission:'));
    expect(checked).toHaveLength(requires.length);
  } finally {
    check.mockRestore();
  }
});

describe('a question about the schema', () => {
  const everyType = 'fragment F on __Schema { types { name description fields { name description type { name } } } }';

  test('is weighed by its answer: 300 aliases are refused with their cost', async () => {
    const { anonymous } = await aServer();
    const aliases = (count: number) =>
      `{ ${Array.from({ length: count }, (_, index) => `a${index}: __schema { ...F }`).join(' ')} } ${everyType}`;
    expect((await anonymous.send(aliases(1))).errors).toEqual([]);
    const { status, data, errors } = await anonymous.send(aliases(300));
    expect({ status, data, errors }).toMatchObject({
      status: 400,
      data: null,
      errors: [refusal(/^The operation costs \d{6}, and the limit is 25000\. Select fewer fields/)],
    });
  });

  test('that multiplies itself is refused before its answer is counted to the end', async () => {
    const { anonymous } = await aServer();
    const copies = Array.from({ length: 60 }, (_, index) => `a${index}: types { ...G${index} }`);
    const fragments = Array.from(
      { length: 60 },
      (_, index) => `fragment G${index} on __Type { fields { args { type { name kind } } type { name kind } } }`,
    );
    const startedAt = performance.now();
    const { data, errors } = await anonymous.send(`{ __schema { ${copies.join(' ')} } } ${fragments.join(' ')}`);
    expect({ data, errors }).toMatchObject({
      data: null,
      errors: [refusal(/^The operation costs (at least )?\d+, and/)],
    });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test('adds to the cost of the rest of the operation', async () => {
    const { client } = await aPerson(await aServer());
    const rest = 'workspaces(first: 100) { nodes { apiKeys(first: 100) { nodes { id name } } } }';
    expect((await client.send(`{ ${rest} }`)).errors).toEqual([]);
    const twice = `${rest} ${[...'abcdefgh'].map((alias) => `${alias}: __schema { ...F }`).join(' ')}`;
    const { data, errors } = await client.send(`{ ${twice} } ${everyType}`);
    expect({ data, errors }).toMatchObject({ data: null, errors: [refusal(/^The operation costs \d{5}, and/)] });
  });

  test('of one type by a variable is weighed as the largest type', async () => {
    const { anonymous } = await aServer();
    const question = (aliases: number) =>
      `query ($name: String!) { ${Array.from({ length: aliases }, (_, index) => `a${index}: __type(name: $name) { ...F }`).join(' ')} } fragment F on __Type { fields { name description args { name description type { name } } } }`;
    const { data, errors } = await anonymous.send(question(1), { name: 'Node' });
    expect({ data, errors }).toMatchObject({ data: { a0: { fields: [{ name: 'id' }] } }, errors: [] });
    const refused = await anonymous.send(question(350), { name: 'Node' });
    expect(refused).toMatchObject({ data: null, errors: [refusal(/^The operation costs \d+, and/)] });
  });

  test('has an answer that is cached', async () => {
    const { anonymous } = await aServer();
    const question = '{ __schema { types { name kind fields { name } } } }';
    const first = await anonymous.send(question);
    const toMap = vi.spyOn(schema.constructor.prototype, 'getTypeMap');
    try {
      expect((await anonymous.send(question)).data).toEqual(first.data);
      expect(toMap).not.toHaveBeenCalled();
      expect((await anonymous.send(`${question} # again`)).data).toEqual(first.data);
      expect(toMap).toHaveBeenCalled();
    } finally {
      toMap.mockRestore();
    }
  });

  test.each<[IntrospectionAccess, unknown, unknown]>([
    ['public', { status: 200, errors: [] }, { status: 200, errors: [] }],
    [
      'authenticated',
      { status: 401, data: null, errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] },
      { status: 200, errors: [] },
    ],
    [
      'off',
      { status: 403, data: null, errors: [{ extensions: { code: 'FORBIDDEN' } }] },
      { status: 403, data: null, errors: [{ extensions: { code: 'FORBIDDEN' } }] },
    ],
  ])('with introspection=%s is answered to the callers that may ask it', async (introspection, unknown, known) => {
    const { anonymous, backend } = await startServer({ introspection });
    // Twice: the second answer of a caller is a cached one.
    for (const question of [
      '{ __schema { queryType { name } } }',
      '{ __type(name: "Node") { name } viewer { kind } }',
    ]) {
      for (const _ of [1, 2]) {
        expect(await backend.send(question)).toMatchObject(known as object);
        expect(await anonymous.send(question)).toMatchObject(unknown as object);
      }
    }
    expect((await anonymous.send('{ __typename }')).data).toEqual({ __typename: 'Query' });
  });
});

test('the documentation states every limit', async () => {
  const page = await readFile(new URL('../../docs/query-limits.md', import.meta.url), 'utf8');
  for (const limit of Object.values(queryLimits)) expect(page).toContain(`| ${limit.toLocaleString('en')} |`);
});

describe('common requests are within the query limits', () => {
  test('100 verifications by aliases in one request', async () => {
    const server = await aServer();
    const { client } = await aPerson(server);
    const { secret } = await createApiKey(client, { name: 'ci', product: 'craftkit' });
    const selection =
      '{ code valid rejection { status code message } apiKey { id name } workspace { id } headers { name value } charge { id credits } }';
    const fields = Array.from({ length: 100 }, (_, index) => `a${index}: verifyApiKey(input: $input) ${selection}`);
    const { data, errors } = await server.backend.send<Record<string, { code: string }>>(
      `mutation ($input: VerifyApiKeyInput!) { ${fields.join(' ')} }`,
      { input: { credential: { bearer: secret } } },
    );
    expect(errors).toEqual([]);
    expect(Object.values(data ?? {}).map(({ code }) => code)).toEqual(Array(100).fill('VALID'));
  });

  test('introspection of the whole schema without a credential', async () => {
    const server = await aServer();
    const { data, errors } = await server.anonymous.send<IntrospectionQuery & Record<string, unknown>>(
      getIntrospectionQuery({ descriptions: true, specifiedByUrl: true, inputValueDeprecation: true, oneOf: true }),
    );
    expect(errors).toEqual([]);
    if (data === null) throw new Error('There is an answer.');
    expect(printSchema(lexicographicSortSchema(buildClientSchema(data)))).toBe(
      printSchema(lexicographicSortSchema(schema)),
    );
  });

  test('a page of 100 items with their relations', async () => {
    const { client } = await aPerson(await aServer());
    const { errors } = await client.send(
      '{ workspaces(first: 100) { nodes { id name kind credits { balance held available } apiKeys { nodes { id name status preview } pageInfo { hasNextPage } } } pageInfo { hasNextPage endCursor } } }',
    );
    expect(errors).toEqual([]);
  });
});
