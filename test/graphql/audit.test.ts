import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  aMember,
  anOrganization,
  aPerson,
  createApiKey,
  type Person,
  revokeApiKey,
  rotateApiKey,
  tryCreateApiKey,
  tryRotateApiKey,
} from '../factories.js';
import type { AuditEventFilter } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { aServer, type Client, sharedDatabase, type TestServer } from '../harness.js';
import {
  anotherKey,
  aPopulatedWorkspace,
  type People,
  type PopulatedWorkspace,
  somePeople,
} from './populated-workspace.js';
import { documentOf, sampleVariablesOf, schema } from './sample-operations.js';

const eventsDocument = graphql(`
  query EventsOfAudit($workspaceId: ID!, $filter: AuditEventFilter, $first: Int, $after: String) {
    auditEvents(workspaceId: $workspaceId, filter: $filter, first: $first, after: $after) {
      intact
      nodes {
        id sequence action refused subjectId before after requestId address createdAt hash
        actor { kind principalId user { name email } }
      }
      pageInfo { endCursor hasNextPage }
    }
  }
`);

async function list(client: Client, workspaceId: string, filter: AuditEventFilter = {}) {
  const { auditEvents } = await client.run(eventsDocument, { workspaceId, filter, first: 100 });
  return auditEvents;
}

const eventsOf = async (client: Client, workspaceId: string, filter?: AuditEventFilter) =>
  (await list(client, workspaceId, filter)).nodes;

const actionsOf = async (client: Client, workspaceId: string, filter?: AuditEventFilter) =>
  (await eventsOf(client, workspaceId, filter)).map(({ action }) => action);

const guide = await readFile(new URL('../../docs/audit.md', import.meta.url), 'utf8');

