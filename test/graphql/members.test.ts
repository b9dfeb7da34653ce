import { describe, expect, test } from 'vitest';
import { aMember, anOrganization, aPerson, createApiKey, join, type Person, tryCreateApiKey } from '../factories.js';
import type { InviteMemberInput, UpdateMemberInput } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { aServer, type Client, expectMember } from '../harness.js';

const inviteDocument = graphql(`
  mutation InviteOfMembers($input: InviteMemberInput!) {
    inviteMember(input: $input) {
      __typename
      ... on InviteMemberPayload { token }
      ... on Error { code message }
      ... on ForbiddenError { permission }
    }
  }
`);

const updateDocument = graphql(`
  mutation UpdateOfMembers($input: UpdateMemberInput!) {
    updateMember(input: $input) {
      __typename
      ... on UpdateMemberPayload { member { id role permissions } }
      ... on Error { code message }
      ... on ForbiddenError { permission }
    }
  }
`);

const removeDocument = graphql(`
  mutation RemoveOfMembers($input: RemoveMemberInput!) {
    removeMember(input: $input) {
      __typename
      ... on RemoveMemberPayload { removedMemberId }
      ... on Error { code message }
      ... on ForbiddenError { permission }
    }
  }
`);

const peopleDocument = graphql(`
  query PeopleOfMembers($id: ID!) {
    workspace(id: $id) {
      members { nodes { id role user { id } } }
    }
  }
`);

const invite = async (client: Client, input: InviteMemberInput) =>
  (await client.run(inviteDocument, { input })).inviteMember;
const update = async (client: Client, input: UpdateMemberInput) =>
  (await client.run(updateDocument, { input })).updateMember;
const remove = async (client: Client, memberId: string) =>
  (await client.run(removeDocument, { input: { memberId } })).removeMember;
const peopleOf = async (client: Client, id: string) => (await client.run(peopleDocument, { id })).workspace;

/** The id of a person’s membership in a workspace. */
async function membershipOf(person: Person, workspaceId: string): Promise<string> {
  const workspace = await peopleOf(person.client, workspaceId);
  return workspace?.members.nodes.find(({ user }) => user.id === person.id)?.id ?? '';
}

const lastOwner = {
  __typename: 'ConflictError',
  code: 'CONFLICT',
  message: 'A workspace needs at least one owner. Make another member an owner first.',
};
const forbidden = (permission: string) => ({
  __typename: 'ForbiddenError',
  code: 'FORBIDDEN',
  permission,
  message: expect.any(String),
});

describe('roles', () => {
  test('a person cannot grant, change or remove a role above their own', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const admin = await aMember(server, owner, workspaceId, 'ADMIN');
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    const ownerId = await membershipOf(owner, workspaceId);

    expect(await invite(admin.client, { workspaceId, email: 'a@example.com', role: 'OWNER' })).toEqual(
      forbidden('member:invite'),
    );
    expect(await update(admin.client, { memberId: admin.memberId, role: 'OWNER' })).toEqual(forbidden('member:update'));
    expect(await update(admin.client, { memberId: member.memberId, role: 'OWNER' })).toEqual(
      forbidden('member:update'),
    );
    expect(await update(admin.client, { memberId: ownerId, role: 'MEMBER' })).toEqual(forbidden('member:update'));
    expect(await remove(admin.client, ownerId)).toEqual(forbidden('member:remove'));
    expect(await update(member.client, { memberId: member.memberId, role: 'ADMIN' })).toEqual(
      forbidden('member:update'),
    );
    expect(await remove(member.client, admin.memberId)).toEqual(forbidden('member:remove'));
    const roles = (await peopleOf(owner.client, workspaceId))?.members.nodes.map(({ role }) => role);
    expect(roles).toEqual(['MEMBER', 'ADMIN', 'OWNER']);
  });

  test('a changed role applies to the next request', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    expect((await tryCreateApiKey(member.client, { workspaceId, name: 'ci' })).__typename).toBe('ForbiddenError');
    expect(await update(owner.client, { memberId: member.memberId, role: 'ADMIN' })).toEqual({
      __typename: 'UpdateMemberPayload',
      member: { id: member.memberId, role: 'ADMIN', permissions: [] },
    });
    await createApiKey(member.client, { workspaceId, name: 'ci' });
    await update(owner.client, { memberId: member.memberId, role: 'MEMBER' });
    expect((await tryCreateApiKey(member.client, { workspaceId, name: 'ci' })).__typename).toBe('ForbiddenError');
  });

  test('the last owner can neither leave nor be demoted or removed', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    await aMember(server, owner, workspaceId, 'ADMIN');
    const memberId = await membershipOf(owner, workspaceId);
    expect(await update(owner.client, { memberId, role: 'ADMIN' })).toEqual(lastOwner);
    expect(await remove(owner.client, memberId)).toEqual(lastOwner);
    expect(await remove(server.backend, memberId)).toEqual(lastOwner);
    expect(await update(server.backend, { memberId, role: 'MEMBER' })).toEqual(lastOwner);
  });

  test('if two owners demote, remove or leave concurrently, one owner remains', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const other = await aPerson(server);
    const acts: readonly ((actor: Person, of: Record<string, string>, target: Person) => Promise<unknown>)[] = [
      (actor, of, target) => update(actor.client, { memberId: of[target.id] ?? '', role: 'MEMBER' }),
      (actor, of, target) => remove(actor.client, of[target.id] ?? ''),
      (actor, of) => remove(actor.client, of[actor.id] ?? ''),
      (actor, of) => update(actor.client, { memberId: of[actor.id] ?? '', role: 'ADMIN' }),
    ];
    for (const act of acts) {
      const workspaceId = await anOrganization(owner);
      const memberships = {
        [owner.id]: await membershipOf(owner, workspaceId),
        [other.id]: await join(owner, workspaceId, other, 'OWNER'),
      };
      await Promise.all([act(owner, memberships, other), act(other, memberships, owner)]);
      const owners = await server.services.db.member.count({ where: { workspaceId, role: 'OWNER' } });
      expect(owners).toBe(1);
    }
  });
});

