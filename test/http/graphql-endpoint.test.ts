import {
  GraphQLFloat,
  GraphQLInputObjectType,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
} from 'graphql';
import { auditServer } from 'graphql-http';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  ForbiddenError,
  RateLimitedError,
  UnauthenticatedError,
  UnavailableError,
  ValidationError,
} from '../../src/errors.js';
import { aKeyOf, aPerson } from '../factories.js';
import { startServer, type TestServer } from '../harness.js';

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ products: ['default'] });
});

const json = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };

function post(body: string, headers: Record<string, string> = json): Promise<Response> {
  return server.fetch('/graphql', { method: 'POST', headers, body });
}

async function errorOf(response: Response): Promise<unknown> {
  const body = (await response.json()) as { errors?: { extensions: unknown }[] };
  return { status: response.status, extensions: body.errors?.[0]?.extensions };
}

function extensions(code: string, field?: string) {
  return { code, requestId: expect.stringMatching(/^req_/), ...(field === undefined ? {} : { field }) };
}

test('the introspection query of tools is answered without errors', async () => {
  const { getIntrospectionQuery } = await import('graphql');
  const query = getIntrospectionQuery({
    descriptions: true,
    inputValueDeprecation: true,
    oneOf: true,
    schemaDescription: true,
  });
  const answer = await server.anonymous.send(query);
  expect(answer).toMatchObject({ status: 200, body: { data: { __schema: { queryType: { name: 'Query' } } } } });
  expect(answer.body).not.toHaveProperty('errors');
});

test('the endpoint passes every audit of graphql-http', async () => {
  const results = await auditServer({
    url: `${server.url}/graphql`,
    fetchFn: fetch,
  });
  expect(results.filter(({ status }) => status !== 'ok').map(({ name }) => name)).toEqual([]);
});

