import { expect, test } from 'vitest';
import { aPerson, charge, createApiKey, grantCredits } from '../factories.js';
import { graphql } from '../generated/index.js';
import { expectMember, startServer } from '../harness.js';

const spendLimitDocument = graphql(`
  mutation SetSpendLimit($input: UpdateApiKeyInput!) {
    updateApiKey(input: $input) {
      __typename
      ... on UpdateApiKeyPayload { apiKey { spendLimit { credits period } } }
      ... on ValidationError { field }
      ... on Error { code message }
    }
  }
`);

const refundDocument = graphql(`
  mutation RefundOfSpendLimits($input: RefundChargeInput!) {
    refundCharge(input: $input) { __typename ... on RefundChargePayload { charge { refundedCredits } } ... on Error { code message } }
  }
`);

async function aCappedKey(credits: number) {
  const server = await startServer({ products: ['masko'] });
  const owner = await aPerson(server);
  await grantCredits(server, owner.personalWorkspaceId, 1_000);
  const { apiKey, secret } = await createApiKey(owner.client, { name: 'ci', spendLimit: { credits, period: 'DAY' } });
  const spend = (quantity: number) => charge(server, secret, { action: 'image', quantity });
  return { server, owner, apiKey, secret, spend };
}

test('a key spends at most its limit per period, however many credits its workspace has', async () => {
  const { spend } = await aCappedKey(10);
  expect(await spend(8)).toMatchObject({ code: 'VALID' });
  expect(await spend(3)).toMatchObject({ code: 'INSUFFICIENT_CREDITS', rejection: { status: 402 } });
  expect(await spend(2)).toMatchObject({ code: 'VALID', charge: { balanceAfter: 990 } });
  expect(await spend(1)).toMatchObject({ code: 'INSUFFICIENT_CREDITS' });
});

test('60 concurrent charges through a limit of 10 credits take 10 credits', async () => {
  const { server, secret } = await aCappedKey(10);
  const inputs = Array.from({ length: 50 }, () => ({ credential: { bearer: secret }, charge: { action: 'image' } }));
  const document = 'mutation Capped($inputs: [VerifyApiKeyInput!]!) { verifyApiKeys(inputs: $inputs) { code } }';
  const answers = await Promise.all([
    server.backend.send<{ verifyApiKeys: { code: string }[] }>(document, { inputs }),
    server.backend.send<{ verifyApiKeys: { code: string }[] }>(document, { inputs: inputs.slice(0, 10) }),
  ]);
  const codes = answers.flatMap(({ data }) => data?.verifyApiKeys.map(({ code }) => code) ?? []);
  expect(codes.filter((code) => code === 'VALID')).toHaveLength(10);
  expect(codes.filter((code) => code === 'INSUFFICIENT_CREDITS')).toHaveLength(50);
});

test('spending starts at zero in a new period', async () => {
  const { server, spend } = await aCappedKey(10);
  await spend(10);
  expect(await spend(1)).toMatchObject({ code: 'INSUFFICIENT_CREDITS' });
  server.clock.advance(24 * 3_600_000);
  expect(await spend(10)).toMatchObject({ code: 'VALID' });
});

test('refunded credits do not count against the limit', async () => {
  const { server, spend } = await aCappedKey(10);
  const { charge: first } = await spend(10);
  const { refundCharge } = await server.backend.run(refundDocument, {
    input: { chargeId: first?.id ?? '', credits: 4 },
  });
  expectMember(refundCharge, 'RefundChargePayload');
  expect(await spend(5)).toMatchObject({ code: 'INSUFFICIENT_CREDITS' });
  expect(await spend(4)).toMatchObject({ code: 'VALID' });
});

test('a limit can be changed and removed, and a limit of zero is refused with the field name', async () => {
  const { owner, apiKey, spend } = await aCappedKey(1);
  const set = async (spendLimit: { credits: number; period: 'HOUR' } | null) =>
    (await owner.client.run(spendLimitDocument, { input: { apiKeyId: apiKey.id, spendLimit } })).updateApiKey;
  expect(await set({ credits: 0, period: 'HOUR' })).toMatchObject({ field: 'input.spendLimit.credits' });
  expect(await set({ credits: 5, period: 'HOUR' })).toMatchObject({
    apiKey: { spendLimit: { credits: 5, period: 'HOUR' } },
  });
  expect(await spend(5)).toMatchObject({ code: 'VALID' });
  expect(await set(null)).toMatchObject({ apiKey: { spendLimit: null } });
  expect(await spend(50)).toMatchObject({ code: 'VALID' });
});
