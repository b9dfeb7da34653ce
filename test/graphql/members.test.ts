import { describe, expect, test } from 'vitest';
import { aMember, anOrganization, aPerson, createApiKey, join, type Person, tryCreateApiKey } from '../factories.js';
import type { InviteMemberInput, UpdateMemberInput } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { aServer, type Client, expectMember, startServer } from '../harness.js';

const inviteDocument = graphql(`
  mutation InviteOfMembers($input: InviteMemberInput!) {
    inviteMember(input: $input) {
      __typename
      ... on InviteMemberPayload {
        token
        invitation { id email role createdAt expiresAt acceptedAt workspace { id } invitedBy { id } }
      }
      ... on Error { code message }
      ... on ForbiddenError { permission }
      ... on LimitReachedError { limit }
    }
  }
`);

const acceptDocument = graphql(`
  mutation AcceptOfMembers($input: AcceptInvitationInput!) {
    acceptInvitation(input: $input) {
      __typename
      ... on AcceptInvitationPayload { member { role permissions user { id } workspace { id } } }
      ... on Error { code message }
      ... on NotFoundError { field }
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
      invitations { nodes { email role } }
    }
  }
`);

const invite = async (client: Client, input: InviteMemberInput) =>
  (await client.run(inviteDocument, { input })).inviteMember;
const accept = async (client: Client, token: string) =>
  (await client.run(acceptDocument, { input: { token } })).acceptInvitation;
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

const notFound = {
  __typename: 'NotFoundError',
  code: 'NOT_FOUND',
  field: 'input.token',
  message: 'Invitation not found.',
};
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

describe('invitations', () => {
  test('accepting an invitation creates the membership and removes the invitation from the list', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);

    const invited = await invite(owner.client, { workspaceId, email: ` ${guest.email.toUpperCase()}`, role: 'ADMIN' });
    expect(invited).toEqual({
      __typename: 'InviteMemberPayload',
      token: expect.stringMatching(/^tki_[A-Za-z0-9_-]{43}$/),
      invitation: {
        id: expect.stringMatching(/^inv_/),
        email: guest.email,
        role: 'ADMIN',
        createdAt: expect.any(String),
        expiresAt: expect.any(String),
        acceptedAt: null,
        workspace: { id: workspaceId },
        invitedBy: { id: owner.id },
      },
    });
    const { token, invitation } = expectMember(invited, 'InviteMemberPayload');
    expect(Date.parse(invitation.expiresAt) - Date.parse(invitation.createdAt)).toBe(7 * 24 * 3_600_000);
    expect((await peopleOf(owner.client, workspaceId))?.invitations.nodes).toEqual([
      { email: guest.email, role: 'ADMIN' },
    ]);

    expect(await accept(guest.client, token)).toEqual({
      __typename: 'AcceptInvitationPayload',
      member: { role: 'ADMIN', permissions: [], user: { id: guest.id }, workspace: { id: workspaceId } },
    });
    expect(await peopleOf(guest.client, workspaceId)).toEqual({
      members: {
        nodes: [
          { id: expect.any(String), role: 'ADMIN', user: { id: guest.id } },
          { id: expect.any(String), role: 'OWNER', user: { id: owner.id } },
        ],
      },
      invitations: { nodes: [] },
    });
  });

  test('a used token is refused, also after its member was removed', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const invited = await invite(owner.client, { workspaceId, email: guest.email, role: 'MEMBER' });
    const { token } = expectMember(invited, 'InviteMemberPayload');
    await accept(guest.client, token);
    expect(await accept(guest.client, token)).toEqual(notFound);
    await remove(owner.client, await membershipOf(guest, workspaceId));
    expect(await accept(guest.client, token)).toEqual(notFound);
    expect(await peopleOf(guest.client, workspaceId)).toBeNull();
  });

  test('a token that is used concurrently creates one membership', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const invited = await invite(owner.client, { workspaceId, email: guest.email, role: 'MEMBER' });
    const { token } = expectMember(invited, 'InviteMemberPayload');
    const results = await Promise.all(Array.from({ length: 8 }, () => accept(guest.client, token)));
    expect(results.filter(({ __typename }) => __typename === 'AcceptInvitationPayload')).toHaveLength(1);
    expect((await peopleOf(owner.client, workspaceId))?.members.nodes).toHaveLength(2);
  });

  test('unknown, foreign, expired and used tokens return the same NotFoundError and create no membership', async () => {
    const server = await startServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const other = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const invited = await invite(owner.client, { workspaceId, email: guest.email, role: 'MEMBER' });
    const { token } = expectMember(invited, 'InviteMemberPayload');
    expect(await accept(other.client, token)).toEqual(notFound);
    expect(await accept(guest.client, `tki_${'x'.repeat(43)}`)).toEqual(notFound);
    server.clock.advance(7 * 24 * 3_600_000);
    expect(await accept(guest.client, token)).toEqual(notFound);
    expect((await peopleOf(owner.client, workspaceId))?.members.nodes).toHaveLength(1);
  });

  test('a member cannot be invited again, and of two invitations of one person only one can be accepted', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const tokens: string[] = [];
    for (const role of ['MEMBER', 'ADMIN'] as const) {
      const invited = await invite(owner.client, { workspaceId, email: guest.email, role });
      tokens.push(expectMember(invited, 'InviteMemberPayload').token);
    }
    const [first = '', second = ''] = tokens;
    expectMember(await accept(guest.client, second), 'AcceptInvitationPayload');
    expect(await accept(guest.client, first)).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'You are already a member.',
    });
    expect(await invite(owner.client, { workspaceId, email: guest.email, role: 'MEMBER' })).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'This person is already a member.',
    });
  });

  test('an invitation to a personal workspace is refused', async () => {
    const owner = await aPerson(await aServer());
    const { personalWorkspaceId: workspaceId } = owner;
    expect(await invite(owner.client, { workspaceId, email: 'a@example.com', role: 'MEMBER' })).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'A personal workspace has one member. Create an organization to work with others.',
    });
  });

  test('a workspace has at most 100 open invitations', async () => {
    const owner = await aPerson(await aServer());
    const workspaceId = await anOrganization(owner);
    const invitations = Array.from(
      { length: 100 },
      (_, index) =>
        `a${index}: inviteMember(input: { workspaceId: "${workspaceId}", email: "a${index}@example.com", role: MEMBER }) { __typename }`,
    );
    expect((await owner.client.send(`mutation { ${invitations.join(' ')} }`)).errors).toEqual([]);
    expect(await invite(owner.client, { workspaceId, email: 'one-more@example.com', role: 'MEMBER' })).toEqual({
      __typename: 'LimitReachedError',
      code: 'LIMIT_REACHED',
      limit: 100,
      message: 'A workspace can have at most 100 open invitations. Wait until one is accepted or expires.',
    });
  });
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

  test('an invitation stays valid after its sender left, with the role it was sent with', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const admin = await aMember(server, owner, workspaceId, 'ADMIN');
    const invited = await invite(admin.client, { workspaceId, email: guest.email, role: 'MEMBER' });
    await remove(admin.client, admin.memberId);
    expect(await accept(guest.client, expectMember(invited, 'InviteMemberPayload').token)).toMatchObject({
      member: { role: 'MEMBER' },
    });
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
