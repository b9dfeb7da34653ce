import { expect, test } from 'vitest';
import { aPerson, charge, createApiKey, revokeApiKey, verify } from '../factories.js';
import { graphql } from '../generated/index.js';
import { aServer, expectMember } from '../harness.js';

const creditsDocument = graphql(`
  query CreditsOfJourney {
    credits { balance held available entries(first: 10) { nodes { kind credits balanceAfter action } } }
  }
`);

const rotateDocument = graphql(`
  mutation RotateOfJourney($input: RotateSigningSecretInput!) {
    rotateSigningSecret(input: $input) {
      __typename
      ... on RotateSigningSecretPayload { signingSecret signingSecretRotatedAt apiKey { id signingSecretPreview } }
      ... on Error { code message }
    }
  }
`);

test('a customer creates a key, the backend charges for it, the customer reads the charge, and the revoked key is refused by the next verification', async () => {
  const server = await aServer();
  const customer = await aPerson(server);
  const { apiKey, secret, signingSecret, freeCreditsRemaining } = await createApiKey(customer.client, { name: 'ci' });
  expect(freeCreditsRemaining).toBe(100);

  const paid = await charge(server, secret, { action: 'request', quantity: 3 });
  expect(paid).toMatchObject({
    valid: true,
    code: 'VALID',
    rejection: null,
    apiKey: { id: apiKey.id, name: 'ci' },
    workspace: { id: customer.personalWorkspaceId },
    charge: { credits: 3, balanceAfter: 97, replayed: false, state: 'POSTED' },
  });

  expect(await customer.client.run(creditsDocument)).toEqual({
    credits: {
      balance: 97,
      held: 0,
      available: 97,
      entries: {
        nodes: [
          { kind: 'CHARGE', credits: -3, balanceAfter: 97, action: 'request' },
          { kind: 'GRANT', credits: 100, balanceAfter: 100, action: null },
        ],
      },
    },
  });

  const { rotateSigningSecret } = await customer.client.run(rotateDocument, { input: { apiKeyId: apiKey.id } });
  const rotated = expectMember(rotateSigningSecret, 'RotateSigningSecretPayload');
  expect(rotated.signingSecret).not.toBe(signingSecret);
  expect(rotated.apiKey.signingSecretPreview).toBe(rotated.signingSecret.slice(-4));

  expect(await revokeApiKey(customer.client, apiKey.id)).toEqual({ id: apiKey.id, status: 'REVOKED' });
  expect(await verify(server, secret)).toEqual({
    valid: false,
    code: 'INVALID_CREDENTIAL',
    rejection: { status: 401, code: 'invalid_credential', message: 'The API key is not valid.' },
    apiKey: null,
    workspace: null,
    billable: false,
    watermark: false,
    charge: null,
    rateLimits: [],
    headers: [],
  });
});
