import {
  anOrganization,
  aPerson,
  createApiKey,
  grantCredits,
  join,
  type Person,
  rotateApiKey,
  verify,
} from '../factories.js';
import { aServer, type Client, type TestServer } from '../harness.js';

/** An organization, with a principal of each kind. */
export interface PopulatedWorkspace {
  readonly server: TestServer;
  readonly organizationId: string;
  readonly people: People;
  /** A key of the organization. */
  readonly key: { readonly id: string; readonly secret: string };
  /** A key of the stranger’s personal workspace. */
  readonly foreignKey: { readonly id: string; readonly secret: string };
  /** The membership with the role MEMBER. */
  readonly memberId: string;
  /** A client for each kind of principal. */
  readonly clients: Readonly<Record<PrincipalName, Client>>;
}

export interface People {
  readonly owner: Person;
  readonly admin: Person;
  readonly member: Person;
  readonly stranger: Person;
}

/** Every kind of principal, with the column names of the tables. */
export const principalNames = [
  'anonymous',
  'key',
  'foreignKey',
  'owner',
  'admin',
  'member',
  'stranger',
  'service',
] as const;
export type PrincipalName = (typeof principalNames)[number];

/** The people of one or more populated workspaces. */
export async function somePeople(server: TestServer): Promise<People> {
  const [owner, admin, member, stranger] = await Promise.all([
    aPerson(server, 'Olivia Owner'),
    aPerson(server, 'Adam Admin'),
    aPerson(server, 'Mia Member'),
    aPerson(server, 'Sam Stranger'),
  ]);
  return { owner, admin, member, stranger };
}

/** A new populated workspace, with new people by default. */
export async function aPopulatedWorkspace(given?: People): Promise<PopulatedWorkspace> {
  const server = await aServer();
  const people = given ?? (await somePeople(server));
  const { owner, admin, member, stranger } = people;
  const organizationId = await anOrganization(owner);
  await join(owner, organizationId, admin, 'ADMIN');
  const memberId = await join(owner, organizationId, member, 'MEMBER');
  const { apiKey, secret } = await createApiKey(owner.client, { workspaceId: organizationId, name: 'ours' });
  const foreignWorkspaceId = await anOrganization(stranger, 'Elsewhere');
  const foreign = await createApiKey(stranger.client, { workspaceId: foreignWorkspaceId, name: 'theirs' });
  return {
    server,
    organizationId,
    people,
    key: { id: apiKey.id, secret },
    foreignKey: { id: foreign.apiKey.id, secret: foreign.secret },
    memberId,
    clients: {
      anonymous: server.anonymous,
      key: server.anonymous.with({ authorization: `Bearer ${secret}` }),
      foreignKey: server.anonymous.with({ authorization: `Bearer ${foreign.secret}` }),
      owner: owner.client,
      admin: admin.client,
      member: member.client,
      stranger: stranger.client,
      service: server.backend,
    },
  };
}

/** Creates another key of the organization. @returns its id. */
export async function anotherKey({ people, organizationId }: PopulatedWorkspace): Promise<string> {
  return (await createApiKey(people.owner.client, { workspaceId: organizationId, name: 'another' })).apiKey.id;
}

/** Creates a key and rotates it with an overlap of an hour. @returns the id of its old secret. */
export async function anOldSecret(world: PopulatedWorkspace): Promise<string> {
  const { apiKey } = await rotateApiKey(world.people.owner.client, await anotherKey(world), 3_600);
  const [, old] = apiKey.secrets;
  if (old === undefined) throw new Error('A rotation leaves the old secret.');
  return old.id;
}

/** Creates a webhook endpoint of a key of the organization; no server listens at its URL. @returns its id. */
export async function anEndpoint({ people, key }: PopulatedWorkspace): Promise<string> {
  const { data } = await people.owner.client.send<{ made: { endpoint: { id: string } } }>(
    'mutation ($input: CreateWebhookEndpointInput!) { made: createWebhookEndpoint(input: $input) { ... on CreateWebhookEndpointPayload { endpoint { id } } } }',
    { input: { apiKeyId: key.id, url: 'https://hooks.example.com/' } },
  );
  return data?.made.endpoint.id ?? '';
}

/** Creates a pending delivery to a new endpoint. */
export async function aDelivery(
  world: PopulatedWorkspace,
): Promise<{ id: string; eventId: string; endpointId: string }> {
  const endpointId = await anEndpoint(world);
  const { data } = await world.people.owner.client.send<{ made: { delivery: { id: string; event: { id: string } } } }>(
    'mutation ($id: ID!) { made: sendTestWebhook(input: { endpointId: $id }) { ... on SendTestWebhookPayload { delivery { id event { id } } } } }',
    { id: endpointId },
  );
  return { id: data?.made.delivery.id ?? '', eventId: data?.made.delivery.event.id ?? '', endpointId };
}

/** A charge of two credits, posted or held. @returns its id. */
export async function aCharge(
  { server, key, organizationId }: PopulatedWorkspace,
  { hold = false } = {},
): Promise<string> {
  await grantCredits(server, organizationId, 2);
  const { charge, code } = await verify(server, key.secret, { charge: { action: 'request', quantity: 2, hold } });
  if (charge === null || charge === undefined) throw new Error(`The charge was refused: ${code}`);
  return charge.id;
}
