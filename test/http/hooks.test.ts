import { createHash } from 'node:crypto';
import { type ExecutionArgs, type FieldNode, GraphQLError, type ValidationContext } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { beforeAll, describe, expect, test } from 'vitest';
import { aKeyOf } from '../factories.js';
import { startServer, type TestServer } from '../harness.js';

/** Every hook of Yoga and Envelop that the pipeline runs for a request, in execution order. */
const allHooks = [
  'instrumentation.operation',
  'onParams',
  'instrumentation.init',
  'onEnveloped',
  'instrumentation.parse',
  'onParse',
  'onParse done',
  'instrumentation.validate',
  'onValidate',
  'onValidate done',
  'instrumentation.context',
  'onContextBuilding',
  'onContextBuilding done',
  'instrumentation.execute',
  'onExecute',
  'onExecute done',
  'onExecutionResult',
];

let called: string[] = [];
const note = (hook: string) => void called.push(hook);
const trace = (step: string) => (_payload: unknown, wrapped: () => unknown) => {
  note(`instrumentation.${step}`);
  return wrapped() as Promise<void>;
};

const everyHook: Plugin = {
  instrumentation: {
    operation: trace('operation'),
    init: trace('init'),
    parse: trace('parse'),
    validate: trace('validate'),
    context: trace('context'),
    execute: trace('execute'),
  },
  onParams: () => note('onParams'),
  onEnveloped: () => note('onEnveloped'),
  onParse() {
    note('onParse');
    return () => note('onParse done');
  },
  onValidate() {
    note('onValidate');
    return () => note('onValidate done');
  },
  onContextBuilding() {
    note('onContextBuilding');
    return () => note('onContextBuilding done');
  },
  onExecute() {
    note('onExecute');
    return { onExecuteDone: () => note('onExecute done') };
  },
  onExecutionResult: () => note('onExecutionResult'),
};

/** Persisted operations by SHA-256 hash, as in the protocol of Apollo. */
const documents = new Map(
  [
    '{ __typename }',
    'mutation ($bearer: String!) { verifyApiKey(input: { credential: { bearer: $bearer } }) { code } }',
  ].map((document) => [createHash('sha256').update(document).digest('hex'), document]),
);
const persistedOperations: Plugin = {
  onParams({ params, setParams, request }) {
    const persisted = params.extensions?.persistedQuery as { sha256Hash?: string } | undefined;
    if (persisted?.sha256Hash === undefined) return;
    const query = documents.get(persisted.sha256Hash);
    if (query === undefined) {
      throw new GraphQLError(`PersistedQueryNotFound by ${request.headers.get('user-agent')}`, {
        extensions: { code: 'PERSISTED_QUERY_NOT_FOUND', http: { status: 404 } },
      });
    }
    setParams({ ...params, query });
  },
};

const verify = 'mutation ($bearer: String!) { verifyApiKey(input: { credential: { bearer: $bearer } }) { code } }';
const json = { 'content-type': 'application/json' };