describe('the audit event of a change', () => {
  /** Mutations that change no key, secret, member, credit or endpoint, and therefore write no event. */
  const eventless: readonly string[] = ['verifyApiKey', 'verifyApiKeys', 'publishEvent'];
  /** Mutations that run first, so that the sample has something to change. */
  const before: Readonly<Record<string, string>> = {
    resumeWorkspace: 'mutation ($input: SuspendWorkspaceInput!) { suspendWorkspace(input: $input) { __typename } }',
    disableFeature: 'mutation ($input: EnableFeatureInput!) { enableFeature(input: $input) { __typename } }',
  };
  // Each sample creates what it consumes, so all rows share one populated workspace.
  let world: PopulatedWorkspace;
  beforeAll(async () => {
    world = await aPopulatedWorkspace();
  });
  const changes = Object.keys(schema.getMutationType()?.getFields() ?? {}).filter((name) => !eventless.includes(name));

  test.each(changes)('%s writes an event with actor, subject, address and request id', async (name) => {
    const { clients, server, people } = world;
    const isOwnersAlone = name === 'createWorkspace' || name === 'acceptInvitation';
    const variables = await sampleVariablesOf(name, world);
    if (before[name]) await clients.service.send(before[name], variables);
    const answer = await (isOwnersAlone ? clients.owner : clients.service).send(documentOf(name), variables);
    expect(answer.errors).toEqual([]);
    const requestId = answer.headers.get('x-request-id');
    const events = await server.services.db.auditEvent.findMany({ where: { requestId } });
    expect(events.length).toBeGreaterThan(0);
    for (const event of events) {
      expect(guide).toContain(`\`${event.action}\``);
      expect(event).toMatchObject({
        workspaceId: expect.stringMatching(/^wsp_/),
        actorKind: isOwnersAlone ? 'USER' : 'SERVICE',
        actorId: isOwnersAlone ? people.owner.id : expect.stringMatching(/^svt_/),
        action: expect.stringMatching(/^[a-z][a-zA-Z]+\.[a-z][a-zA-Z]+$/),
        subjectId: expect.stringMatching(/^[a-z]{3}_[0-9a-f]{32}$/),
        refused: false,
        address: expect.stringMatching(/^(192\.0\.2\.1|127\.0\.0\.1|::ffff:127\.0\.0\.1)$/),
      });
    }
    const changed = events.filter(({ before, after }) => before !== null || after !== null);
    expect(changed.length > 0 || ['sendTestWebhook', 'redeliverWebhook'].includes(name)).toBe(true);
  });

  test('contains the values before and after the change, without secrets', async () => {
    const { client, id, personalWorkspaceId: workspaceId } = await aPerson(await aServer(), 'Ada');
    const { apiKey, secret } = await createApiKey(client, { name: 'ci' });
    const rotated = await rotateApiKey(client, apiKey.id, 0);
    await revokeApiKey(client, apiKey.id, 'leaked');
    const events = await eventsOf(client, workspaceId, { subjectId: apiKey.id });
    expect(events.map(({ action }) => action)).toEqual(['apiKey.revoked', 'apiKey.rotated', 'apiKey.created']);
    const [revoked, rotation, created] = events;
    expect(revoked).toEqual({
      id: expect.stringMatching(/^aud_/),
      sequence: expect.any(Number),
      action: 'apiKey.revoked',
      refused: false,
      subjectId: apiKey.id,
      actor: { kind: 'USER', principalId: id, user: { name: 'Ada', email: expect.stringContaining('@') } },
      before: { revokedAt: null, reason: null },
      after: { revokedAt: expect.any(String), reason: 'leaked' },
      requestId: expect.stringMatching(/^req_/),
      address: expect.any(String),
      createdAt: expect.any(String),
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(rotation).toMatchObject({
      before: { secrets: [{ preview: secret.slice(-4), retiresAt: null }] },
      after: {
        secrets: [
          { preview: secret.slice(-4), retiresAt: rotated.oldSecretsRetireAt },
          { preview: rotated.secret.slice(-4), retiresAt: null },
        ],
      },
    });
    expect(created).toMatchObject({ before: null, after: { name: 'ci', secret: { preview: secret.slice(-4) } } });
    for (const each of [secret, rotated.secret]) expect(JSON.stringify(events)).not.toContain(each);
  });

  test('is written in the transaction of the change: if the insert fails, the change is rolled back', async () => {
    const server = await aServer();
    const { client } = await aPerson(server);
    const { apiKey } = await createApiKey(client, { name: 'ci' });
    const { db } = server.services;
    await db.$executeRawUnsafe(
      `ALTER TABLE "AuditEvent" ADD CONSTRAINT "no_event" CHECK ("subjectId" <> '${apiKey.id}') NOT VALID`,
    );
    try {
      await expect(revokeApiKey(client, apiKey.id)).rejects.toThrow('INTERNAL_SERVER_ERROR');
    } finally {
      await db.$executeRawUnsafe('ALTER TABLE "AuditEvent" DROP CONSTRAINT "no_event"');
    }
    expect(await db.apiKey.findUniqueOrThrow({ where: { id: apiKey.id } })).toMatchObject({ revokedAt: null });
    await revokeApiKey(client, apiKey.id);
  });

  test('is rolled back with its change, without a gap in the sequence', async () => {
    const { client, personalWorkspaceId: workspaceId } = await aPerson(await aServer());
    const { apiKey } = await createApiKey(client, { name: 'ci' });
    for (let made = 1; made < 5; made += 1) await rotateApiKey(client, apiKey.id, 60);
    expect(await tryRotateApiKey(client, apiKey.id, 60)).toMatchObject({ __typename: 'LimitReachedError' });
    await revokeApiKey(client, apiKey.id);
    const { nodes, intact } = await list(client, workspaceId);
    expect(nodes.map(({ sequence }) => sequence)).toEqual(nodes.map((_, index) => nodes.length - index));
    expect(intact).toBe(true);
  });
});

describe('the audit event of a refused attempt', () => {
  let people: People;
  beforeAll(async () => {
    people = await somePeople(await aServer());
  });
  /** All refused attempts in an organization, newest first, after the buffered ones are written. */
  async function refusalsOf({ server, organizationId, clients }: PopulatedWorkspace) {
    await server.services.refusals.flush();
    return eventsOf(clients.owner, organizationId, { refused: true });
  }

  test('is written for a member without the permission and for a stranger, who receives NotFoundError', async () => {
    const world = await aPopulatedWorkspace(people);
    const { clients, key, organizationId } = world;
    const revoke = 'mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }';
    await clients.member.send(revoke, { id: key.id });
    const stranger = await clients.stranger.send(revoke, { id: key.id });
    expect(stranger.data).toEqual({ revokeApiKey: { __typename: 'NotFoundError' } });
    const refused = {
      action: 'apiKey.revoke.refused',
      refused: true,
      subjectId: key.id,
      before: null,
      after: { attempts: 1 },
      address: expect.any(String),
    };
    expect(await refusalsOf(world)).toEqual([
      expect.objectContaining({
        ...refused,
        // A user’s name is hidden from people who share no workspace with them.
        actor: { kind: 'USER', principalId: people.stranger.id, user: null },
        requestId: stranger.headers.get('x-request-id'),
      }),
      expect.objectContaining({
        ...refused,
        actor: {
          kind: 'USER',
          principalId: people.member.id,
          user: { name: 'Mia Member', email: people.member.email },
        },
      }),
    ]);
    const { nodes } = await list(clients.service, organizationId, { refused: true });
    expect(nodes[0]?.actor.user?.name).toBe('Sam Stranger');
  });

  test('is written for a key whose credential kind may not call the mutation, in its own workspace', async () => {
    const world = await aPopulatedWorkspace(people);
    await world.clients.key.send('mutation { createApiKey(input: { name: "mine" }) { __typename } }');
    expect(await refusalsOf(world)).toEqual([
      expect.objectContaining({
        action: 'apiKey.create.refused',
        subjectId: world.organizationId,
        actor: { kind: 'API_KEY', principalId: world.key.id, user: null },
      }),
    ]);
  });

  test('is not written when the target does not exist', async () => {
    const world = await aPopulatedWorkspace();
    const { db } = world.server.services;
    await world.server.services.refusals.flush();
    const where = { actorId: world.people.stranger.id };
    const before = await db.auditEvent.count({ where });
    await world.clients.stranger.send('mutation { revokeApiKey(input: { apiKeyId: "key_0" }) { __typename } }');
    await world.clients.stranger.send('mutation { acceptInvitation(input: { token: "tki_0" }) { __typename } }');
    await world.server.services.refusals.flush();
    expect(await db.auditEvent.count({ where })).toBe(before);
  });

  test('is written once per minute for repeated attempts, with their count', async () => {
    const world = await aPopulatedWorkspace();
    const { clients, key } = world;
    await beginMinute(world.server);
    for (let tries = 0; tries < 10; tries += 1) await tryRotateApiKey(clients.member, key.id, 0);
    await Promise.all(Array.from({ length: 30 }, () => tryRotateApiKey(clients.member, key.id, 0)));
    const refusals = await refusalsOf(world);
    expect(refusals.map(({ action, after }) => [action, after])).toEqual([
      ['apiKey.rotate.refused', { attempts: 39 }],
      ['apiKey.rotate.refused', { attempts: 1 }],
    ]);
  });

  test('is limited to 20 per principal and minute, plus one event that counts the rest', async () => {
    const world = await aPopulatedWorkspace();
    const keys = await Promise.all(Array.from({ length: 24 }, () => anotherKey(world)));
    await beginMinute(world.server);
    for (const id of keys) await tryRotateApiKey(world.clients.stranger, id, 0);
    const refusals = await refusalsOf(world);
    expect(refusals).toHaveLength(21);
    expect(refusals[0]).toMatchObject({
      action: 'attempts.refused',
      subjectId: world.organizationId,
      actor: { principalId: world.people.stranger.id },
      after: { attempts: 4 },
    });
    // The limit starts again after the minute.
    await tryRotateApiKey(world.clients.stranger, world.key.id, 0);
    expect(await refusalsOf(world)).toHaveLength(22);
  });

  test('is limited to 200 per workspace and minute across all principals', { timeout: 90_000 }, async () => {
    const world = await aPopulatedWorkspace();
    const { server, people, organizationId } = world;
    const keys = await Promise.all(Array.from({ length: 20 }, () => anotherKey(world)));
    const crowd = await Promise.all(Array.from({ length: 11 }, () => aPerson(server)));
    // Starts a new minute, so that it does not end during the test.
    await beginMinute(server);
    await Promise.all(
      crowd.flatMap(({ client }) => keys.map((apiKeyId) => client.send(rotateDocument, { input: { apiKeyId } }))),
    );
    await server.services.refusals.flush();
    const where = { workspaceId: organizationId, refused: true };
    expect(await server.services.db.auditEvent.count({ where })).toBe(201);
    const [sum] = await eventsOf(people.owner.client, organizationId, { action: 'attempts.refused' });
    expect(sum).toMatchObject({ actor: { kind: 'SYSTEM', principalId: null, user: null }, after: { attempts: 20 } });
  });
});

/** Writes the buffered attempts, which starts a new minute. */
const beginMinute = ({ services }: TestServer) => services.refusals.flush();

const rotateDocument = 'mutation ($input: RotateApiKeyInput!) { rotateApiKey(input: $input) { __typename } }';

describe('auditEvents', () => {
  async function aHistory(): Promise<{ server: TestServer; owner: Person; member: Person; workspaceId: string }> {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    await tryCreateApiKey(member.client, { workspaceId, name: 'not mine to make' });
    await createApiKey(owner.client, { workspaceId, name: 'ci' });
    await createApiKey(server.backend, { workspaceId, name: 'ours' });
    await server.services.refusals.flush();
    return { server, owner, member, workspaceId };
  }

  test('lists events newest first by sequence number, and applies every filter', async () => {
    const { owner, member, workspaceId, server } = await aHistory();
    const { client } = owner;
    const all = await eventsOf(client, workspaceId);
    expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, index) => all.length - index));
    expect(all.map(({ action }) => action).toSorted()).toEqual([
      'apiKey.create.refused',
      'apiKey.created',
      'apiKey.created',
      'credits.granted',
      'member.invited',
      'member.joined',
      'workspace.created',
    ]);
    expect(await actionsOf(client, workspaceId, { action: 'apiKey.created' })).toHaveLength(2);
    expect(await actionsOf(client, workspaceId, { refused: true })).toEqual(['apiKey.create.refused']);
    expect(await actionsOf(client, workspaceId, { refused: false })).toHaveLength(all.length - 1);
    expect(await actionsOf(client, workspaceId, { actorKind: 'SERVICE' })).toEqual(['apiKey.created']);
    expect((await actionsOf(client, workspaceId, { actorId: member.id })).toSorted()).toEqual([
      'apiKey.create.refused',
      'member.joined',
    ]);
    expect(await actionsOf(client, workspaceId, { subjectId: workspaceId, actorId: owner.id })).toEqual([
      'workspace.created',
    ]);
    const [newest] = all;
    const at = newest?.createdAt ?? '';
    expect(await eventsOf(client, workspaceId, { to: at })).not.toContainEqual(newest);
    expect(await eventsOf(client, workspaceId, { from: at })).toContainEqual(newest);
    expect(await actionsOf(server.backend, workspaceId)).toHaveLength(all.length);
  });

  test('returns an empty, intact list to principals without permission, as for an unknown workspace', async () => {
    const { server, member, workspaceId } = await aHistory();
    const stranger = await aPerson(server);
    const nothing = await list(stranger.client, 'wsp_nonsense');
    expect(nothing).toEqual({ intact: true, nodes: [], pageInfo: { endCursor: null, hasNextPage: false } });
    expect(await list(stranger.client, workspaceId)).toEqual(nothing);
    expect(await list(member.client, workspaceId)).toEqual(nothing);
  });

  test('omits the name and email of people who have left the workspace', async () => {
    const { owner, member, workspaceId } = await aHistory();
    const joined = { action: 'member.joined', actorId: member.id };
    const [before] = await eventsOf(owner.client, workspaceId, joined);
    expect(before?.actor.user).toEqual({ name: 'Grace', email: member.email });
    await owner.client.send('mutation ($id: ID!) { removeMember(input: { memberId: $id }) { __typename } }', {
      id: before?.subjectId,
    });
    const [after] = await eventsOf(owner.client, workspaceId, joined);
    expect(after?.actor).toEqual({ kind: 'USER', principalId: member.id, user: null });
  });

  test('reports intact: false after a row was changed bypassing the triggers', async () => {
    const { owner, workspaceId } = await aHistory();
    const [newest] = await eventsOf(owner.client, workspaceId);
    expect((await list(owner.client, workspaceId)).intact).toBe(true);
    const { db } = await sharedDatabase();
    await db.$transaction(async (tx) => {
      await tx.$executeRaw`SET LOCAL session_replication_role = replica`;
      await tx.auditEvent.update({ where: { id: newest?.id ?? '' }, data: { action: 'apiKey.updated' } });
    });
    const { intact, nodes } = await list(owner.client, workspaceId, { action: 'workspace.created' });
    expect({ intact, listed: nodes.length }).toEqual({ intact: false, listed: 1 });
  });
});
