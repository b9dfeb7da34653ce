import type {
  CreateApiKeyInput,
  DisableFeatureInput,
  EnableFeatureInput,
  UpdateApiKeyInput,
  UpdateMemberInput,
} from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import type { Client, TestServer } from '../harness.js';

/** Operations for what the vendors’ documents do in a dashboard, a portal or a route. */

const productsDocument = graphql(`
  query ProductsOfVendors {
    products {
      slug
      headers
      keyFormats { environment prefix length alphabet checksum }
      permissions { name grantable feature }
      features { name customerSwitches }
      prices { action credits unit }
      freeCredits
      rateLimits { limit windowSeconds }
      activeKeysMax
      signingSecrets
    }
  }
`);

/** The public descriptions of the products that a server sells. */
export async function productsOf(server: TestServer) {
  return (await server.anonymous.run(productsDocument)).products;
}

const createApiKeyDocument = graphql(`
  mutation CreateApiKeyOfVendors($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      __typename
      ... on CreateApiKeyPayload { apiKey { name product createdBy { id } workspace { id } } }
      ... on Error { code message }
      ... on ForbiddenError { permission }
      ... on NotFoundError { field }
      ... on LimitReachedError { limit }
      ... on ValidationError { field }
    }
  }
`);

/** Creates a key. @returns the payload or the error. */
export async function askForKey(client: Client, input: CreateApiKeyInput) {
  return (await client.run(createApiKeyDocument, { input })).createApiKey;
}

const keysDocument = graphql(`
  query KeysOfVendors($workspaceId: ID) {
    apiKeys(workspaceId: $workspaceId) { nodes { id name preview status } }
  }
`);

/** The keys visible to a principal, newest first. */
export async function keysOf(client: Client, workspaceId?: string) {
  const { apiKeys } = await client.run(keysDocument, { workspaceId: workspaceId ?? null });
  return apiKeys.nodes;
}

const keyDocument = graphql(`
  query KeyOfVendors($id: ID!) {
    apiKey(id: $id) {
      id name preview status permissions createdAt lastUsedAt revokedAt revocationReason
      signingSecretPreview signingSecretRotatedAt
    }
  }
`);

/** A key, or null if the principal cannot read it. */
export async function keyOf(client: Client, id: string) {
  return (await client.run(keyDocument, { id })).apiKey;
}

const updateApiKeyDocument = graphql(`
  mutation UpdateApiKeyOfVendors($input: UpdateApiKeyInput!) {
    updateApiKey(input: $input) {
      __typename
      ... on UpdateApiKeyPayload { apiKey { id name status allowedOrigins } }
      ... on Error { code message }
      ... on ForbiddenError { permission }
      ... on NotFoundError { field }
      ... on LimitReachedError { limit }
    }
  }
`);

export async function updateApiKey(client: Client, input: UpdateApiKeyInput) {
  return (await client.run(updateApiKeyDocument, { input })).updateApiKey;
}

const revokeDocument = graphql(`
  mutation RevokeOfVendors($apiKeyId: ID!) {
    revokeApiKey(input: { apiKeyId: $apiKeyId }) {
      __typename
      ... on RevokeApiKeyPayload { apiKey { id status } }
      ... on Error { code message }
      ... on ForbiddenError { permission }
      ... on NotFoundError { field }
    }
  }
`);

/** Revokes a key. @returns the payload or the error. */
export async function askToRevoke(client: Client, apiKeyId: string) {
  return (await client.run(revokeDocument, { apiKeyId })).revokeApiKey;
}

const deleteDocument = graphql(`
  mutation DeleteOfVendors($apiKeyId: ID!) {
    deleteApiKey(input: { apiKeyId: $apiKeyId }) {
      __typename
      ... on DeleteApiKeyPayload { deletedApiKeyId }
      ... on Error { code message }
      ... on ForbiddenError { permission }
      ... on NotFoundError { field }
    }
  }
`);

export async function deleteApiKey(client: Client, apiKeyId: string) {
  return (await client.run(deleteDocument, { apiKeyId })).deleteApiKey;
}

const rotateDocument = graphql(`
  mutation RotateOfVendors($apiKeyId: ID!) {
    rotateSigningSecret(input: { apiKeyId: $apiKeyId }) {
      __typename
      ... on RotateSigningSecretPayload {
        signingSecret
        signingSecretRotatedAt
        apiKey { id preview status signingSecretPreview signingSecretRotatedAt }
      }
      ... on Error { code message }
      ... on ForbiddenError { permission }
      ... on NotFoundError { field }
    }
  }
`);

export async function rotateSigningSecret(client: Client, apiKeyId: string) {
  return (await client.run(rotateDocument, { apiKeyId })).rotateSigningSecret;
}

