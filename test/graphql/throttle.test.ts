import { afterEach, describe, expect, test, vi } from 'vitest';
import { aPerson, createApiKey } from '../factories.js';
import { type Client, startServer } from '../harness.js';

const rename = 'mutation ($id: ID!) { updateWorkspace(input: { workspaceId: $id, name: "again" }) { __typename } }';
const make = 'mutation { createWorkspace(input: { name: "one more" }) { __typename } }';

/** A document that renames a workspace `count` times. */
const renames = (id: string, count: number) =>
  `mutation { ${Array.from({ length: count }, (_, index) => `a${index}: updateWorkspace(input: { workspaceId: "${id}", name: "again" }) { __typename }`).join(' ')} }`;

afterEach(() => {
  vi.useRealTimers();
});

async function aThrottledPerson() {
  const server = await startServer({ mutationsPerMinute: 60 });
  return { server, person: await aPerson(server) };
}

const refused = (name: string) => ({
  status: 429,
  data: null,
  errors: [
    expect.objectContaining({
      message: `${name} can be called 60 times a minute. Wait and try again.`,
      extensions: { code: 'RATE_LIMITED', requestId: expect.stringMatching(/^req_/) },
    }),
  ],
});

describe('the throttle', () => {
  test('refuses the 61st management mutation within a minute with a Retry-After header', async () => {
    const { person } = await aThrottledPerson();
    const { client, personalWorkspaceId: id } = person;
    for (let time = 1; time <= 60; time += 1) {
      expect((await client.send(rename, { id })).data).toEqual({
        updateWorkspace: { __typename: 'UpdateWorkspacePayload' },
      });
    }
    const { headers, body: _body, ...answer } = await client.send(rename, { id });
    expect(answer).toEqual(refused('updateWorkspace'));
    expect(headers.get('retry-after')).toMatch(/^([1-9]|[1-5]\d|60)$/);
  });

  test('counts each mutation of a request, not each request', async () => {
    const { person } = await aThrottledPerson();
    const {
      headers: _headers,
      body: _body,
      ...answer
    } = await person.client.send(renames(person.personalWorkspaceId, 61));
    expect(answer).toEqual(refused('updateWorkspace'));
  });

  test('counts each principal and each mutation separately', async () => {
    const { server, person } = await aThrottledPerson();
    const { client, personalWorkspaceId: id } = person;
    await client.send(renames(id, 60));
    expect((await client.send(rename, { id })).status).toBe(429);
    expect((await client.send(make)).data).toEqual({ createWorkspace: { __typename: 'CreateWorkspacePayload' } });
    for (const other of [server.backend, (await aPerson(server)).client]) {
      expect((await other.send(rename, { id })).status).toBe(200);
    }
  });

  test('allows the mutation again after a minute', async () => {
    const { person } = await aThrottledPerson();
    const { client, personalWorkspaceId: id } = person;
    await client.send(renames(id, 60));
    expect((await client.send(rename, { id })).status).toBe(429);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
    expect((await client.send(rename, { id })).status).toBe(200);
  });

  test('does not apply to queries', async () => {
    const { person } = await aThrottledPerson();
    for (let time = 0; time < 70; time += 1) {
      expect((await person.client.send('{ viewer { kind } }')).status).toBe(200);
    }
  });

  test.each(['verifyApiKey', 'captureCharge', 'releaseCharge', 'refundCharge'])(
    'does not apply to %s, which a backend calls for each of its own requests',
    async (name) => {
      const { server } = await aThrottledPerson();
      const input = name === 'verifyApiKey' ? '{ credential: { bearer: "" } }' : '{ chargeId: "nonsense" }';
      const fields = Array.from({ length: 70 }, (_, index) => `a${index}: ${name}(input: ${input}) { __typename }`);
      const { status, errors } = await server.backend.send(`mutation { ${fields.join(' ')} }`);
      expect({ status, errors }).toEqual({ status: 200, errors: [] });
    },
  );

  test('counts a key as a separate principal', async () => {
    const { server, person } = await aThrottledPerson();
    const { apiKey, secret } = await createApiKey(person.client, { name: 'ci', product: 'makistry' });
    const key: Client = server.anonymous.with({ authorization: `Bearer ${secret}` });
    const rotate = `rotateSigningSecret(input: { apiKeyId: "${apiKey.id}" }) { __typename }`;
    const rotations = (count: number) =>
      `mutation { ${Array.from({ length: count }, (_, i) => `a${i}: ${rotate}`).join(' ')} }`;
    expect((await key.send(rotations(60))).errors).toEqual([]);
    expect((await key.send(`mutation { ${rotate} }`)).status).toBe(429);
    expect((await person.client.send(`mutation { ${rotate} }`)).status).toBe(200);
  });
});
