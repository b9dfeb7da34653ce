import { randomBytes } from 'node:crypto';
import type { ChargeInput, CreateApiKeyInput, CredentialInput, Role, VerifyApiKeyInput } from './generated/graphql.js';
import { graphql } from './generated/index.js';
import { aServer, type Client, expectMember, type TestServer } from './harness.js';

const viewerDocument = graphql(`
  query ViewerOfFactory {
    viewer { user { id } workspace { id } }
  }
`);

const createWorkspaceDocument = graphql(`
  mutation CreateWorkspaceOfFactory($input: CreateWorkspaceInput!) {
    createWorkspace(input: $input) { __typename ... on CreateWorkspacePayload { workspace { id } } ... on Error { code message } }
  }
`);

const inviteDocument = graphql(`
  mutation InviteOfFactory($input: InviteMemberInput!) {
    inviteMember(input: $input) { __typename ... on InviteMemberPayload { token } ... on Error { code message } }
  }
`);

const acceptDocument = graphql(`
  mutation AcceptOfFactory($input: AcceptInvitationInput!) {
    acceptInvitation(input: $input) { __typename ... on AcceptInvitationPayload { member { id } } ... on Error { code message } }
  }
`);

const createApiKeyDocument = graphql(`
  mutation CreateApiKeyOfFactory($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      __typename
      ... on CreateApiKeyPayload {
        secret
        signingSecret
        freeCreditsRemaining
        apiKey { id keyId preview status permissions allowedOrigins environment product }
      }
      ... on Error { code message }
    }
  }
`);

const grantDocument = graphql(`
  mutation GrantOfFactory($input: GrantCreditsInput!) {
    grantCredits(input: $input) { __typename ... on GrantCreditsPayload { credits { balance } } ... on Error { code message } }
  }
`);

const revokeDocument = graphql(`
  mutation RevokeOfFactory($input: RevokeApiKeyInput!) {
    revokeApiKey(input: $input) { __typename ... on RevokeApiKeyPayload { apiKey { id status } } ... on Error { code message } }
  }
`);

const rotateDocument = graphql(`
  mutation RotateOfFactory($input: RotateApiKeyInput!) {
    rotateApiKey(input: $input) {
      __typename
      ... on RotateApiKeyPayload {
        secret
        oldSecretsRetireAt
        apiKey { id keyId preview status secrets { id preview createdAt lastUsedAt retiresAt } }
      }
      ... on Error { code message }
      ... on ValidationError { field }
      ... on LimitReachedError { limit }
      ... on ForbiddenError { permission }
    }
  }
`);

const verifyDocument = graphql(`
  mutation VerifyOfFactory($input: VerifyApiKeyInput!) {
    verifyApiKey(input: $input) {
      valid
      code
      rejection { status code message }
      apiKey { id name }
      workspace { id }
      billable
      watermark
      charge { id credits balanceAfter replayed state }
      rateLimits { limit windowSeconds remaining resetAt }
      headers { name value }
    }
  }
`);