describe('an invalid request is refused with an error that names the field or code:', () => {
  test.each([
    ['broken JSON', '{"query":', 'body'],
    ['a body that is not an object', '"query"', undefined],
    ['a batch', '[{"query":"{ __typename }"}]', undefined],
    ['an empty body', '', 'body'],
    ['a missing query', '{}', 'query'],
    ['a query that is not a string', '{"query":1}', 'query'],
    ['variables that are not an object', '{"query":"{ __typename }","variables":1}', 'variables'],
    ['text that is not UTF-8', '\u{d800}', 'body'],
  ])('%s', async (_name, body, field) => {
    expect(await errorOf(await post(body))).toEqual({ status: 400, extensions: extensions('BAD_USER_INPUT', field) });
  });

  test('variables in a GET that are not JSON', async () => {
    const response = await server.fetch('/graphql?query=%7B__typename%7D&variables=%7B', { headers: json });
    expect(await errorOf(response)).toEqual({ status: 400, extensions: extensions('BAD_USER_INPUT', 'variables') });
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/graphql',
    'multipart/form-data; boundary=x',
  ])('a body of type %s, which a form of any other site can send', async (type) => {
    const response = await post('query=%7B__typename%7D', { ...json, 'content-type': type });
    expect(await errorOf(response)).toEqual({ status: 415, extensions: extensions('BAD_USER_INPUT', 'content-type') });
  });

  test('a document that is not GraphQL', async () => {
    expect(await errorOf(await post('{"query":"{"}'))).toEqual({
      status: 400,
      extensions: extensions('GRAPHQL_PARSE_FAILED'),
    });
  });

  test.each([
    ['too many tokens', `{ ${'__typename '.repeat(5_001)} }`],
    ['selections nested too deeply', `${'{ viewer '.repeat(1_500)} ${'}'.repeat(1_500)}`],
    ['a list nested too deeply', `{ products(first: ${'['.repeat(2_400)}${']'.repeat(2_400)}) { slug } }`],
    ['an object nested too deeply', `{ workspace(id: ${'{a:'.repeat(1_200)}1${'}'.repeat(1_200)}) { id } }`],
  ])('a document with %s', async (_name, query) => {
    expect(await errorOf(await post(JSON.stringify({ query })))).toEqual({
      status: 400,
      extensions: extensions('GRAPHQL_PARSE_FAILED'),
    });
  });

  const many = (times: number, write: (index: number) => string) =>
    Array.from({ length: times }, (_, i) => write(i)).join(' ');

  test.each([
    ['one field repeated', `{ viewer { ${'kind '.repeat(4_000)} } }`],
    ['one field in repeated parents', `{ ${'viewer { kind } '.repeat(1_000)} }`],
    ['one field with many different arguments', `{ ${many(500, (i) => `workspace(id: "${i}") { id }`)} }`],
    [
      'one field in many fragments',
      `{ ${many(400, (i) => `...F${i}`)} } ${many(400, (i) => `fragment F${i} on Query { viewer { kind } }`)}`,
    ],
    [
      'deeply nested fragments',
      `{ ...F0 } ${many(500, (i) => `fragment F${i} on Query { ...F${i + 1} }`)} fragment F500 on Query { __typename }`,
    ],
    [
      'fragments that double',
      `{ ...F0 } ${many(30, (i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`)} fragment F30 on Query { __typename }`,
    ],
    [
      'unused fragments that double',
      `{ __typename } ${many(30, (i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`)} fragment F30 on Query { __typename }`,
    ],
  ])('a document that is too expensive to validate: %s', async (_name, query) => {
    const startedAt = performance.now();
    expect(await errorOf(await post(JSON.stringify({ query })))).toEqual({
      status: 400,
      extensions: extensions('BAD_USER_INPUT', 'query'),
    });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  test('fragments that spread each other', async () => {
    const query = '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }';
    expect(await errorOf(await post(JSON.stringify({ query })))).toEqual({
      status: 400,
      extensions: extensions('GRAPHQL_VALIDATION_FAILED'),
    });
  });

  test('variables nested too deeply', async () => {
    const nested = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    const query = 'mutation ($input: CreateWorkspaceInput!) { createWorkspace(input: $input) { __typename } }';
    const response = await post(`{"query":"${query}","variables":{"input":${nested}}}`);
    expect(await errorOf(response)).toEqual({ status: 400, extensions: extensions('BAD_USER_INPUT', 'body') });
  });

  test('an unknown field', async () => {
    expect(await errorOf(await post('{"query":"{ nonsense }"}'))).toEqual({
      status: 400,
      extensions: extensions('GRAPHQL_VALIDATION_FAILED'),
    });
  });

  test('an invalid document sent twice, with a new request id each time', async () => {
    const ids = [await post('{"query":"{ again"}'), await post('{"query":"{ again"}')].map((answer) =>
      answer.headers.get('x-request-id'),
    );
    expect(new Set(ids).size).toBe(2);
  });

  test('a mutation in a GET', async () => {
    const query = encodeURIComponent('mutation { createWorkspace(input: { name: "x" }) { __typename } }');
    const response = await server.fetch(`/graphql?query=${query}`, { headers: json });
    expect(await errorOf(response)).toEqual({ status: 405, extensions: extensions('BAD_USER_INPUT') });
  });
});

describe('a body over a megabyte is refused with 413', () => {
  const tooMuch = 1_000_001;

  test('by its Content-Length before it is read', async () => {
    const response = await post(' '.repeat(tooMuch));
    expect(await errorOf(response)).toEqual({ status: 413, extensions: extensions('BAD_USER_INPUT', 'body') });
  });

  test('and a body of exactly a megabyte is accepted', async () => {
    const query = '{ __typename }';
    const body = JSON.stringify({ query }).padEnd(1_000_000, ' ');
    expect(await (await post(body)).json()).toEqual({ data: { __typename: 'Query' } });
  });
});

describe('a request id', () => {
  test.each(['abc', 'A-1_2.3', '0af7651916cd43dd8448eb211c80319c', '6f1c1d2e-0d7a-4b58-9a44-0e7c7c1f2a3b'])(
    'is taken from the caller when it is valid: %s',
    async (id) => {
      const answer = await server.anonymous.with({ 'x-request-id': id }).send('{ __typename }');
      expect(answer.headers.get('x-request-id')).toBe(id);
    },
  );

  test.each(['', 'x'.repeat(37), 'a b', 'a"b', 'Wrv6A7B4IbiCzoTt1ILGRdGT0NlNMBw2', `tks_${'a'.repeat(32)}`])(
    'is generated when that of the caller is invalid: %j',
    async (id) => {
      const answer = await server.anonymous.with({ 'x-request-id': id }).send('{ __typename }');
      expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
    },
  );

  test('is logged with the principal and without credentials', async () => {
    const { token, id } = await aPerson(server);
    await server.anonymous
      .with({ authorization: `Bearer ${token}`, 'x-request-id': 'find-me' })
      .send('{ viewer { kind } }');
    const line =
      server
        .logged()
        .split('\n')
        .find((text) => text.includes('find-me')) ?? '{}';
    expect(JSON.parse(line)).toEqual({
      level: 30,
      time: expect.any(String),
      requestId: 'find-me',
      method: 'POST',
      path: '/graphql',
      status: 200,
      ms: expect.any(Number),
      principal: { kind: 'USER', id },
      address: '127.0.0.1',
      msg: 'request',
    });
    expect(server.logged()).not.toContain(token);
  });
});

describe('error responses', () => {
  const secret = `mk_pub_${'0123456789abcdef'.repeat(2)}`;

  const Input = new GraphQLInputObjectType({
    name: 'Input',
    fields: { bearer: { type: GraphQLString }, quantity: { type: GraphQLFloat } },
  });
  const fail = (error: unknown) => ({
    type: GraphQLString,
    resolve: () => {
      throw error;
    },
  });
  const schema = new GraphQLSchema({
    query: new GraphQLObjectType({
      name: 'Query',
      fields: {
        fine: { type: GraphQLString, resolve: () => 'fine' },
        nothing: { type: GraphQLString, resolve: () => null },
        takes: { type: GraphQLString, args: { input: { type: Input } }, resolve: () => 'taken' },
        bug: fail(new TypeError(`x of ${secret} is not a function`)),
        thrown: fail('a text'),
        misprint: { type: GraphQLFloat, resolve: () => 'a result that is no number' },
        void: { type: new GraphQLNonNull(GraphQLString), resolve: () => null },
        wrong: fail(new ValidationError('input.name', 'A name must not be empty.')),
        forbidden: fail(new ForbiddenError('apiKey:create')),
        anonymous: fail(new UnauthenticatedError('Send an API key.', 'missing_credential')),
        throttled: fail(new RateLimitedError('Wait.', 7.2, 'slow_down')),
        unavailable: fail(new UnavailableError()),
      },
    }),
  });
  let failing: TestServer;

  beforeAll(async () => {
    failing = await startServer({ products: ['default'], schema });
  });

  function ask(query: string, { accept = 'application/graphql-response+json', variables = {} } = {}) {
    return failing.anonymous.with({ accept, 'x-request-id': 'r1' }).send(query, variables);
  }

  test.each(['bug', 'thrown', 'misprint', 'void'])('mask and log an unexpected failure: %s', async (field) => {
    const loggedBefore = failing.logged().length;
    const answer = await ask(`{ ${field} }`);
    expect(answer.status).toBe(500);
    expect(answer.body).toEqual({
      errors: [
        {
          message: 'Internal server error. Contact the operator of this server and quote the request id.',
          locations: [{ line: 1, column: 3 }],
          path: [field],
          extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: 'r1' },
        },
      ],
    });
    const logged = failing.logged().slice(loggedBefore);
    const failures = logged.split('\n').filter((line) => line.includes('"level":50'));
    expect(failures.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { requestId: 'r1', err: { message: expect.any(String) } },
    ]);
    expect(logged).not.toContain(secret);
  });

  test('contain the failure of one field beside the other data, with status 200', async () => {
    const answer = await ask('{ fine bug }');
    expect(answer).toMatchObject({
      status: 200,
      body: { data: { fine: 'fine', bug: null }, errors: [{ path: ['bug'] }] },
    });
  });

  test.each([
    ['anonymous', 401, 'UNAUTHENTICATED'],
    ['throttled', 429, 'RATE_LIMITED'],
    ['unavailable', 503, 'SERVICE_UNAVAILABLE'],
  ])('for "%s" have status %i when there is no data, for any accepted media type', async (field, status, code) => {
    for (const accept of ['application/graphql-response+json', 'application/json']) {
      const answer = await ask(`{ nothing ${field} }`, { accept });
      expect(answer).toMatchObject({ status, body: { errors: [{ extensions: { code } }] } });
      expect(answer.body).not.toHaveProperty('data');
    }
    expect((await ask(`{ fine ${field} }`)).status).toBe(200);
  });

  test.each([
    ['a throttled request', 'throttled', '8'],
    ['a request without a database', 'unavailable', '1'],
  ])('for %s have Retry-After in whole seconds', async (_, field, seconds) => {
    expect((await ask(`{ ${field} }`)).headers.get('retry-after')).toBe(seconds);
  });

  test.each([
    ['wrong', { code: 'BAD_USER_INPUT', field: 'input.name', requestId: 'r1' }],
    ['forbidden', { code: 'FORBIDDEN', requestId: 'r1' }],
  ])('for "%s" are an error of the field, with status 200', async (field, extensions) => {
    expect(await ask(`{ ${field} }`)).toMatchObject({
      status: 200,
      body: { data: { [field]: null }, errors: [{ extensions }] },
    });
  });

  test('name an invalid variable by its path and do not repeat the values beside it', async () => {
    const query = 'query ($input: Input) { takes(input: $input) }';
    const answer = await ask(query, { variables: { input: { bearer: secret, quantity: 'two' } } });
    expect(answer).toMatchObject({
      status: 400,
      body: {
        errors: [
          {
            message: 'Variable "$input" got an invalid value at "input.quantity"; expected a value of type "Float".',
            extensions: { code: 'BAD_USER_INPUT', field: 'input.quantity', requestId: 'r1' },
          },
        ],
      },
    });
    const unknown = await ask(query, { variables: { input: { bearer: secret, nonsense: 1 } } });
    expect(unknown).toMatchObject({ status: 400, body: { errors: [{ extensions: { field: 'input' } }] } });
    expect(JSON.stringify(unknown.body)).not.toContain(secret);
  });

  test.each<[string, unknown]>([
    ['an object instead of a text', { bearer: { password: 'hunter2' } }],
    ['a text instead of an object', 'hunter2'],
    ['a list instead of a number', { quantity: ['hunter2'] }],
    ['a value beside a field whose name is not one', { bearer: 'hunter2', 'x;y': 'hunter2' }],
    ['the name of a field', { 'hunter2 is my password': 1 }],
  ])('do not repeat the value of a variable that is %s', async (_what, input) => {
    const answer = await ask('query ($input: Input) { takes(input: $input) }', { variables: { input } });
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] } });
    expect(JSON.stringify(answer.body)).not.toContain('hunter2');
  });

  test.each([`"${secret}"`, '"hunter2"', '{ bearer: 2.5, quantity: "hunter2" }', '[{ quantity: { a: "hunter2" } }]'])(
    'do not repeat a literal of the wrong type: %s',
    async (literal) => {
      const { status, body } = await ask(`{ takes(input: ${literal}) }`);
      expect(status).toBe(400);
      const { errors } = body as { errors: { message: string }[] };
      for (const { message } of errors) expect(message).toMatch(/^Expected a value of type "\w+"\.$/);
      expect(JSON.stringify(body)).not.toMatch(new RegExp(`hunter2|${secret}`));
    },
  );
});

