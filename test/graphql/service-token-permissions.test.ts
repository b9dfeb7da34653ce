import { beforeAll, describe, expect, test } from 'vitest';
import { createServiceToken } from '../../src/domain/identity/service-tokens.js';
import { ValidationError } from '../../src/errors.js';
import { aServer, type Client, type TestServer } from '../harness.js';
import { anEndpoint, aPopulatedWorkspace, type PopulatedWorkspace } from './populated-workspace.js';

let server: TestServer;
let world: PopulatedWorkspace;

beforeAll(async () => {
  server = await aServer();
  world = await aPopulatedWorkspace();
});

async function aServiceWith(...permissions: string[]): Promise<Client> {
  const { token } = await createServiceToken(server.services.db, 'limited', { permissions });
  return server.anonymous.with({ authorization: `Bearer ${token}` });
}

const grant = `mutation ($workspaceId: ID!) {
  grantCredits(input: { workspaceId: $workspaceId, credits: 5 }) { __typename ... on Error { code } }
}`;
const verify = `mutation ($secret: String!) { verifyApiKey(input: { credential: { bearer: $secret } }) { code } }`;

describe('a service token with a list of permissions', () => {
  test('may do what the list contains, and nothing else', async () => {
    const billing = await aServiceWith('credits:grant');
    const granted = await billing.send(grant, { workspaceId: world.organizationId });
    expect(granted.data).toEqual({ grantCredits: { __typename: 'GrantCreditsPayload' } });
    const refused = await billing.send(verify, { secret: world.key.secret });
    expect(refused.data).toBeNull();
    expect(refused.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);

    const verifier = await aServiceWith('apiKey:verify');
    expect((await verifier.send(verify, { secret: world.key.secret })).data).toEqual({
      verifyApiKey: { code: 'VALID' },
    });
    const alsoRefused = await verifier.send(grant, { workspaceId: world.organizationId });
    expect(alsoRefused.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
  });

  test('reads nothing of kinds that the list does not contain', async () => {
    const endpointId = await anEndpoint(world);
    const ids = [world.organizationId, world.key.id, world.memberId, endpointId, world.people.owner.id];
    const read = async (client: Client) =>
      (
        await client.send<{ nodes: ({ id: string } | null)[] }>('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', {
          ids,
        })
      ).data?.nodes;
    const found = ids.map((id) => ({ id }));
    expect(await read(server.backend)).toEqual(found);
    expect(await read(await aServiceWith('credits:grant'))).toEqual(ids.map(() => null));
    expect(await read(await aServiceWith('apiKey:read', 'workspace:read'))).toEqual([
      ...found.slice(0, 2),
      null,
      null,
      null,
    ]);
  });

  test('is still a service', async () => {
    const { data } = await (await aServiceWith('event:publish')).send('{ viewer { kind } }');
    expect(data).toEqual({ viewer: { kind: 'SERVICE' } });
  });
});

test.each([['nonsense'], ['workspace:create'], ['credits:grant', 'constructor']])(
  'a service token cannot be created with a permission that no service holds: %j',
  async (...permissions) => {
    const count = () => server.services.db.serviceToken.count();
    const before = await count();
    await expect(createServiceToken(server.services.db, 'limited', { permissions })).rejects.toThrow(ValidationError);
    expect(await count()).toBe(before);
  },
);
