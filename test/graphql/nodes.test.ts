import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../src/db/ids.js';
import { aPerson, charge, createApiKey, grantCredits } from '../factories.js';
import { aServer, type Client } from '../harness.js';
import {
  aCharge,
  aDelivery,
  aPopulatedWorkspace,
  type PopulatedWorkspace,
  type PrincipalName,
  principalNames,
} from './populated-workspace.js';
import { readStatements } from './read-statements.js';
import { schema } from './sample-operations.js';

/** Which principal can read which node of an organization. ·: null, same as for an unknown id. */
const table = `
                anonymous  key  foreignKey  owner  admin  member  stranger  service
  Workspace     ·          ✓    ·           ✓      ✓      ✓       ·         ✓
  ApiKey        ·          ✓    ·           ✓      ✓      ✓       ·         ✓
  Sibling       ·          ·    ·           ✓      ✓      ✓       ·         ✓
  AuditEvent    ·          ·    ·           ✓      ✓      ·       ·         ✓
  KeySecret     ·          ✓    ·           ✓      ✓      ✓       ·         ✓
  Member        ·          ·    ·           ✓      ✓      ✓       ·         ✓
  Invitation    ·          ·    ·           ✓      ✓      ✓       ·         ✓
  User          ·          ·    ·           ✓      ✓      ✓       ·         ✓
  Charge        ·          ✓    ·           ✓      ✓      ✓       ·         ✓
  LedgerEntry   ·          ✓    ·           ✓      ✓      ✓       ·         ✓
  WebhookEndpoint  ·      ·    ·           ✓      ✓      ·       ·         ✓
  WebhookEvent  ·         ·    ·           ✓      ✓      ·       ·         ✓
  WebhookAttempt  ·       ·    ·           ✓      ✓      ·       ·         ✓
  WebhookDelivery  ·      ·    ·           ✓      ✓      ·       ·         ✓
`;

const rows = table
  .split('\n')
  .slice(2)
  .map((line) => line.trim().split(/\s+/))
  .filter((row) => row.length > 1);

let world: PopulatedWorkspace;
/** The id of a node of each type. `Sibling` is a key of the organization that does not send the query. */
let ids: Readonly<Record<string, string>>;

const one = 'query ($id: ID!) { node(id: $id) { __typename id } }';
const many = 'query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }';

beforeAll(async () => {
  world = await aPopulatedWorkspace();
  const { organizationId, people, key, memberId } = world;
  const charge = await aCharge(world);
  const sibling = await people.owner.client.send<{ createApiKey: { apiKey: { id: string } } }>(
    'mutation ($id: ID!) { createApiKey(input: { workspaceId: $id, name: "sibling" }) { ... on CreateApiKeyPayload { apiKey { id } } } }',
    { id: organizationId },
  );
  const invited = await people.owner.client.send<{ inviteMember: { invitation: { id: string } } }>(
    'mutation ($id: ID!) { inviteMember(input: { workspaceId: $id, email: "a@example.com", role: MEMBER }) { ... on InviteMemberPayload { invitation { id } } } }',
    { id: organizationId },
  );
  const ledger = await people.owner.client.send<{ credits: { entries: { nodes: { id: string }[] } } }>(
    'query ($id: ID!) { credits(workspaceId: $id) { entries(first: 1) { nodes { id } } } }',
    { id: organizationId },
  );
  const secrets = await people.owner.client.send<{ apiKey: { secrets: { id: string }[] } }>(
    'query ($id: ID!) { apiKey(id: $id) { secrets { id } } }',
    { id: key.id },
  );
  const delivery = await aDelivery(world);
  const attemptId = newId('webhookAttempt');
  await world.server.services.db.webhookAttempt.create({
    data: {
      id: attemptId,
      workspaceId: organizationId,
      deliveryId: delivery.id,
      startedAt: new Date(),
      durationMs: 1,
      status: 500,
    },
  });
  const events = await people.owner.client.send<{ auditEvents: { nodes: { id: string }[] } }>(
    'query ($id: ID!) { auditEvents(workspaceId: $id, first: 1) { nodes { id } } }',
    { id: organizationId },
  );
  ids = {
    WebhookEndpoint: delivery.endpointId,
    WebhookDelivery: delivery.id,
    WebhookEvent: delivery.eventId,
    WebhookAttempt: attemptId,
    Workspace: organizationId,
    ApiKey: key.id,
    AuditEvent: events.data?.auditEvents.nodes[0]?.id ?? '',
    KeySecret: secrets.data?.apiKey.secrets[0]?.id ?? '',
    Sibling: sibling.data?.createApiKey.apiKey.id ?? '',
    Member: memberId,
    Invitation: invited.data?.inviteMember.invitation.id ?? '',
    User: people.member.id,
    Charge: charge,
    LedgerEntry: ledger.data?.credits.entries.nodes[0]?.id ?? '',
  };
});

