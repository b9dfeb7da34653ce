import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { anOrganization, aPerson, password } from '../factories.js';
import { graphql } from '../generated/index.js';
import { expectMember, startServer, type TestServer } from '../harness.js';

const inviteDocument = graphql(`
  mutation InviteToSignUp($input: InviteMemberInput!) {
    inviteMember(input: $input) { __typename ... on InviteMemberPayload { token } ... on Error { code message } }
  }
`);

function signUp(server: TestServer, email: string): Promise<Response> {
  return server.fetch('/api/auth/sign-up/email', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Grace', email, password }),
  });
}

const anAddress = () => `${randomUUID()}@example.com`;
const weekMs = 7 * 24 * 60 * 60 * 1000;

describe('TOLLKEEPER_SIGN_UP=invited', () => {
  test('admits an address with an open invitation, in any case, and no other', async () => {
    const open = await startServer({ products: ['default'] });
    const server = await startServer({ products: ['default'], signUp: 'invited' });
    const owner = await aPerson(open);
    const workspaceId = await anOrganization(owner);
    const invited = anAddress();
    const { inviteMember } = await owner.client.run(inviteDocument, {
      input: { workspaceId, email: invited, role: 'MEMBER' },
    });
    expectMember(inviteMember, 'InviteMemberPayload');

    const stranger = anAddress();
    const refused = await signUp(server, stranger);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toEqual({
      code: 'INVITATION_REQUIRED',
      message: expect.stringContaining('invite'),
      requestId: expect.any(String),
    });
    expect(await server.services.db.user.count({ where: { email: stranger } })).toBe(0);
    expect((await signUp(server, invited.toUpperCase())).status).toBe(200);
  });

  test('refuses an address whose invitation has expired', async () => {
    const open = await startServer({ products: ['default'] });
    const server = await startServer({ products: ['default'], signUp: 'invited' });
    const owner = await aPerson(open);
    const workspaceId = await anOrganization(owner);
    const invited = anAddress();
    await owner.client.run(inviteDocument, { input: { workspaceId, email: invited, role: 'MEMBER' } });
    server.clock.advance(weekMs + 1_000);
    expect((await signUp(server, invited)).status).toBe(403);
  });
});

test('TOLLKEEPER_SIGN_UP=closed admits no address, and existing users still sign in', async () => {
  const open = await startServer({ products: ['default'] });
  const server = await startServer({ products: ['default'], signUp: 'closed' });
  const { email } = await aPerson(open);
  const refused = await signUp(server, anAddress());
  expect(refused.status).toBe(403);
  expect(await refused.json()).toMatchObject({ code: 'SIGN_UP_CLOSED', message: expect.stringContaining('closed') });
  const signedIn = await server.fetch('/api/auth/sign-in/email', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  expect(signedIn.status).toBe(200);
});
