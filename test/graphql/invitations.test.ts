import { describe, expect, test } from 'vitest';
import { hashSecret } from '../../src/domain/access/secret-hash.js';
import { aMember, anOrganization, aPerson, join } from '../factories.js';
import type { InvitationState, InviteMemberInput, Role, UpdateMemberInput } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { aServer, type Client, expectMember, startServer, type TestServer } from '../harness.js';

const inviteDocument = graphql(`
  mutation InviteOfInvitations($input: InviteMemberInput!) {
    inviteMember(input: $input) {
      __typename
      ... on InviteMemberPayload {
        token
        invitation { id email role state createdAt expiresAt acceptedAt revokedAt workspace { id } invitedBy { id } }
      }
      ... on Error { code message }
      ... on LimitReachedError { limit }
    }
  }
`);

const acceptDocument = graphql(`
  mutation AcceptOfInvitations($input: AcceptInvitationInput!) {
    acceptInvitation(input: $input) {
      __typename
      ... on AcceptInvitationPayload { member { role permissions user { id } workspace { id } } }
      ... on Error { code message }
      ... on NotFoundError { field }
    }
  }
`);

const revokeDocument = graphql(`
  mutation RevokeOfInvitations($input: RevokeInvitationInput!) {
    revokeInvitation(input: $input) {
      __typename
      ... on RevokeInvitationPayload { invitation { id state revokedAt } }
      ... on Error { code message }
      ... on NotFoundError { field }
      ... on ForbiddenError { permission }
    }
  }
`);

const updateDocument = graphql(`
  mutation UpdateOfInvitations($input: UpdateMemberInput!) {
    updateMember(input: $input) { __typename ... on Error { message } }
  }
`);

const removeDocument = graphql(`
  mutation RemoveOfInvitations($input: RemoveMemberInput!) {
    removeMember(input: $input) { __typename ... on Error { message } }
  }
`);

