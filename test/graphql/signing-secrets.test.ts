import { expect, test } from 'vitest';
import { aMember, anOrganization, aPerson, createApiKey, revokeApiKey, verify } from '../factories.js';
import { graphql } from '../generated/index.js';
import { aServer, type Client, expectMember, startServer } from '../harness.js';

const rotateDocument = graphql(`
  mutation RotateOfSigningSecrets($input: RotateSigningSecretInput!) {
    rotateSigningSecret(input: $input) {
      __typename
      ... on RotateSigningSecretPayload {
        signingSecret
        signingSecretRotatedAt
        apiKey { id status preview signingSecretPreview signingSecretRotatedAt }
      }
      ... on Error { code message }
      ... on ForbiddenError { permission }
    }
  }
`);

const rotate = async (client: Client, apiKeyId: string) =>
  (await client.run(rotateDocument, { input: { apiKeyId } })).rotateSigningSecret;

test('a rotation replaces the signing secret immediately, returns the new one once, and does not change the key', async () => {
  const server = await startServer();
  const { client } = await aPerson(server);
  const { apiKey, secret, signingSecret } = await createApiKey(client, { name: 'ci' });
  server.clock.advance(60_000);
  const rotated = await rotate(client, apiKey.id);
  const { signingSecret: next, signingSecretRotatedAt } = expectMember(rotated, 'RotateSigningSecretPayload');
  expect(rotated).toEqual({
    __typename: 'RotateSigningSecretPayload',
    signingSecret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    signingSecretRotatedAt: expect.any(String),
    apiKey: {
      id: apiKey.id,
      status: 'ACTIVE',
      preview: secret.slice(-4),
      signingSecretPreview: next.slice(-4),
      signingSecretRotatedAt,
    },
  });
  expect(next).not.toBe(signingSecret);
  expect(Date.parse(signingSecretRotatedAt) - Date.now()).toBeGreaterThan(50_000);
  expect(await verify(server, secret)).toMatchObject({ code: 'VALID' });
});

test('concurrent rotations each return a different secret, and one is left', async () => {
  const server = await aServer();
  const { client } = await aPerson(server);
  const { apiKey } = await createApiKey(client, { name: 'ci' });
  const results = await Promise.all(Array.from({ length: 6 }, () => rotate(client, apiKey.id)));
  const secrets = results.map((result) => expectMember(result, 'RotateSigningSecretPayload').signingSecret);
  expect(new Set(secrets).size).toBe(6);
  const signing = await server.services.db.signingSecret.findMany({ where: { apiKeyId: apiKey.id, retiresAt: null } });
  expect(signing).toHaveLength(1);
});

test('a key rotates its own signing secret if its product allows it, and no other one', async () => {
  const server = await aServer();
  const { client } = await aPerson(server);
  const { apiKey, secret } = await createApiKey(client, { name: 'self', product: 'makistry' });
  const sibling = await createApiKey(client, { name: 'sibling', product: 'makistry' });
  const self = server.anonymous.with({ authorization: `Bearer ${secret}` });
  expectMember(await rotate(self, apiKey.id), 'RotateSigningSecretPayload');
  expect(await rotate(self, sibling.apiKey.id)).toMatchObject({ __typename: 'NotFoundError', code: 'NOT_FOUND' });

  const other = await createApiKey(client, { name: 'other', product: 'default' });
  const withoutPermission = server.anonymous.with({ authorization: `Bearer ${other.secret}` });
  await expect(rotate(withoutPermission, other.apiKey.id)).rejects.toThrow('FORBIDDEN');
});

test('a member rotates a signing secret only with the permission signingSecret:rotate', async () => {
  const server = await aServer();
  const owner = await aPerson(server);
  const workspaceId = await anOrganization(owner);
  const { client, memberId } = await aMember(server, owner, workspaceId, 'MEMBER');
  const { apiKey } = await createApiKey(owner.client, { workspaceId, name: 'ci' });
  expect(await rotate(client, apiKey.id)).toMatchObject({
    __typename: 'ForbiddenError',
    code: 'FORBIDDEN',
    permission: 'signingSecret:rotate',
  });
  await owner.client.send(
    'mutation ($id: ID!) { updateMember(input: { memberId: $id, permissions: ["signingSecret:rotate"] }) { __typename } }',
    { id: memberId },
  );
  expectMember(await rotate(client, apiKey.id), 'RotateSigningSecretPayload');
});

test('rotating a signing secret is refused for products without signing secrets and for revoked keys', async () => {
  const { client } = await aPerson(await aServer());
  const masko = await createApiKey(client, { name: 'masko', product: 'masko' });
  expect(masko.signingSecret).toBeNull();
  expect(await rotate(client, masko.apiKey.id)).toEqual({
    __typename: 'ConflictError',
    code: 'CONFLICT',
    message: 'Keys of masko have no signing secret.',
  });
  const { apiKey } = await createApiKey(client, { name: 'revoked' });
  await revokeApiKey(client, apiKey.id);
  expect(await rotate(client, apiKey.id)).toEqual({
    __typename: 'ConflictError',
    code: 'CONFLICT',
    message: 'The key is revoked. Create another one.',
  });
});
