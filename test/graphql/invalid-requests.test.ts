import { beforeAll, describe, expect, test } from 'vitest';
import { readDatabaseState } from './database-state.js';
import { aPopulatedWorkspace, type PopulatedWorkspace } from './populated-workspace.js';

const json = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };
const mutation = 'mutation ($name: String!) { createWorkspace(input: { name: $name }) { __typename } }';
const ofName = (name: unknown) => JSON.stringify({ query: mutation, variables: { name } });

/** `open` and `close`, each repeated `depth` times, around `middle`. */
const nested = (open: string, middle: string, close: string, depth: number) =>
  `${open.repeat(depth)}${middle}${close.repeat(depth)}`;

interface BadRequest {
  readonly body: string;
  readonly headers?: Record<string, string>;
  readonly status: number;
  readonly code: string;
  readonly field?: string;
}

/** Requests of an authorized principal that are malformed. */
const badRequests: Readonly<Record<string, BadRequest>> = {
  'broken JSON': { body: '{"query":', status: 400, code: 'BAD_USER_INPUT', field: 'body' },
  'an empty body': { body: '', status: 400, code: 'BAD_USER_INPUT', field: 'body' },
  'a body of one megabyte and more': {
    body: ofName('x'.repeat(1_000_000)),
    status: 413,
    code: 'BAD_USER_INPUT',
    field: 'body',
  },
  'a body of another type': {
    body: ofName('Acme'),
    headers: { ...json, 'content-type': 'text/plain' },
    status: 415,
    code: 'BAD_USER_INPUT',
    field: 'content-type',
  },
  'a form': {
    body: 'query=mutation',
    headers: { ...json, 'content-type': 'application/x-www-form-urlencoded' },
    status: 415,
    code: 'BAD_USER_INPUT',
    field: 'content-type',
  },
  'variables that are a list': {
    body: JSON.stringify({ query: mutation, variables: ['Acme'] }),
    status: 400,
    code: 'BAD_USER_INPUT',
    field: 'variables',
  },
  'a variable that is missing': {
    body: JSON.stringify({ query: mutation }),
    status: 400,
    code: 'BAD_USER_INPUT',
    field: 'name',
  },
  'a variable of another type': { body: ofName({ text: 'Acme' }), status: 400, code: 'BAD_USER_INPUT', field: 'name' },
  'a variable in 100,000 lists': {
    body: `{"query":${JSON.stringify(mutation)},"variables":{"name":${nested('[', '1', ']', 100_000)}}}`,
    status: 400,
    code: 'BAD_USER_INPUT',
    field: 'body',
  },
  'a variable in 490,000 lists': {
    body: `{"query":${JSON.stringify(mutation)},"variables":{"name":${nested('[', '1', ']', 490_000)}}}`,
    status: 400,
    code: 'BAD_USER_INPUT',
    field: 'body',
  },
  'a variable in lists that never end': {
    body: `{"query":${JSON.stringify(mutation)},"variables":{"name":${'['.repeat(490_000)}`,
    status: 400,
    code: 'BAD_USER_INPUT',
    field: 'body',
  },
  'a list of 300,000 values': {
    body: ofName(Array(300_000).fill('')),
    status: 400,
    code: 'BAD_USER_INPUT',
    field: 'body',
  },
  'an object of 100,000 fields': {
    body: ofName(Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [index, 0]))),
    status: 400,
    code: 'BAD_USER_INPUT',
    field: 'body',
  },
  'a document that is none': {
    body: JSON.stringify({ query: 'mutation {' }),
    status: 400,
    code: 'GRAPHQL_PARSE_FAILED',
  },
  'no document': { body: JSON.stringify({ variables: {} }), status: 400, code: 'BAD_USER_INPUT', field: 'query' },
  'a field that does not exist': {
    body: JSON.stringify({ query: 'mutation { dropEverything { __typename } }' }),
    status: 400,
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  'a document in 2,000 braces': {
    body: JSON.stringify({ query: nested('{ viewer ', '{ kind }', ' }', 2_000) }),
    status: 400,
    code: 'GRAPHQL_PARSE_FAILED',
  },
  'a literal in 4,000 lists': {
    body: JSON.stringify({
      query: `mutation { createWorkspace(input: { name: ${nested('[', '1', ']', 4_000)} }) { __typename } }`,
    }),
    status: 400,
    code: 'GRAPHQL_PARSE_FAILED',
  },
  'lists that never end': {
    body: JSON.stringify({ query: `mutation { createWorkspace(input: { name: ${'['.repeat(9_000)}` }),
    status: 400,
    code: 'GRAPHQL_PARSE_FAILED',
  },
  'a document of too many tokens': {
    body: JSON.stringify({ query: `{ ${'viewer { kind } '.repeat(3_000)}}` }),
    status: 400,
    code: 'GRAPHQL_PARSE_FAILED',
  },
  'two operations and no name': {
    body: JSON.stringify({ query: 'query A { viewer { kind } } query B { viewer { kind } }' }),
    status: 400,
    code: 'BAD_USER_INPUT',
  },
  'a circle of fragments': {
    body: JSON.stringify({ query: '{ viewer { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { ...A }' }),
    status: 400,
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
};

async function post({ people, server }: PopulatedWorkspace, { body, headers = json }: BadRequest): Promise<Response> {
  const authorization = `Bearer ${people.owner.token}`;
  return server.fetch('/graphql', { method: 'POST', headers: { ...headers, authorization }, body });
}

let world: PopulatedWorkspace;
beforeAll(async () => {
  world = await aPopulatedWorkspace();
});

describe('a malformed request is refused with a message and an error code, and writes nothing', () => {
  test.each(Object.entries(badRequests))('%s', async (_what, request) => {
    const before = await readDatabaseState();
    const response = await post(world, request);
    const text = await response.text();
    const { status, code, field } = request;
    expect(response.status).toBe(status);
    const { errors, ...rest } = JSON.parse(text) as { errors: { message: string; extensions: unknown }[] };
    expect(rest).toEqual({});
    expect(errors[0]).toMatchObject({
      message: expect.any(String),
      extensions: { code, requestId: expect.stringMatching(/^req_/), ...(field !== undefined && { field }) },
    });
    expect(text).not.toMatch(/prisma|postgres|\bsql|node_modules|\bat \S+ \(|RangeError|stack/i);
    expect(text.length).toBeLessThan(20_000);
    expect(await readDatabaseState()).toEqual(before);
  });
});

test('brackets, commas, quotes and backslashes in a long text are no values of the body', async () => {
  const name = `${'[,{'.repeat(30_000)}"\\"\\\\${'],'.repeat(30_000)}`;
  const response = await post(world, { body: ofName(name), status: 200, code: '' });
  expect({ status: response.status, body: await response.json() }).toEqual({
    status: 200,
    body: { data: { createWorkspace: { __typename: 'ValidationError' } } },
  });
});