test('the table has one row per type of node and one column per kind of principal', () => {
  const node = schema.getType('Node');
  const types = node && 'getFields' in node ? schema.getPossibleTypes(node as never).map(({ name }) => name) : [];
  expect(rows.map(([name]) => name).sort()).toEqual([...types, 'Sibling'].sort());
  expect(table.trim().split('\n')[0]?.trim().split(/\s+/)).toEqual(principalNames);
});

test.each(rows)('%s is readable by id to the principals in the table', async (name = '', ...marks) => {
  const id = ids[name] ?? '';
  const shown = { __typename: name === 'Sibling' ? 'ApiKey' : name, id };
  for (const [index, principal] of principalNames.entries()) {
    const expected = marks[index] === '✓' ? shown : null;
    const client = world.clients[principal];
    expect.soft((await client.send(one, { id })).data, `${name} for ${principal}`).toEqual({ node: expected });
    const others = [newId('apiKey'), id, 'nonsense', id];
    expect
      .soft(await client.send(many, { ids: others }), `${name} for ${principal}`)
      .toMatchObject({ status: 200, data: { nodes: [null, expected, null, expected] }, errors: [] });
  }
});

test.each<PrincipalName>(['anonymous', 'stranger', 'owner', 'service'])(
  'malformed and unknown ids return null to %s',
  async (principal) => {
    const nothing = [
      '',
      ' ',
      'nonsense',
      'key_',
      'key_0',
      newId('apiKey').toUpperCase(),
      `${newId('workspace')}0`,
      newId('workspace'),
      newId('auditEvent'),
      newId('keySecret'),
      newId('serviceToken'),
      Buffer.from('Workspace:1').toString('base64'),
      'x'.repeat(10_000),
      "' OR 1=1 --",
      '\0',
      '\ud800',
    ];
    const client = world.clients[principal];
    expect((await client.send(many, { ids: nothing })).data).toEqual({ nodes: nothing.map(() => null) });
    for (const id of nothing) expect((await client.send(one, { id })).data, id.slice(0, 20)).toEqual({ node: null });
  },
);

test('nodes are returned in the order of their ids, at most 100 per request', async () => {
  const { service } = world.clients;
  const order = ['LedgerEntry', 'Workspace', 'Charge', 'User', 'ApiKey', 'Invitation', 'Member'];
  const { data } = await service.send(many, { ids: order.map((name) => ids[name]) });
  expect(data).toEqual({ nodes: order.map((name) => ({ __typename: name, id: ids[name] })) });
  expect((await service.send(many, { ids: [] })).data).toEqual({ nodes: [] });
  const hundred = Array(100).fill(ids.Workspace);
  expect((await service.send(many, { ids: hundred })).data).toEqual({
    nodes: hundred.map((id) => ({ __typename: 'Workspace', id })),
  });
  const { data: none, errors } = await service.send(many, { ids: [...hundred, ids.Workspace] });
  expect({ none, errors }).toMatchObject({
    none: null,
    errors: [
      { message: 'At most 100 ids can be requested at once.', extensions: { code: 'BAD_USER_INPUT', field: 'ids' } },
    ],
  });
});

test('a key whose product hides credits reads no ledger entry and no charge by id', async () => {
  const server = await aServer({ products: [fileURLToPath(new URL('keys-without-credits.json', import.meta.url))] });
  const { client, personalWorkspaceId } = await aPerson(server);
  const { secret } = await createApiKey(client, { name: 'ci' });
  await grantCredits(server, personalWorkspaceId, 5);
  const paid = await charge(server, secret, { action: 'request' });
  const { data } = await client.send<{ credits: { entries: { nodes: { id: string }[] } } }>(
    '{ credits { entries { nodes { id } } } }',
  );
  const hidden = [paid.charge?.id, ...(data?.credits.entries.nodes ?? []).map(({ id }) => id)];
  expect(hidden).toHaveLength(3);
  const key = server.anonymous.with({ authorization: `Bearer ${secret}` });
  expect((await key.send(many, { ids: [...hidden, personalWorkspaceId] })).data).toEqual({
    nodes: [null, null, null, { __typename: 'Workspace', id: personalWorkspaceId }],
  });
});

