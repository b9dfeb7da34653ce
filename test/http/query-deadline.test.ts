import { type ClientRequest, request } from 'node:http';
import { beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { aPerson } from '../factories.js';
import { readStatements } from '../graphql/read-statements.js';
import { startServer, type TestServer } from '../harness.js';

const queryMsMax = 400;
const query = '{ workspaces(first: 5) { nodes { id members { nodes { id } } } } }';
const isEmbedded = inject('databaseTemplate').kind === 'embedded';
let server: TestServer;

beforeAll(async () => {
  server = await startServer({ database: 'own', queryMsMax });
  await aPerson(server);
});

/**
 * Makes statements that read workspaces wait: on PostgreSQL by a lock of the table, on the embedded database
 * by using its only connection.
 */
async function holdWorkspaces(): Promise<{ release(): Promise<void> }> {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  // The token is read before the database is held, and is cached for a second.
  expect((await server.backend.send('{ __typename }')).status).toBe(200);
  let ended: Promise<void> = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    ended = server.database.exclusively(async (tx) => {
      await tx.executeScript('LOCK TABLE "Workspace" IN ACCESS EXCLUSIVE MODE');
      resolve();
      await held;
    });
    ended.catch(reject);
  });
  const hold = {
    async release() {
      release();
      await ended;
    },
  };
  onTestFinished(hold.release);
  return hold;
}

/** Sends an operation over a connection that the test can close. */
function sendAlone(operation: string): ClientRequest {
  const sending = request(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${server.serviceToken}` },
  });
  sending.on('error', () => undefined);
  sending.end(JSON.stringify({ query: operation }));
  return sending;
}

/** Statements that wait for the lock of a table, on PostgreSQL. */
async function countWaiting(): Promise<number> {
  const [row] = await server.services.db.$queryRaw<{ count: number }[]>`
    SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  return row?.count ?? 0;
}

async function waitForMembersToBeRead(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 300));
}

test('a query that takes too long is stopped: 504, an error that says what to do, and no further statement', async () => {
  const hold = await holdWorkspaces();
  const statements = await readStatements(async () => {
    const { status, data, errors } = await server.backend.send(query);
    expect({ status, data, errors }).toEqual({
      status: 504,
      data: null,
      errors: [
        {
          message:
            'The query was stopped after 0.4 seconds. Request smaller pages, fewer fields or a shorter time range, or send several queries.',
          extensions: { code: 'QUERY_TIMEOUT', requestId: expect.stringMatching(/^req_/) },
        },
      ],
    });
    await hold.release();
    await waitForMembersToBeRead();
  });
  expect(statements.filter((text) => text.includes('"Workspace"'))).toHaveLength(1);
  expect(statements.filter((text) => text.includes('"Member"'))).toEqual([]);
});

test('the same query succeeds afterwards', async () => {
  const { status, errors } = await server.backend.send(query);
  expect({ status, errors }).toEqual({ status: 200, errors: [] });
});

test('a query whose client goes away is stopped, and nothing is sent or logged as a failure', async () => {
  const hold = await holdWorkspaces();
  const logged = server.logged().length;
  const statements = await readStatements(async () => {
    const sending = sendAlone(query);
    await new Promise((resolve) => setTimeout(resolve, 100));
    sending.destroy();
    await vi.waitUntil(() => server.logged().slice(logged).includes('"status":499'));
    await hold.release();
    await waitForMembersToBeRead();
  });
  expect(statements.filter((text) => text.includes('"Member"'))).toEqual([]);
  expect(server.logged().slice(logged)).not.toContain('failed unexpectedly');
});

test('a mutation that began is finished, although its client goes away', async () => {
  const { personalWorkspaceId: workspaceId } = await aPerson(server);
  const hold = await holdWorkspaces();
  const sending = sendAlone(
    `mutation { createApiKey(input: { workspaceId: "${workspaceId}", name: "unattended" }) { __typename } }`,
  );
  await new Promise((resolve) => setTimeout(resolve, 100));
  sending.destroy();
  await hold.release();
  const countKeys = async () => {
    const { data } = await server.backend.send<{ apiKeys: { nodes: { name: string }[] } }>(
      'query ($id: ID!) { apiKeys(workspaceId: $id) { nodes { name } } }',
      { id: workspaceId },
    );
    return data?.apiKeys.nodes.filter(({ name }) => name === 'unattended').length;
  };
  await vi.waitUntil(async () => (await countKeys()) === 1, { timeout: 5_000 });
});

describe.skipIf(isEmbedded)('on PostgreSQL', () => {
  test('the running statement of a query that takes too long ends within a second', async () => {
    await holdWorkspaces();
    const answer = server.backend.send(query);
    await vi.waitUntil(async () => (await countWaiting()) === 1, { timeout: queryMsMax });
    expect((await answer).status).toBe(504);
    await vi.waitUntil(async () => (await countWaiting()) === 0, { timeout: 1_000 });
  });

  test('the running statement of a query whose client goes away ends within a second', async () => {
    await holdWorkspaces();
    const sending = sendAlone(query);
    await vi.waitUntil(async () => (await countWaiting()) === 1, { timeout: queryMsMax });
    sending.destroy();
    await vi.waitUntil(async () => (await countWaiting()) === 0, { timeout: 1_000 });
  });
});