describe('every hook of a plugin runs for', () => {
  let server: TestServer;
  let secret: string;
  beforeAll(async () => {
    server = await startServer({
      products: ['default'],
      allowedOrigins: ['https://app.example.com'],
      plugins: [everyHook],
    });
    ({ secret } = await aKeyOf(server, 'default'));
  });

  test('each execution of a compiled verifyApiKey', async () => {
    for (let time = 0; time < 3; time += 1) {
      called = [];
      expect((await server.backend.send(verify, { bearer: secret })).body).toEqual({
        data: { verifyApiKey: { code: 'VALID' } },
      });
      expect(called).toEqual(allHooks);
    }
  });

  test('a query in a GET', async () => {
    called = [];
    const response = await server.fetch(`/graphql?query=${encodeURIComponent('{ products { slug } }')}`);
    expect(response.status).toBe(200);
    expect(called).toEqual(allHooks);
  });

  test('a request for an event stream from a browser page of another origin', async () => {
    called = [];
    const response = await server.fetch('/graphql', {
      method: 'POST',
      headers: { ...json, origin: 'https://app.example.com', cookie: 'theme=dark', accept: 'text/event-stream' },
      body: JSON.stringify({ query: '{ products { slug } }' }),
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(called).toEqual(allHooks);
  });

  test.each([
    ['a syntax error', '{', 'onParse done'],
    ['an unknown field', '{ nonsense }', 'onValidate done'],
  ])('an invalid document up to the failing step: %s', async (_name, query, last) => {
    for (let time = 0; time < 2; time += 1) {
      called = [];
      expect((await server.anonymous.send(query)).status).toBe(400);
      const cut = allHooks.indexOf(last) + 1;
      expect(called).toEqual([...allHooks.slice(0, cut), 'onExecutionResult']);
    }
  });
});

describe('a plugin', () => {
  test('resolves persisted operations by hash and refuses an unknown hash', async () => {
    const server = await startServer({ products: ['default'], plugins: [persistedOperations] });
    const { secret } = await aKeyOf(server, 'default');
    const send = async (sha256Hash: string, variables = {}) => {
      const response = await server.fetch('/graphql', {
        method: 'POST',
        headers: {
          ...json,
          accept: 'application/graphql-response+json',
          'user-agent': 'a test',
          ...server.backend.headers,
        },
        body: JSON.stringify({ variables, extensions: { persistedQuery: { sha256Hash } } }),
      });
      return { status: response.status, body: (await response.json()) as unknown };
    };
    const [typename = '', verification = ''] = [...documents.keys()];
    expect(await send(typename)).toEqual({ status: 200, body: { data: { __typename: 'Query' } } });
    expect(await send(verification, { bearer: secret })).toEqual({
      status: 200,
      body: { data: { verifyApiKey: { code: 'VALID' } } },
    });
    expect(await send('unknown')).toMatchObject({
      status: 404,
      body: { errors: [{ message: 'PersistedQueryNotFound by a test', extensions: { code: 'BAD_USER_INPUT' } }] },
    });
  });

  test('replaces the execution, the result and its extensions', async () => {
    const server = await startServer({
      products: ['default'],
      plugins: [
        {
          onParams({ params, setResult, request }) {
            if (params.operationName === 'Early') setResult({ data: { url: request.url } });
          },
          onContextBuilding({ extendContext }) {
            extendContext({ extended: true } as object);
          },
          onExecute({ args, setExecuteFn, executeFn }) {
            if (args.operationName !== 'Replaced') return;
            setExecuteFn(async (given: ExecutionArgs) => ({
              ...(await executeFn(given)),
              extensions: { of: 'onExecute' },
            }));
          },
          onExecutionResult({ result, context, setResult }) {
            if (result === undefined || Symbol.asyncIterator in result) return;
            setResult({ ...result, extensions: { ...result.extensions, extended: 'extended' in context } });
          },
        } satisfies Plugin,
      ],
    });
    const send = async (operationName: string) => {
      const body = JSON.stringify({ query: `query ${operationName} { __typename }`, operationName });
      return (await server.fetch('/graphql', { method: 'POST', headers: json, body })).json();
    };
    expect(await send('Early')).toEqual({
      data: { url: 'https://keys.example.com/graphql' },
      extensions: { extended: false },
    });
    expect(await send('Replaced')).toEqual({
      data: { __typename: 'Query' },
      extensions: { of: 'onExecute', extended: true },
    });
  });

  test('adds a validation rule that also applies to cached documents', async () => {
    const server = await startServer({
      products: ['default'],
      plugins: [
        {
          onValidate({ addValidationRule }) {
            addValidationRule((validation: ValidationContext) => ({
              Field: (node: FieldNode) => {
                if (node.name.value === 'products')
                  validation.reportError(new GraphQLError('No products.', { nodes: node }));
              },
            }));
          },
        } satisfies Plugin,
      ],
    });
    for (let time = 0; time < 2; time += 1) {
      expect(await server.anonymous.send('{ products { slug } }')).toMatchObject({
        status: 400,
        errors: [{ message: 'No products.', extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }],
      });
      expect((await server.anonymous.send('{ __typename }')).status).toBe(200);
    }
  });
});