describe('the cost of node lookups', () => {
  const aliases = (count: number, field: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => `a${index}: ${field(index)}`).join(' ');

  /** The number of statements of a document, without those that authenticate the principal. */
  async function statementsOf(client: Client, query: string, variables: Record<string, unknown> = {}) {
    const send = async (text: string, given: Record<string, unknown>) => {
      const statements = await readStatements(async () => expect((await client.send(text, given)).errors).toEqual([]));
      return statements.length;
    };
    // A first request, because it can read more than later ones with the same credential.
    await send('{ __typename }', {});
    const identifying = await send('{ __typename }', {});
    return (await send(query, variables)) - identifying;
  }

  test('requests for more than 2,272 ids, different or repeated, are refused before any statement', async () => {
    const hundred = Array.from({ length: 100 }, () => newId('apiKey'));
    for (const principal of ['anonymous', 'key', 'owner', 'service'] as const) {
      const client = world.clients[principal];
      for (const count of [23, 245]) {
        const document = `query ($i: [ID!]!) { ${aliases(count, () => 'nodes(ids: $i) { id }')} }`;
        const { data, errors } = await client.send(document, { i: hundred });
        expect({ data, errors }, principal).toMatchObject({
          data: null,
          errors: [{ extensions: { code: 'BAD_USER_INPUT', field: 'query' } }],
        });
      }
    }
    const { service } = world.clients;
    const most = `query ($i: [ID!]!) { ${aliases(22, () => 'nodes(ids: $i) { id }')} }`;
    expect((await service.send(most, { i: hundred })).errors).toEqual([]);
    expect(await statementsOf(service, most, { i: hundred })).toBe(1);
  });

  test('each type is read with one statement per request, however many aliases request its ids', async () => {
    const { service, owner } = world.clients;
    const everything = Object.values(ids);
    const types = new Set(everything.map((id) => id.slice(0, 3))).size;
    expect(types).toBe(13);
    const repeated = `query ($i: [ID!]!) { ${aliases(20, () => 'nodes(ids: $i) { __typename id }')} }`;
    expect(await statementsOf(service, repeated, { i: everything })).toBe(types);
    const alone = `{ ${aliases(50, (index) => `node(id: "${everything[index % everything.length]}") { id }`)} }`;
    expect(await statementsOf(service, alone)).toBe(types);
    // For a person, one more statement reads the workspaces whose audit trail they may read.
    expect(await statementsOf(owner, repeated, { i: everything })).toBe(types + 1);
    const many = aliases(20, () => `nodes(ids: [${Array.from({ length: 50 }, () => `"${newId('charge')}"`)}]) { id }`);
    expect(await statementsOf(service, `{ ${many} }`)).toBe(1);
  });

  test('a table in which the principal can see no row is not read', async () => {
    const { anonymous, key } = world.clients;
    const all = 'query ($i: [ID!]!) { nodes(ids: $i) { id } }';
    expect(await statementsOf(anonymous, all, { i: Object.values(ids) })).toBe(0);
    const { Member, Invitation, User, AuditEvent } = ids;
    const { WebhookEndpoint, WebhookEvent, WebhookAttempt, WebhookDelivery } = ids;
    const unseen = [
      Member,
      Invitation,
      User,
      AuditEvent,
      WebhookEndpoint,
      WebhookEvent,
      WebhookAttempt,
      WebhookDelivery,
    ];
    expect(await statementsOf(key, all, { i: unseen })).toBe(0);
    expect(await statementsOf(key, all, { i: Object.values(ids) })).toBe(5);
    for (const id of Object.values(ids)) expect(await statementsOf(anonymous, one, { id })).toBe(0);
  });

  test('a list of 30,000 ids is refused by its length', async () => {
    const document = `query ($i: [ID!]!) { ${aliases(22, () => 'nodes(ids: $i) { id }')} }`;
    const { data, errors } = await world.clients.anonymous.send(document, { i: Array(30_000).fill('') });
    expect({ data, codes: new Set(errors.map(({ message }) => message)) }).toEqual({
      data: null,
      codes: new Set(['At most 100 ids can be requested at once.']),
    });
  });
});
