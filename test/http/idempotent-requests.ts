import type { Answer, Client, TestServer } from '../harness.js';

export type Data = Record<string, Record<string, unknown>>;

/** The same client with this Idempotency-Key on every request. */
export function under(client: Client, key: string): Client {
  return client.with({ ...client.headers, 'idempotency-key': key });
}

export const createKey = `mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) {
    __typename
    ... on CreateApiKeyPayload { secret signingSecret freeCreditsRemaining apiKey { id name createdAt } }
    ... on SecretUnavailableError { subjectId }
    ... on Error { code message }
  }
}`;

export const rename = `mutation ($input: UpdateWorkspaceInput!) {
  updateWorkspace(input: $input) { __typename ... on UpdateWorkspacePayload { workspace { id name } } ... on Error { code message } }
}`;

export const grant = `mutation ($input: GrantCreditsInput!) {
  grantCredits(input: $input) {
    __typename
    ... on GrantCreditsPayload { replayed entry { id credits balanceAfter } credits { balance } }
    ... on Error { code message }
  }
}`;

export const rotateSigningSecret = `mutation ($input: RotateSigningSecretInput!) {
  rotateSigningSecret(input: $input) {
    __typename
    ... on RotateSigningSecretPayload { signingSecret apiKey { id } }
    ... on Error { code message }
  }
}`;

export const invite = `mutation ($input: InviteMemberInput!) {
  inviteMember(input: $input) {
    __typename
    ... on InviteMemberPayload { token invitation { id email } }
    ... on SecretUnavailableError { subjectId }
    ... on Error { code message }
  }
}`;

export const updateMember = `mutation ($input: UpdateMemberInput!) {
  updateMember(input: $input) { __typename ... on UpdateMemberPayload { member { id role } } ... on Error { code } }
}`;

export const removeMember = `mutation ($input: RemoveMemberInput!) {
  removeMember(input: $input) { __typename ... on RemoveMemberPayload { removedMemberId } ... on Error { code } }
}`;

export const verifyKey = `mutation ($input: VerifyApiKeyInput!) {
  verifyApiKey(input: $input) {
    code
    apiKey { id }
    charge { id credits balanceAfter replayed state }
    rateLimits { remaining windowSeconds }
  }
}`;

export const verifyKeys = `mutation ($inputs: [VerifyApiKeyInput!]!) {
  verifyApiKeys(inputs: $inputs) { code charge { id credits replayed } }
}`;

/** The values of the replay headers. */
export function replayOf({ headers }: Answer<unknown>) {
  return {
    replayed: headers.get('idempotency-replayed'),
    bodyDiffers: headers.get('idempotency-body-differs'),
  };
}

export const first = { replayed: null, bodyDiffers: null };
export const replayed = { replayed: 'true', bodyDiffers: null };
export const replayedForAnotherBody = { replayed: 'true', bodyDiffers: 'true' };

/** The status and errors of a request that failed as a whole. */
export function refusal({ status, data, errors }: Answer<unknown>) {
  return {
    status,
    data,
    codes: errors.map(({ extensions }) => extensions?.code),
    messages: errors.map((e) => e.message),
  };
}

/** The payload of the only mutation of a document. */
export function payloadOf<Payload>({ data, errors }: Answer<Data>): Payload {
  const [payload] = Object.values(data ?? {});
  if (payload === undefined) throw new Error(`There is no payload: ${JSON.stringify(errors)}`);
  return payload as Payload;
}

/** The number of API keys of a workspace. */
export async function keysOf(server: TestServer, workspaceId: string): Promise<number> {
  return server.services.db.apiKey.count({ where: { workspaceId } });
}