describe('requests authenticated with a key count against its rate limits', () => {
  test('every response has the rate limit headers, and the one over the limit is 429', async () => {
    const limited = await startServer({ products: ['masko'], clockStandsStill: true });
    const { secret } = await aKeyOf(limited, 'masko');
    const key = limited.anonymous.with({ authorization: `Bearer ${secret}` });
    const resetsAt = String(Math.ceil(limited.clock.now().getTime() / 1000) + 60);
    for (let remaining = 59; remaining >= 0; remaining -= 1) {
      const answer = await key.send(remaining % 2 ? '{ viewer { kind } }' : '{ broken');
      expect(answer.status).toBe(remaining % 2 ? 200 : 400);
      expect(answer.headers.get('x-ratelimit-limit')).toBe('60');
      expect(answer.headers.get('x-ratelimit-remaining')).toBe(String(remaining));
      expect(answer.headers.get('x-ratelimit-reset')).toBe(resetsAt);
      expect(answer.headers.get('retry-after')).toBeNull();
    }
    const refused = await key.send('{ viewer { kind } }');
    expect(refused).toMatchObject({ status: 429, body: { errors: [{ extensions: { code: 'RATE_LIMITED' } }] } });
    expect(refused.body).not.toHaveProperty('data');
    expect(refused.headers.get('retry-after')).toBe('60');
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0');

    limited.clock.advance(60_000);
    expect((await key.send('{ viewer { kind } }')).status).toBe(200);
  });
});

test('a request id that contains a key is replaced and not logged', async () => {
  const { secret } = await aKeyOf(server, 'default');
  const { headers } = await server.anonymous.with({ 'x-request-id': secret }).send('{ viewer { kind } }');
  expect(headers.get('x-request-id')).toMatch(/^req_/);
  expect(server.logged()).not.toContain(secret);
});
