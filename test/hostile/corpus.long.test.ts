import { beforeAll, describe, expect, test } from 'vitest';
import { createApiKey } from '../factories.js';
import {
  aPopulatedWorkspace,
  type PopulatedWorkspace,
  type PrincipalName,
  principalNames,
} from '../graphql/populated-workspace.js';
import { readStatements } from '../graphql/read-statements.js';
import { type HostileRequest, hostileRequests } from './requests.js';

let world: PopulatedWorkspace;
/** Headers with the credential of each principal. Keys are of a product without rate limits. */
let headersOf: Readonly<Record<PrincipalName, Readonly<Record<string, string>>>>;
beforeAll(async () => {
  world = await aPopulatedWorkspace();
  const { clients, people, organizationId: workspaceId } = world;
  const key = await createApiKey(people.owner.client, { workspaceId, name: 'hostile', product: 'craftkit' });
  const foreignKey = await createApiKey(people.stranger.client, { name: 'hostile', product: 'craftkit' });
  const withKey = ({ secret }: { secret: string }) => ({ authorization: `Bearer ${secret}` });
  headersOf = {
    anonymous: clients.anonymous.headers,
    key: withKey(key),
    foreignKey: withKey(foreignKey),
    owner: clients.owner.headers,
    admin: clients.admin.headers,
    member: clients.member.headers,
    stranger: clients.stranger.headers,
    service: clients.service.headers,
  };
});

/** The largest response is what introspection may cost: twenty times the descriptions of the schema. */
const responseBytesMax = 2_000_000;
/** SELECT statements of one request: two for each alias, whose cost limits their number. */
const statementsMax = 250;
/** A throttle bounds how many mutations a request can contain. It is off here. */
const statementsOfMutationsMax = 400;
const statuses = [200, 400, 401, 403, 404, 405, 406, 413, 415, 422, 429];

async function send({ method, search, contentType, body }: HostileRequest, headers: Readonly<Record<string, string>>) {
  const response = await fetch(`${world.server.url}/graphql${search}`, {
    method,
    headers: { ...headers, accept: 'application/json', ...(method === 'POST' ? { 'content-type': contentType } : {}) },
    body: method === 'POST' ? new Uint8Array(body) : null,
  });
  const text = await response.text();
  return { status: response.status, bytes: Buffer.byteLength(text), text };
}

test('the corpus has more than 300 different requests', () => {
  expect(new Set(hostileRequests.map(({ kind, name }) => `${kind}: ${name}`)).size).toBe(hostileRequests.length);
  expect(hostileRequests.length).toBeGreaterThan(300);
});

describe('every hostile request has a clear error or a bounded result', { timeout: 240_000 }, () => {
  test.each(principalNames)('when it is sent by %s', async (principal) => {
    const headers = headersOf[principal];
    const mistakes: string[] = [];
    for (const request of hostileRequests) {
      let answer = { status: 0, bytes: 0, text: '' };
      const statements = await readStatements(async () => {
        answer = await send(request, headers);
      });
      const { status, bytes, text } = answer;
      const limit = request.kind === 'mutations' ? statementsOfMutationsMax : statementsMax;
      const isBounded = statuses.includes(status) && bytes < responseBytesMax && statements.length <= limit;
      const isMasked = /INTERNAL_SERVER_ERROR/.test(text);
      if (!isBounded || isMasked) {
        mistakes.push(`${request.kind}: ${request.name}: ${status}, ${bytes} bytes, ${statements.length} statements`);
      }
    }
    expect(mistakes).toEqual([]);
  });
});
