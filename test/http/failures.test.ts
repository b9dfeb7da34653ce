import { setTimeout as sleep } from 'node:timers/promises';
import { GraphQLObjectType, GraphQLScalarType, GraphQLSchema, GraphQLString } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RateLimiter } from '../../src/domain/rate-limits/limiter.js';
import type { Context } from '../../src/graphql/context.js';
import { aKeyOf } from '../factories.js';
import { startServer, type TestServer } from '../harness.js';

const failHeader = 'x-fail-at';

/** A failure that mentions a secret, which neither the response nor the log may repeat. */
const secret = `tks_${'a1'.repeat(20)}`;
const failure = () => new TypeError(`injected into the request of ${secret}`);

function failAt(step: string, context: unknown): void {
  const { request } = context as { request?: Request };
  if (request?.headers.get(failHeader) === step) throw failure();
}

const failingPlugin: Plugin = {
  onParams: ({ context }) => failAt('onParams', context),
  onEnveloped: ({ context }) => failAt('onEnveloped', context),
  onParse({ context }) {
    failAt('onParse', context);
    return () => failAt('onParse done', context);
  },
  onValidate({ context }) {
    failAt('onValidate', context);
    return () => failAt('onValidate done', context);
  },
  onContextBuilding({ context }) {
    failAt('onContextBuilding', context);
    return () => failAt('onContextBuilding done', context);
  },
  onExecute({ args }) {
    failAt('onExecute', args.contextValue);
    return { onExecuteDone: () => failAt('onExecute done', args.contextValue) };
  },
  onExecutionResult: ({ context }) => failAt('onExecutionResult', context),
};

const Unserializable = new GraphQLScalarType({ name: 'Unserializable', serialize: () => 1n });
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: {
      fine: { type: GraphQLString, resolve: () => 'fine' },
      unserializable: { type: Unserializable, resolve: () => 1 },
      invalidHeader: {
        type: GraphQLString,
        resolve(_root, _args, { responseHeaders }: Context) {
          responseHeaders.set('x-invalid', '\u0001');
          return 'fine';
        },
      },
    },
  }),
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ products: ['default', 'masko'], schema, plugins: [failingPlugin] });
});

/** The log lines of a request. */
async function linesOf(requestId: string, { logged }: TestServer = server): Promise<Record<string, unknown>[]> {
  await sleep(10);
  return logged()
    .split('\n')
    .filter((line) => line.includes(requestId))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function expectMaskedFailure(response: Response, requestId: string, of: TestServer = server): Promise<void> {
  const text = await response.text();
  expect(response.status).toBe(500);
  expect(response.headers.get('x-request-id')).toBe(requestId);
  expect(JSON.parse(text)).toEqual({
    errors: [
      expect.objectContaining({
        extensions: expect.objectContaining({ code: 'INTERNAL_SERVER_ERROR', requestId }) as unknown,
      }),
    ],
  });
  expect(text).not.toMatch(/injected|tks_|BigInt|Invalid character/);
  const lines = await linesOf(requestId, of);
  expect(lines.filter(({ level }) => level === 50).length).toBeGreaterThan(0);
  expect(lines.at(-1)).toMatchObject({ msg: 'request', status: 500 });
  expect(JSON.stringify(lines)).not.toContain(secret);
}

describe('an unexpected failure is masked, answered with 500 and logged', () => {
  const hooks = [
    ...['onParams', 'onEnveloped', 'onParse', 'onParse done', 'onValidate', 'onValidate done'],
    ...['onContextBuilding', 'onContextBuilding done', 'onExecute', 'onExecute done', 'onExecutionResult'],
  ];
  test.each(hooks)('in the hook %s', async (hook) => {
    const requestId = hook.replace(' ', '-');
    const response = await server.fetch('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', [failHeader]: hook, 'x-request-id': requestId },
      body: JSON.stringify({ query: '{ fine }' }),
    });
    await expectMaskedFailure(response, requestId);
  });

  test('during authentication', async () => {
    const limiter = { take: () => Promise.reject(failure()) } as unknown as RateLimiter;
    const broken = await startServer({ products: ['masko'], limiter });
    const key = await aKeyOf(await startServer({ products: ['masko'] }), 'masko');
    const response = await broken.fetch('/graphql', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/graphql-response+json',
        authorization: `Bearer ${key.secret}`,
        'x-request-id': 'identification',
      },
      body: JSON.stringify({ query: '{ __typename }' }),
    });
    expect(response.headers.get('content-type')).toBe('application/graphql-response+json; charset=utf-8');
    await expectMaskedFailure(response, 'identification', broken);
  });

  test.each(['unserializable', 'invalidHeader'])('while the result is serialized and sent: %s', async (field) => {
    const response = await server.fetch(`/graphql?query=${encodeURIComponent(`{ ${field} }`)}`, {
      headers: { 'x-request-id': field },
    });
    await expectMaskedFailure(response, field);
  });

  test('in a route other than GraphQL', async () => {
    const broken = await startServer({
      products: ['default'],
      limiter: { take: () => Promise.reject(failure()) } as unknown as RateLimiter,
    });
    const response = await broken.fetch('/api/auth/sign-in/email', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': 'sign-in' },
      body: '{}',
    });
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ code: 'INTERNAL_SERVER_ERROR', requestId: 'sign-in' });
    const lines = await linesOf('sign-in', broken);
    expect(lines.map(({ level }) => level)).toEqual([50, 30]);
  });

  test('and does not affect the next request on the connection', async () => {
    expect((await server.anonymous.send('{ fine }')).body).toEqual({ data: { fine: 'fine' } });
  });
});