const creditsDocument = graphql(`
  query CreditsOfVendors($workspaceId: ID) {
    credits(workspaceId: $workspaceId) { balance held available }
  }
`);

/** The credits of a workspace, by default the principal’s own. Null without permission. */
export async function creditsOf(client: Client, workspaceId?: string) {
  return (await client.run(creditsDocument, { workspaceId: workspaceId ?? null })).credits;
}

const ledgerDocument = graphql(`
  query LedgerOfVendors($workspaceId: ID) {
    credits(workspaceId: $workspaceId) { entries { nodes { kind credits balanceAfter action apiKeyId } } }
  }
`);

/** The ledger entries of a workspace, newest first. */
export async function ledgerOf(client: Client, workspaceId: string) {
  return (await client.run(ledgerDocument, { workspaceId })).credits?.entries.nodes;
}

const updateMemberDocument = graphql(`
  mutation UpdateMemberOfVendors($input: UpdateMemberInput!) {
    updateMember(input: $input) {
      __typename
      ... on UpdateMemberPayload { member { id role permissions } }
      ... on Error { code message }
    }
  }
`);

export async function updateMember(client: Client, input: UpdateMemberInput) {
  return (await client.run(updateMemberDocument, { input })).updateMember;
}

const removeMemberDocument = graphql(`
  mutation RemoveMemberOfVendors($memberId: ID!) {
    removeMember(input: { memberId: $memberId }) {
      __typename
      ... on RemoveMemberPayload { removedMemberId }
      ... on Error { code message }
    }
  }
`);

export async function removeMember(client: Client, memberId: string) {
  return (await client.run(removeMemberDocument, { memberId })).removeMember;
}

const enableFeatureDocument = graphql(`
  mutation EnableFeatureOfVendors($input: EnableFeatureInput!) {
    enableFeature(input: $input) {
      __typename
      ... on EnableFeaturePayload { workspace { id features { product feature } } }
      ... on Error { code message }
      ... on ForbiddenError { permission }
    }
  }
`);

export async function enableFeature(client: Client, input: EnableFeatureInput) {
  return (await client.run(enableFeatureDocument, { input })).enableFeature;
}

const disableFeatureDocument = graphql(`
  mutation DisableFeatureOfVendors($input: DisableFeatureInput!) {
    disableFeature(input: $input) {
      __typename
      ... on DisableFeaturePayload { workspace { id features { product feature } } }
      ... on Error { code message }
    }
  }
`);

export async function disableFeature(client: Client, input: DisableFeatureInput) {
  return (await client.run(disableFeatureDocument, { input })).disableFeature;
}

const suspendDocument = graphql(`
  mutation SuspendOfVendors($workspaceId: ID!) {
    suspendWorkspace(input: { workspaceId: $workspaceId }) {
      __typename
      ... on SuspendWorkspacePayload { workspace { id } }
      ... on Error { code message }
    }
  }
`);

/** The operator suspends a workspace, whose keys are then refused. */
export async function suspendWorkspace(server: TestServer, workspaceId: string) {
  return (await server.backend.run(suspendDocument, { workspaceId })).suspendWorkspace;
}

const resumeDocument = graphql(`
  mutation ResumeOfVendors($workspaceId: ID!) {
    resumeWorkspace(input: { workspaceId: $workspaceId }) {
      __typename
      ... on ResumeWorkspacePayload { workspace { id } }
      ... on Error { code message }
    }
  }
`);

/** The operator resumes a workspace, whose keys are then accepted again. */
export async function resumeWorkspace(server: TestServer, workspaceId: string) {
  return (await server.backend.run(resumeDocument, { workspaceId })).resumeWorkspace;
}

const workspacesDocument = graphql(`
  query WorkspacesOfVendors {
    workspaces { nodes { id name kind } }
  }
`);

/** The workspaces visible to a principal, newest first. */
export async function workspacesOf(client: Client) {
  return (await client.run(workspacesDocument)).workspaces.nodes;
}

/** The response headers that the vendors’ documents specify. */
const promisedHeaders = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'retry-after'];

/** Sends a query to this server over HTTP, with the headers that a customer’s program would send. */
export async function ask(
  { fetch }: Pick<TestServer, 'fetch'>,
  headers: Readonly<Record<string, string>>,
  query = '{ viewer { apiKey { id } } }',
): Promise<{ status: number; body: unknown; headers: Record<string, string> }> {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
  const promised = promisedHeaders.flatMap((name) => {
    const value = response.headers.get(name);
    return value === null ? [] : [[name, value]];
  });
  return { status: response.status, body: await response.json(), headers: Object.fromEntries(promised) };
}

/** The Authorization header of a bearer key. */
export function bearer(secret: string): { authorization: string } {
  return { authorization: `Bearer ${secret}` };
}