const listDocument = graphql(`
  query ListOfInvitations($id: ID!, $state: InvitationState, $first: Int, $after: String) {
    workspace(id: $id) {
      members { nodes { role user { id } } }
      invitations(filter: { state: $state }, first: $first, after: $after) {
        nodes { id email role state expiresAt revokedAt invitedBy { id name } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);

const auditDocument = graphql(`
  query AuditOfInvitations($workspaceId: ID!) {
    auditEvents(workspaceId: $workspaceId, filter: { action: "invitation.revoked" }, first: 100) {
      nodes { subjectId actor { principalId } before after }
    }
  }
`);

const invite = async (client: Client, input: InviteMemberInput) =>
  (await client.run(inviteDocument, { input })).inviteMember;
const accept = async (client: Client, token: string) =>
  (await client.run(acceptDocument, { input: { token } })).acceptInvitation;
const revoke = async (client: Client, invitationId: string) =>
  (await client.run(revokeDocument, { input: { invitationId } })).revokeInvitation;
const update = async (client: Client, input: UpdateMemberInput) =>
  (await client.run(updateDocument, { input })).updateMember.__typename;
const remove = async (client: Client, memberId: string) =>
  (await client.run(removeDocument, { input: { memberId } })).removeMember.__typename;

async function list(client: Client, id: string, state?: InvitationState) {
  const { workspace } = await client.run(listDocument, { id, first: 100, ...(state && { state }) });
  return workspace?.invitations.nodes ?? [];
}

const statesOf = async (client: Client, id: string) =>
  Object.fromEntries((await list(client, id)).map(({ email, state }) => [email, state]));

/** The ids and roles of the members of a workspace, newest first. */
async function membersOf(client: Client, id: string) {
  const { workspace } = await client.run(listDocument, { id });
  return workspace?.members.nodes.map(({ role, user }) => [user.id, role]);
}

/** Invites an address. @throws Error if it is refused */
async function invited(client: Client, workspaceId: string, email: string, role: Role = 'MEMBER') {
  const { token, invitation } = expectMember(await invite(client, { workspaceId, email, role }), 'InviteMemberPayload');
  return { token, ...invitation };
}

/** Sends invitations in one request. @returns the type names of the results */
async function inviteMany(client: Client, workspaceId: string, count: number): Promise<string[]> {
  const fields = Array.from(
    { length: count },
    (_, index) =>
      `a${index}: inviteMember(input: { workspaceId: "${workspaceId}", email: "a${index}@example.com", role: MEMBER }) { __typename }`,
  );
  const { data } = await client.send<Record<string, { __typename: string }>>(`mutation { ${fields.join(' ')} }`);
  return Object.values(data ?? {}).map(({ __typename }) => __typename);
}

/** An organization with its owner, and a second owner with their membership. */
async function twoOwners(server: TestServer) {
  const founder = await aPerson(server, 'Founder');
  const workspaceId = await anOrganization(founder);
  const other = await aPerson(server, 'Other');
  return { founder, other, workspaceId, memberId: await join(founder, workspaceId, other, 'OWNER') };
}

const notFound = {
  __typename: 'NotFoundError',
  code: 'NOT_FOUND',
  field: 'input.token',
  message: 'Invitation not found.',
};
const dayMs = 24 * 3_600_000;

describe('accepting', () => {
  test('an invitation creates the membership, and the invitation stays in the list as accepted', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);

    const result = await invite(owner.client, { workspaceId, email: ` ${guest.email.toUpperCase()}`, role: 'ADMIN' });
    expect(result).toEqual({
      __typename: 'InviteMemberPayload',
      token: expect.stringMatching(/^tki_[A-Za-z0-9_-]{43}$/),
      invitation: {
        id: expect.stringMatching(/^inv_/),
        email: guest.email,
        role: 'ADMIN',
        state: 'PENDING',
        createdAt: expect.any(String),
        expiresAt: expect.any(String),
        acceptedAt: null,
        revokedAt: null,
        workspace: { id: workspaceId },
        invitedBy: { id: owner.id },
      },
    });
    const { token, invitation } = expectMember(result, 'InviteMemberPayload');
    expect(Date.parse(invitation.expiresAt) - Date.parse(invitation.createdAt)).toBe(7 * dayMs);
    expect(await accept(guest.client, token)).toEqual({
      __typename: 'AcceptInvitationPayload',
      member: { role: 'ADMIN', permissions: [], user: { id: guest.id }, workspace: { id: workspaceId } },
    });
    expect(await membersOf(guest.client, workspaceId)).toEqual([
      [guest.id, 'ADMIN'],
      [owner.id, 'OWNER'],
    ]);
    expect(await statesOf(guest.client, workspaceId)).toEqual({ [guest.email]: 'ACCEPTED' });
  });

  test('with a used token is refused, also after its member was removed', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const { token } = await invited(owner.client, workspaceId, guest.email);
    await accept(guest.client, token);
    expect(await accept(guest.client, token)).toEqual(notFound);
    const { id } = await server.services.db.member.findFirstOrThrow({ where: { workspaceId, userId: guest.id } });
    await remove(owner.client, id);
    expect(await accept(guest.client, token)).toEqual(notFound);
    expect(await membersOf(owner.client, workspaceId)).toEqual([[owner.id, 'OWNER']]);
  });

  test('concurrently with one token creates one membership', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const { token } = await invited(owner.client, workspaceId, guest.email);
    const results = await Promise.all(Array.from({ length: 8 }, () => accept(guest.client, token)));
    expect(results.filter(({ __typename }) => __typename === 'AcceptInvitationPayload')).toHaveLength(1);
    expect(await membersOf(owner.client, workspaceId)).toHaveLength(2);
  });

  test('with an unknown, foreign, expired or revoked token returns the same NotFoundError', async () => {
    const server = await startServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const other = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const { token } = await invited(owner.client, workspaceId, guest.email);
    const revoked = await invited(owner.client, workspaceId, guest.email);
    await revoke(owner.client, revoked.id);
    expect(await accept(other.client, token)).toEqual(notFound);
    expect(await accept(guest.client, `tki_${'x'.repeat(43)}`)).toEqual(notFound);
    expect(await accept(guest.client, revoked.token)).toEqual(notFound);
    server.clock.advance(7 * dayMs);
    expect(await accept(guest.client, token)).toEqual(notFound);
    expect(await membersOf(owner.client, workspaceId)).toHaveLength(1);
  });

  test('a second invitation as a member is refused, and a member cannot be invited', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const first = await invited(owner.client, workspaceId, guest.email, 'MEMBER');
    const second = await invited(owner.client, workspaceId, guest.email, 'ADMIN');
    expectMember(await accept(guest.client, second.token), 'AcceptInvitationPayload');
    expect(await accept(guest.client, first.token)).toEqual({
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

  test('is not possible for a personal workspace, to which invitations are refused', async () => {
    const owner = await aPerson(await aServer());
    const { personalWorkspaceId: workspaceId } = owner;
    expect(await invite(owner.client, { workspaceId, email: 'a@example.com', role: 'MEMBER' })).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'A personal workspace has one member. Create an organization to work with others.',
    });
  });
});

describe('the list of invitations', () => {
  test('shows who invited whom, when it expires and its state, by the clock of the server', async () => {
    const server = await startServer();
    const owner = await aPerson(server, 'Ada');
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    await invited(owner.client, workspaceId, 'expired@example.com');
    server.clock.advance(7 * dayMs);
    const { token } = await invited(owner.client, workspaceId, guest.email);
    await accept(guest.client, token);
    await revoke(owner.client, (await invited(owner.client, workspaceId, 'revoked@example.com')).id);
    const pending = await invited(server.backend, workspaceId, 'pending@example.com', 'OWNER');

    const states = { PENDING: 'pending', REVOKED: 'revoked', EXPIRED: 'expired' } as const;
    const shown = (state: InvitationState, email: string) => ({
      id: expect.stringMatching(/^inv_/),
      email,
      role: state === 'PENDING' ? 'OWNER' : 'MEMBER',
      state,
      expiresAt: expect.any(String),
      revokedAt: state === 'REVOKED' ? expect.any(String) : null,
      invitedBy: state === 'PENDING' ? null : { id: owner.id, name: 'Ada' },
    });
    const all = await list(owner.client, workspaceId);
    expect(all).toEqual([
      shown('PENDING', 'pending@example.com'),
      shown('REVOKED', 'revoked@example.com'),
      shown('ACCEPTED', guest.email),
      shown('EXPIRED', 'expired@example.com'),
    ]);
    expect(all[0]?.expiresAt).toBe(pending.expiresAt);
    for (const [state, name] of Object.entries(states)) {
      expect(await list(owner.client, workspaceId, state as InvitationState)).toEqual([
        shown(state as InvitationState, `${name}@example.com`),
      ]);
    }
    expect(await list(owner.client, workspaceId, 'ACCEPTED')).toEqual([shown('ACCEPTED', guest.email)]);
  });

  test('is paged, with and without a filter', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const emails = ['1@example.com', '2@example.com', '3@example.com'];
    for (const email of emails) {
      await invited(owner.client, workspaceId, email);
      await revoke(owner.client, (await invited(owner.client, workspaceId, `revoked-${email}`)).id);
    }
    for (const [state, first, expected] of [
      [null, 4, ['revoked-3@example.com', '3@example.com', 'revoked-2@example.com', '2@example.com']],
      ['PENDING', 2, ['3@example.com', '2@example.com']],
    ] as const) {
      const { workspace } = await owner.client.run(listDocument, { id: workspaceId, state, first });
      expect(workspace?.invitations.nodes.map(({ email }) => email)).toEqual(expected);
      expect(workspace?.invitations.pageInfo.hasNextPage).toBe(true);
      const after = workspace?.invitations.pageInfo.endCursor ?? '';
      const next = await owner.client.run(listDocument, { id: workspaceId, state, first, after });
      expect(next.workspace?.invitations.nodes.map(({ email }) => email)).toEqual(
        state === null ? ['revoked-1@example.com', '1@example.com'] : ['1@example.com'],
      );
      expect(next.workspace?.invitations.pageInfo.hasNextPage).toBe(false);
    }
  });
});

describe('revokeInvitation', () => {
  test('ends an invitation, is audited, and does nothing when it is repeated', async () => {
    const server = await startServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const { id, token } = await invited(owner.client, workspaceId, guest.email);
    const first = await revoke(owner.client, id);
    expect(first).toEqual({
      __typename: 'RevokeInvitationPayload',
      invitation: { id, state: 'REVOKED', revokedAt: expect.any(String) },
    });
    const { revokedAt } = expectMember(first, 'RevokeInvitationPayload').invitation;
    expect(await accept(guest.client, token)).toEqual(notFound);

    server.clock.advance(8 * dayMs);
    expect(await revoke(server.backend, id)).toEqual(first);
    const { auditEvents } = await owner.client.run(auditDocument, { workspaceId });
    expect(auditEvents.nodes).toEqual([
      {
        subjectId: id,
        actor: { principalId: owner.id },
        before: { email: guest.email, role: 'MEMBER', revokedAt: null },
        after: { email: guest.email, role: 'MEMBER', revokedAt },
      },
    ]);
  });

  test('leaves no hash of the token, so that a process of the previous release refuses it too', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const { id, token } = await invited(owner.client, workspaceId, 'guest@example.com');
    await revoke(owner.client, id);
    expect(await server.services.db.invitation.count({ where: { tokenHash: hashSecret(token) } })).toBe(0);
    expect(await server.services.db.invitation.count({ where: { tokenHash: hashSecret(id) } })).toBe(0);
  });

  test('needs member:invite and a role that is at least the role of the invitation', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const admin = await aMember(server, owner, workspaceId, 'ADMIN');
    const inviter = await aMember(server, owner, workspaceId, 'MEMBER');
    await update(owner.client, { memberId: inviter.memberId, permissions: ['member:invite'] });
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    const stranger = await aPerson(server);

    const asOwner = await invited(owner.client, workspaceId, 'owner@example.com', 'OWNER');
    const asAdmin = await invited(owner.client, workspaceId, 'admin@example.com', 'ADMIN');
    const own = await invited(inviter.client, workspaceId, 'member@example.com', 'MEMBER');
    const forbidden = {
      __typename: 'ForbiddenError',
      code: 'FORBIDDEN',
      permission: 'member:invite',
      message: expect.any(String),
    };
    expect(await revoke(admin.client, asOwner.id)).toEqual(forbidden);
    expect(await revoke(inviter.client, asAdmin.id)).toEqual(forbidden);
    expect(await revoke(member.client, own.id)).toEqual(forbidden);
    const unknown = { ...notFound, field: 'input.invitationId' };
    expect(await revoke(stranger.client, own.id)).toEqual(unknown);
    expect(await revoke(stranger.client, 'inv_0')).toEqual(unknown);
    expect(await statesOf(owner.client, workspaceId)).toMatchObject({
      'owner@example.com': 'PENDING',
      'admin@example.com': 'PENDING',
      'member@example.com': 'PENDING',
    });

    expect(await revoke(inviter.client, own.id)).toMatchObject({ invitation: { state: 'REVOKED' } });
    expect(await revoke(admin.client, asAdmin.id)).toMatchObject({ invitation: { state: 'REVOKED' } });
    expect(await revoke(server.backend, asOwner.id)).toMatchObject({ invitation: { state: 'REVOKED' } });
  });

  test('refuses an accepted and an expired invitation with a ConflictError', async () => {
    const server = await startServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const accepted = await invited(owner.client, workspaceId, guest.email);
    await accept(guest.client, accepted.token);
    expect(await revoke(owner.client, accepted.id)).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'The invitation was accepted. Remove the member instead.',
    });
    const expired = await invited(owner.client, workspaceId, 'late@example.com');
    server.clock.advance(7 * dayMs);
    expect(await revoke(owner.client, expired.id)).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'The invitation has expired. It can no longer be accepted.',
    });
  });

  test('and accepting concurrently: one of them wins', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    for (let round = 0; round < 10; round += 1) {
      const workspaceId = await anOrganization(owner);
      const { id, token } = await invited(owner.client, workspaceId, guest.email);
      const earlier = round % 2 === 0 ? accept(guest.client, token) : null;
      const [revoked, accepted] = await Promise.all([revoke(owner.client, id), earlier ?? accept(guest.client, token)]);
      const joined = accepted.__typename === 'AcceptInvitationPayload';
      expect(revoked.__typename).toBe(joined ? 'ConflictError' : 'RevokeInvitationPayload');
      expect(await membersOf(owner.client, workspaceId)).toHaveLength(joined ? 2 : 1);
      expect(await statesOf(owner.client, workspaceId)).toEqual({ [guest.email]: joined ? 'ACCEPTED' : 'REVOKED' });
    }
  });
});

describe('a change of a member revokes the invitations that they can no longer send:', () => {
  test('a removed co-owner cannot return with a second account and remove the founder', async () => {
    const server = await aServer();
    const { founder, other, workspaceId, memberId } = await twoOwners(server);
    const second = await aPerson(server, 'Second account');
    const { id, token } = await invited(other.client, workspaceId, second.email, 'OWNER');

    expect(await remove(founder.client, memberId)).toBe('RemoveMemberPayload');
    expect(await accept(second.client, token)).toEqual(notFound);
    expect(await membersOf(second.client, workspaceId)).toBeUndefined();
    expect(await membersOf(founder.client, workspaceId)).toEqual([[founder.id, 'OWNER']]);
    const { db } = server.services;
    const founding = await db.member.findFirstOrThrow({ where: { workspaceId, userId: founder.id } });
    expect(await remove(second.client, founding.id)).toBe('NotFoundError');

    expect(await statesOf(founder.client, workspaceId)).toMatchObject({ [second.email]: 'REVOKED' });
    const { auditEvents } = await founder.client.run(auditDocument, { workspaceId });
    expect(auditEvents.nodes).toMatchObject([{ subjectId: id, actor: { principalId: founder.id } }]);
  });

  test('a member who leaves', async () => {
    const server = await aServer();
    const { founder, other, workspaceId, memberId } = await twoOwners(server);
    const { token } = await invited(other.client, workspaceId, founder.email.replace('@', '+second@'), 'MEMBER');
    const kept = await invited(founder.client, workspaceId, 'kept@example.com', 'OWNER');
    expect(await remove(other.client, memberId)).toBe('RemoveMemberPayload');
    expect(await server.services.db.invitation.count({ where: { tokenHash: hashSecret(token) } })).toBe(0);
    expect(await list(founder.client, workspaceId, 'PENDING')).toMatchObject([{ id: kept.id }]);
  });

  test('a removed member cannot return with an older invitation to their own address', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const guest = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const older = await invited(owner.client, workspaceId, guest.email, 'OWNER');
    const memberId = await join(owner, workspaceId, guest, 'MEMBER');
    await remove(owner.client, memberId);
    expect(await accept(guest.client, older.token)).toEqual(notFound);
    // An invitation after the removal is a new decision.
    const { token } = await invited(owner.client, workspaceId, guest.email);
    expectMember(await accept(guest.client, token), 'AcceptInvitationPayload');
  });

  test('a lowered role, and a withdrawn permission to invite', async () => {
    const server = await aServer();
    const { founder, other, workspaceId, memberId } = await twoOwners(server);
    const roles = ['OWNER', 'ADMIN', 'MEMBER'] as const;
    for (const role of roles) await invited(other.client, workspaceId, `${role}@example.com`, role);
    await invited(founder.client, workspaceId, 'kept@example.com', 'OWNER');
    const pending = async () => (await list(founder.client, workspaceId, 'PENDING')).map(({ email }) => email);

    await update(founder.client, { memberId, role: 'ADMIN', permissions: ['member:invite'] });
    expect(await pending()).toEqual(['kept@example.com', 'member@example.com', 'admin@example.com']);
    await update(founder.client, { memberId, role: 'MEMBER' });
    expect(await pending()).toEqual(['kept@example.com', 'member@example.com']);
    await update(founder.client, { memberId, permissions: ['settings:manage'] });
    expect(await pending()).toEqual(['kept@example.com']);
    const { auditEvents } = await founder.client.run(auditDocument, { workspaceId });
    expect(auditEvents.nodes).toHaveLength(3);
  });

  test('only those to the workspace of the change', async () => {
    const server = await aServer();
    const { founder, other, workspaceId, memberId } = await twoOwners(server);
    const elsewhere = await anOrganization(other);
    await invited(other.client, elsewhere, 'guest@example.com');
    await invited(other.client, workspaceId, 'guest@example.com');
    await remove(founder.client, memberId);
    expect(await statesOf(other.client, elsewhere)).toEqual({ 'guest@example.com': 'PENDING' });
    expect(await statesOf(founder.client, workspaceId)).toMatchObject({ 'guest@example.com': 'REVOKED' });
  });

  test('an invitation whose sender was removed by a process of the previous release is refused', async () => {
    const server = await aServer();
    const { other, workspaceId, memberId } = await twoOwners(server);
    const guest = await aPerson(server);
    const { token } = await invited(other.client, workspaceId, guest.email);
    await server.services.db.member.delete({ where: { id: memberId } });
    expect(await accept(guest.client, token)).toEqual(notFound);
  });

  test('if the inviter is removed while the invitation is accepted, one of them comes first', async () => {
    const server = await aServer();
    for (let round = 0; round < 6; round += 1) {
      const { founder, other, workspaceId, memberId } = await twoOwners(server);
      const second = await aPerson(server);
      const { token } = await invited(other.client, workspaceId, second.email, 'OWNER');
      const [accepted, removed] = await Promise.all([accept(second.client, token), remove(founder.client, memberId)]);
      expect(removed).toBe('RemoveMemberPayload');
      const joined = accepted.__typename === 'AcceptInvitationPayload';
      if (!joined) expect(accepted).toEqual(notFound);
      expect(await statesOf(founder.client, workspaceId)).toMatchObject({
        [second.email]: joined ? 'ACCEPTED' : 'REVOKED',
      });
      expect(await membersOf(founder.client, workspaceId)).toHaveLength(joined ? 2 : 1);
    }
  });

  test('a member who is removed while they invite leaves no open invitation', async () => {
    const server = await aServer();
    for (let round = 0; round < 6; round += 1) {
      const { founder, other, workspaceId, memberId } = await twoOwners(server);
      await Promise.all([
        ...Array.from({ length: 4 }, (_, index) =>
          invite(other.client, { workspaceId, email: `${index}@example.com`, role: 'OWNER' }),
        ),
        remove(founder.client, memberId),
      ]);
      expect(await list(founder.client, workspaceId, 'PENDING')).toEqual([]);
    }
  });
});

describe('open invitations are limited:', () => {
  const perInviter = {
    __typename: 'LimitReachedError',
    code: 'LIMIT_REACHED',
    limit: 20,
    message:
      'A person can have sent at most 20 open invitations. Revoke one, or wait until one is accepted or expires.',
  };
  const perWorkspace = {
    __typename: 'LimitReachedError',
    code: 'LIMIT_REACHED',
    limit: 100,
    message: 'A workspace can have at most 100 open invitations. Revoke one, or wait until one is accepted or expires.',
  };
  const payloads = (results: readonly string[]) => results.filter((name) => name === 'InviteMemberPayload').length;

  test('20 per inviter, over all workspaces', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const admin = await aMember(server, owner, workspaceId, 'ADMIN');
    expect(payloads(await inviteMany(owner.client, workspaceId, 20))).toBe(20);
    const input = { workspaceId, email: 'one-more@example.com', role: 'MEMBER' } as const;
    expect(await invite(owner.client, input)).toEqual(perInviter);
    expect(await invite(owner.client, { ...input, workspaceId: await anOrganization(owner) })).toEqual(perInviter);
    expectMember(await invite(admin.client, input), 'InviteMemberPayload');
    expectMember(await invite(server.backend, input), 'InviteMemberPayload');
  });

  test('100 per workspace', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    expect(payloads(await inviteMany(server.backend, workspaceId, 100))).toBe(100);
    const input = { workspaceId, email: 'one-more@example.com', role: 'MEMBER' } as const;
    expect(await invite(owner.client, input)).toEqual(perWorkspace);
    expect(await invite(server.backend, input)).toEqual(perWorkspace);
  });

  test('expired, accepted and revoked ones do not count', async () => {
    const server = await startServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    await inviteMany(owner.client, workspaceId, 20);
    await inviteMany(server.backend, workspaceId, 80);
    server.clock.advance(7 * dayMs);
    await join(owner, workspaceId, await aPerson(server), 'MEMBER');
    await revoke(owner.client, (await invited(owner.client, workspaceId, 'revoked@example.com')).id);
    expect(payloads(await inviteMany(owner.client, workspaceId, 20))).toBe(20);
    expect(payloads(await inviteMany(server.backend, workspaceId, 80))).toBe(80);
    const input = { workspaceId, email: 'one-more@example.com', role: 'MEMBER' } as const;
    expect(await invite(server.backend, input)).toEqual(perWorkspace);
  });

  test('also if they are sent concurrently', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    // Many workspaces, because the lock of one orders the invitations to it.
    const workspaceIds: string[] = [];
    while (workspaceIds.length < 13) workspaceIds.push(await anOrganization(owner));
    const [workspaceId = ''] = workspaceIds;
    const results = await Promise.all(
      Array.from({ length: 26 }, (_, index) =>
        invite(owner.client, {
          workspaceId: workspaceIds[index % workspaceIds.length] ?? '',
          email: `c${index}@example.com`,
          role: 'MEMBER',
        }),
      ),
    );
    expect(payloads(results.map(({ __typename }) => __typename))).toBe(20);
    expect(results.filter(({ __typename }) => __typename !== 'InviteMemberPayload')).toEqual(Array(6).fill(perInviter));

    const open = (await list(owner.client, workspaceId, 'PENDING')).length;
    await inviteMany(server.backend, workspaceId, 96 - open);
    const last = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        invite(server.backend, { workspaceId, email: `d${index}@example.com`, role: 'MEMBER' }),
      ),
    );
    expect(payloads(last.map(({ __typename }) => __typename))).toBe(4);
  });
});