describe('leaving', () => {
  test('a member can leave, and then no longer sees the workspace', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    expect(await remove(member.client, member.memberId)).toEqual({
      __typename: 'RemoveMemberPayload',
      removedMemberId: member.memberId,
    });
    expect(await peopleOf(member.client, workspaceId)).toBeNull();
    expect(await remove(member.client, member.memberId)).toMatchObject({ __typename: 'NotFoundError' });
    expect(await tryCreateApiKey(member.client, { workspaceId, name: 'ci' })).toMatchObject({
      __typename: 'NotFoundError',
    });
  });

  test('a person cannot leave their personal workspace', async () => {
    const person = await aPerson(await aServer());
    const memberId = await membershipOf(person, person.personalWorkspaceId);
    expect(await remove(person.client, memberId)).toEqual(lastOwner);
  });
});

describe('permissions beyond the role', () => {
  test('a member has exactly the permissions granted to them', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const { client, memberId } = await aMember(server, owner, workspaceId, 'MEMBER');
    const permissions = ['settings:manage', 'member:invite'];
    expect(await update(owner.client, { memberId, permissions: [...permissions, 'settings:manage'] })).toEqual({
      __typename: 'UpdateMemberPayload',
      member: { id: memberId, role: 'MEMBER', permissions },
    });
    // makepay requires settings:manage to create keys, default requires a role.
    await createApiKey(client, { workspaceId, name: 'pay', product: 'makepay' });
    expect(await tryCreateApiKey(client, { workspaceId, name: 'ci' })).toMatchObject({ __typename: 'ForbiddenError' });
    expect(await invite(client, { workspaceId, email: 'a@example.com', role: 'ADMIN' })).toEqual(
      forbidden('member:invite'),
    );
    expectMember(await invite(client, { workspaceId, email: 'a@example.com', role: 'MEMBER' }), 'InviteMemberPayload');

    expect(await update(owner.client, { memberId, permissions: [] })).toMatchObject({ member: { permissions: [] } });
    expect(await tryCreateApiKey(client, { workspaceId, name: 'pay', product: 'makepay' })).toMatchObject({
      __typename: 'ForbiddenError',
    });
  });

  test('a change of the role does not change the granted permissions', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const { memberId } = await aMember(server, owner, workspaceId, 'MEMBER');
    await update(owner.client, { memberId, permissions: ['apiKey:revoke'] });
    expect(await update(owner.client, { memberId, role: 'ADMIN' })).toMatchObject({
      member: { role: 'ADMIN', permissions: ['apiKey:revoke'] },
    });
  });
});
