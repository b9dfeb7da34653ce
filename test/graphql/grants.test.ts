import { expect, test } from 'vitest';
import { expireGrants } from '../../src/domain/ledger/grant.js';
import { aPerson, charge, createApiKey, type Person } from '../factories.js';
import type { GrantCreditsInput } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { expectMember, startServer, type TestServer } from '../harness.js';

const grantDocument = graphql(`
  mutation GrantThatRunsOut($input: GrantCreditsInput!) {
    grantCredits(input: $input) {
      __typename
      ... on GrantCreditsPayload { credits { balance } }
      ... on ValidationError { field message }
      ... on Error { code }
    }
  }
`);

const ledgerDocument = graphql(`
  query LedgerOfGrants {
    credits { balance held available entries(first: 20) { nodes { kind credits heldCredits balanceAfter } } }
  }
`);

const releaseDocument = graphql(`
  mutation ReleaseOfGrants($input: ReleaseChargeInput!) {
    releaseCharge(input: $input) { __typename ... on ReleaseChargePayload { charge { state } } ... on Error { code message } }
  }
`);

const hourMs = 3_600_000;

async function grant(server: TestServer, input: GrantCreditsInput) {
  return (await server.backend.run(grantDocument, { input })).grantCredits;
}

/** A person without free credits, a key of theirs, and a server with a clock of its own. */
async function aCustomer() {
  const server = await startServer({ products: ['masko'] });
  const owner = await aPerson(server);
  const { secret } = await createApiKey(owner.client, { name: 'ci' });
  const inHours = (hours: number) => new Date(server.services.clock().getTime() + hours * hourMs).toISOString();
  return { server, owner, secret, workspaceId: owner.personalWorkspaceId, inHours };
}

async function ledgerOf(owner: Person) {
  const { credits } = await owner.client.run(ledgerDocument);
  if (!credits) throw new Error('A person sees their own credits.');
  return { ...credits, entries: credits.entries.nodes.map(({ kind, credits: moved }) => [kind, moved]) };
}

test('expired credits cannot be spent, even before the expiry job has removed them', async () => {
  const { server, owner, secret, workspaceId, inHours } = await aCustomer();
  await grant(server, { workspaceId, credits: 10, expiresAt: inHours(1) });
  await grant(server, { workspaceId, credits: 3 });
  server.clock.advance(hourMs + 1);
  expect(await charge(server, secret, { action: 'image', quantity: 4 })).toMatchObject({
    code: 'INSUFFICIENT_CREDITS',
  });
  expect(await charge(server, secret, { action: 'image', quantity: 3 })).toMatchObject({
    code: 'VALID',
    charge: { balanceAfter: 0 },
  });
  expect(await ledgerOf(owner)).toMatchObject({
    balance: 0,
    entries: [
      ['CHARGE', -3],
      ['EXPIRE', -10],
      ['GRANT', 3],
      ['GRANT', 10],
    ],
  });
});

test('the grant that expires first is spent first', async () => {
  const { server, owner, secret, workspaceId, inHours } = await aCustomer();
  await grant(server, { workspaceId, credits: 5 });
  await grant(server, { workspaceId, credits: 5, expiresAt: inHours(2) });
  await grant(server, { workspaceId, credits: 5, expiresAt: inHours(1) });
  await charge(server, secret, { action: 'image', quantity: 7 });
  server.clock.advance(3 * hourMs);
  await expireGrants(server.services);
  expect(await ledgerOf(owner)).toMatchObject({
    balance: 5,
    entries: [
      ['EXPIRE', -3],
      ['CHARGE', -7],
      ['GRANT', 5],
      ['GRANT', 5],
      ['GRANT', 5],
    ],
  });
});

test('the grant with the lower priority value is spent first, regardless of expiry', async () => {
  const { server, owner, secret, workspaceId, inHours } = await aCustomer();
  await grant(server, { workspaceId, credits: 5, expiresAt: inHours(1), priority: 1 });
  await grant(server, { workspaceId, credits: 5, priority: 0 });
  await charge(server, secret, { action: 'image', quantity: 5 });
  server.clock.advance(2 * hourMs);
  await expireGrants(server.services);
  expect(await ledgerOf(owner)).toMatchObject({ balance: 0 });
});

test('a hold keeps its reserved credits when the grant expires, and credits released afterwards expire', async () => {
  const { server, owner, secret, workspaceId, inHours } = await aCustomer();
  await grant(server, { workspaceId, credits: 10, expiresAt: inHours(0.5) });
  const held = await charge(server, secret, { action: 'image', quantity: 4, hold: true });
  server.clock.advance(0.6 * hourMs);
  await expireGrants(server.services);
  expect(await ledgerOf(owner)).toMatchObject({ balance: 4, held: 4, available: 0 });
  const { releaseCharge } = await server.backend.run(releaseDocument, { input: { chargeId: held.charge?.id ?? '' } });
  expectMember(releaseCharge, 'ReleaseChargePayload');
  expect(await ledgerOf(owner)).toMatchObject({
    balance: 0,
    held: 0,
    entries: [
      ['EXPIRE', -4],
      ['RELEASE', 0],
      ['EXPIRE', -6],
      ['HOLD', 0],
      ['GRANT', 10],
    ],
  });
});

test('an expiry in the past and a priority out of range are refused with the field name, and nothing is granted', async () => {
  const { server, owner, workspaceId, inHours } = await aCustomer();
  expect(await grant(server, { workspaceId, credits: 5, expiresAt: inHours(-1) })).toMatchObject({
    field: 'input.expiresAt',
  });
  expect(await grant(server, { workspaceId, credits: 5, priority: 1_001 })).toMatchObject({ field: 'input.priority' });
  expect(await ledgerOf(owner)).toMatchObject({ balance: 0, entries: [] });
});
