import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraphQLInt, GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../harness.js';

const state = { returned: 0, subscribed: 0 };

/** A source that closes immediately, as those of message brokers do. */
function openForever({ failsToClose = false } = {}): AsyncIterableIterator<unknown> {
  let isFirst = true;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next() {
      if (!isFirst) return new Promise(() => undefined);
      isFirst = false;
      return Promise.resolve({ done: false, value: { waits: 'first' } });
    },
    return() {
      state.returned += 1;
      return failsToClose
        ? Promise.reject(new Error('cannot close'))
        : Promise.resolve({ done: true, value: undefined });
    },
  };
}

async function* count(): AsyncGenerator<{ counts: number }> {
  state.subscribed += 1;
  for (const counts of [1, 2, 3]) yield { counts };
}

async function* breakOff(): AsyncGenerator<{ breaks: number }> {
  yield { breaks: 1 };
  throw new TypeError('the source is gone');
}

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: 'Query', fields: { fine: { type: GraphQLString, resolve: () => 'fine' } } }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      counts: { type: GraphQLInt, subscribe: count },
      breaks: { type: GraphQLInt, subscribe: breakOff },
      waits: { type: GraphQLString, subscribe: () => openForever() },
      clings: { type: GraphQLString, subscribe: () => openForever({ failsToClose: true }) },
    },
  }),
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ products: ['default'], schema });
});
beforeEach(() => {
  state.returned = 0;
  state.subscribed = 0;
});

function post(query: string, accept: string, requestId = 'stream'): Promise<Response> {
  return server.fetch('/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, 'x-request-id': requestId },
    body: JSON.stringify({ query }),
  });
}

/** The events of a stream, without its comments. */
async function eventsOf(response: Response): Promise<{ event: string; data: unknown }[]> {
  return (await response.text())
    .split('\n\n')
    .filter((event) => event.startsWith('event: '))
    .map((event) => {
      const [, name = '', data = ''] = /^event: (\w+)\ndata: ?(.*)$/.exec(event) ?? [];
      return { event: name, data: data === '' ? null : JSON.parse(data) };
    });
}

const complete = { event: 'complete', data: null };

describe('a subscription', () => {
  test.each(['text/event-stream', '*/*', 'application/json, text/event-stream;q=0.5'])(
    'is sent as server-sent events to a client that accepts %s',
    async (accept) => {
      const response = await post('subscription { counts }', accept);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(await eventsOf(response)).toEqual([
        ...[1, 2, 3].map((counts) => ({ event: 'next', data: { data: { counts } } })),
        complete,
      ]);
    },
  );

  test('is not started for a client that accepts no event stream', async () => {
    const response = await post('subscription { counts }', 'application/graphql-response+json');
    expect(response.status).toBe(406);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'BAD_USER_INPUT', field: 'accept' } }],
    });
    expect(state.subscribed).toBe(0);
  });

  test('ends with a masked error and is logged when it fails after its first event', async () => {
    const events = await eventsOf(await post('subscription { breaks }', 'text/event-stream', 'breaks'));
    expect(events).toEqual([
      { event: 'next', data: { data: { breaks: 1 } } },
      {
        event: 'next',
        data: {
          errors: [{ message: expect.any(String), extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: 'breaks' } }],
        },
      },
      complete,
    ]);
    expect(JSON.stringify(events)).not.toContain('source');
    const failure =
      server
        .logged()
        .split('\n')
        .find((line) => line.includes('the source is gone')) ?? '{}';
    expect(JSON.parse(failure)).toMatchObject({ level: 50, requestId: 'breaks' });
  });

  test.each([
    ['waits', 30],
    ['clings', 50],
  ])('is closed and logged when its client disconnects (%s)', async (field, level) => {
    const sending = httpRequest(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', 'x-request-id': field },
    });
    sending.end(JSON.stringify({ query: `subscription { ${field} }` }));
    const [response] = (await once(sending, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    await once(response, 'data');
    sending.destroy();
    await expect.poll(() => state.returned).toBe(1);
    await sleep(20);
    const lines = server
      .logged()
      .split('\n')
      .filter((line) => line.includes(`"requestId":"${field}"`))
      .map((line) => JSON.parse(line) as { level: number; msg: string });
    expect(Math.max(...lines.map((line) => line.level))).toBe(level);
    expect(lines.at(-1)).toMatchObject({ msg: 'request', status: 200 });
  });
});

describe('a single result', () => {
  test('is sent as an event stream to a client that accepts only event streams', async () => {
    const response = await post('{ fine }', 'text/event-stream');
    expect(response.status).toBe(200);
    expect(await eventsOf(response)).toEqual([{ event: 'next', data: { data: { fine: 'fine' } } }, complete]);
    expect((await post('{ nonsense }', 'text/event-stream')).headers.get('content-type')).toBe('text/event-stream');
  });

  test.each([
    ['application/json', 'application/json'],
    ['application/graphql-response+json, application/json;q=0.9', 'application/graphql-response+json'],
    ['application/json;q=0.5, application/graphql-response+json', 'application/graphql-response+json'],
    ['text/event-stream, application/json', 'application/json'],
    ['APPLICATION/JSON ; charset=utf-8', 'application/json'],
    ['text/html;q=0.9, */*;q=0.1', 'application/json'],
    ['application/json;q=0, application/*', 'application/graphql-response+json'],
    ['application/graphql-response+json; charset="utf-16", application/json', 'application/json'],
  ])('for a client that accepts %s has the type %s', async (accept, type) => {
    const response = await post('{ fine }', accept);
    expect(response.headers.get('content-type')).toBe(`${type}; charset=utf-8`);
    expect(await response.json()).toEqual({ data: { fine: 'fine' } });
  });

  test.each(['text/plain', 'application/xml, image/*', 'application/json;q=0'])(
    'is refused with 406 for a client that accepts only %s',
    async (accept) => {
      const response = await post('{ fine }', accept);
      expect([response.status, response.headers.get('content-type')]).toEqual([406, 'application/json; charset=utf-8']);
      expect(await response.json()).toMatchObject({ errors: [{ extensions: { field: 'accept' } }] });
    },
  );
});

test.each(['PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE'])(
  'the method %s is refused with 405',
  async (method) => {
    const response = await server.fetch('/graphql', { method });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, POST']);
  },
);