/** Sends a request to an endpoint of sign-in and sessions, such as `/sign-up/email`. */
export function postAuth(
  { fetch }: Pick<TestServer, 'fetch'>,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(`/api/auth${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** A person who signed up, with a client that sends their session token. */
export interface Person {
  readonly id: string;
  readonly email: string;
  readonly token: string;
  readonly cookie: string;
  readonly personalWorkspaceId: string;
  readonly client: Client;
}

/** The password of everyone who signs up in a test. */
export const password = 'correct horse battery';

/** Signs up a new person, who has only their PERSONAL workspace. */
export async function aPerson(server: Pick<TestServer, 'fetch' | 'anonymous'>, name = 'Ada'): Promise<Person> {
  const email = `${randomBytes(8).toString('hex')}@example.com`;
  const response = await postAuth(server, '/sign-up/email', { name, email, password });
  if (response.status !== 200) throw new Error(await response.text());
  const { token } = (await response.json()) as { token: string };
  const client = server.anonymous.with({ authorization: `Bearer ${token}` });
  const { viewer } = await client.run(viewerDocument);
  if (!viewer?.user || !viewer.workspace) throw new Error('A person sees themselves and their workspace.');
  const cookie = response.headers
    .getSetCookie()
    .map((line) => line.split(';', 1)[0])
    .join('; ');
  return { id: viewer.user.id, email, token, cookie, personalWorkspaceId: viewer.workspace.id, client };
}

/** A key of a product in the PERSONAL workspace of a new person, created by the backend. */
export async function aKeyOf(server: TestServer, product: string) {
  const { personalWorkspaceId } = await aPerson(server);
  return createApiKey(server.backend, { workspaceId: personalWorkspaceId, name: 'test', product });
}

/** Creates an organization of a person. @returns its id */
export async function anOrganization(owner: Person, name = 'Acme'): Promise<string> {
  const { createWorkspace } = await owner.client.run(createWorkspaceDocument, { input: { name } });
  return expectMember(createWorkspace, 'CreateWorkspacePayload').workspace.id;
}

/** A new person who joins a workspace through an invitation by its owner. */
export async function aMember(
  server: TestServer,
  owner: Person,
  workspaceId: string,
  role: Role,
): Promise<Person & { memberId: string }> {
  const person = await aPerson(server, 'Grace');
  const { inviteMember } = await owner.client.run(inviteDocument, {
    input: { workspaceId, email: person.email, role },
  });
  const { token } = expectMember(inviteMember, 'InviteMemberPayload');
  const { acceptInvitation } = await person.client.run(acceptDocument, { input: { token } });
  return { ...person, memberId: expectMember(acceptInvitation, 'AcceptInvitationPayload').member.id };
}

/** The payload or the error of `createApiKey`. */
export async function tryCreateApiKey(client: Client, input: CreateApiKeyInput) {
  return (await client.run(createApiKeyDocument, { input })).createApiKey;
}

/** Creates a key. @throws Error if it is refused */
export async function createApiKey(client: Client, input: CreateApiKeyInput) {
  return expectMember(await tryCreateApiKey(client, input), 'CreateApiKeyPayload');
}

export async function revokeApiKey(client: Client, apiKeyId: string, reason?: string) {
  const { revokeApiKey } = await client.run(revokeDocument, { input: { apiKeyId, ...(reason && { reason }) } });
  return expectMember(revokeApiKey, 'RevokeApiKeyPayload').apiKey;
}

/** The payload or the error of `rotateApiKey`. */
export async function tryRotateApiKey(client: Client, apiKeyId: string, overlapSeconds: number) {
  return (await client.run(rotateDocument, { input: { apiKeyId, overlapSeconds } })).rotateApiKey;
}

/** Rotates the secret of a key. @throws Error if it is refused */
export async function rotateApiKey(client: Client, apiKeyId: string, overlapSeconds: number) {
  return expectMember(await tryRotateApiKey(client, apiKeyId, overlapSeconds), 'RotateApiKeyPayload');
}

/** @returns the balance afterwards. */
export async function grantCredits(
  server: Pick<TestServer, 'backend'>,
  workspaceId: string,
  credits: number,
  idempotencyKey?: string,
) {
  const input = { workspaceId, credits, ...(idempotencyKey && { idempotencyKey }) };
  const { grantCredits } = await server.backend.run(grantDocument, { input });
  return expectMember(grantCredits, 'GrantCreditsPayload').credits.balance;
}

/** Verifies a credential as the backend: a bearer secret, or any input. */
export async function verify(
  server: Pick<TestServer, 'backend'>,
  credential: string | CredentialInput,
  rest: Omit<VerifyApiKeyInput, 'credential'> = {},
) {
  const input = { credential: typeof credential === 'string' ? { bearer: credential } : credential, ...rest };
  return (await server.backend.run(verifyDocument, { input })).verifyApiKey;
}

/** Like {@link verify}, with a charge. */
export function charge(server: TestServer, secret: string, charge: ChargeInput) {
  return verify(server, secret, { charge });
}

/** A person with a workspace of their own and a server that sells one product first. */
export async function aWorkspaceWith({
  product,
  kind = 'PERSONAL',
}: {
  product: string;
  kind?: 'PERSONAL' | 'ORGANIZATION';
}) {
  const server = await aServer({ products: [product] });
  const owner = await aPerson(server);
  const workspaceId = kind === 'PERSONAL' ? owner.personalWorkspaceId : await anOrganization(owner);
  return { server, owner, workspaceId };
}

/**
 * Lets an existing person join a workspace through an invitation by its owner. @returns the id of the
 * membership
 */
export async function join(owner: Person, workspaceId: string, person: Person, role: Role): Promise<string> {
  const { inviteMember } = await owner.client.run(inviteDocument, {
    input: { workspaceId, email: person.email, role },
  });
  const { token } = expectMember(inviteMember, 'InviteMemberPayload');
  const { acceptInvitation } = await person.client.run(acceptDocument, { input: { token } });
  return expectMember(acceptInvitation, 'AcceptInvitationPayload').member.id;
}
