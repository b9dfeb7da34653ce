import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { releaseExpiredHolds } from '../../src/domain/credits/settle.js';
import { aMember, anOrganization, aPerson, charge, createApiKey, grantCredits } from '../factories.js';
import type { CaptureChargeInput, GrantCreditsInput, RefundChargeInput } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { aServer, type Client, expectMember, startServer, type TestServer } from '../harness.js';

const grantDocument = graphql(`
  mutation GrantOfCredits($input: GrantCreditsInput!) {
    grantCredits(input: $input) {
      __typename
      ... on GrantCreditsPayload {
        replayed
        credits { balance held available }
        entry { id kind credits heldCredits balanceAfter heldAfter product action reason apiKeyId charge { id } }
      }
      ... on Error { code message }
    }
  }
`);

const captureDocument = graphql(`
  mutation CaptureOfCredits($input: CaptureChargeInput!) {
    captureCharge(input: $input) {
      __typename
      ... on CaptureChargePayload { charge { id state credits capturedCredits refundedCredits balanceAfter } }
      ... on Error { code message }
      ... on ValidationError { field }
    }
  }
`);

const releaseDocument = graphql(`
  mutation ReleaseOfCredits($input: ReleaseChargeInput!) {
    releaseCharge(input: $input) {
      __typename
      ... on ReleaseChargePayload { charge { id state credits capturedCredits balanceAfter } }
      ... on Error { code message }
    }
  }
`);

const refundDocument = graphql(`
  mutation RefundOfCredits($input: RefundChargeInput!) {
    refundCharge(input: $input) {
      __typename
      ... on RefundChargePayload { charge { id state credits capturedCredits refundedCredits } }
      ... on Error { code message }
      ... on ValidationError { field }
    }
  }
`);

const creditsDocument = graphql(`
  query CreditsOfCredits($workspaceId: ID) {
    credits(workspaceId: $workspaceId) {
      balance held available
      entries { nodes { kind credits heldCredits balanceAfter heldAfter reason } }
    }
  }
`);

const pricesDocument = graphql(`
  query PricesOfCredits { credits { prices { product action credits unit description } } }
`);

const capture = async ({ backend }: TestServer, input: CaptureChargeInput) =>
  (await backend.run(captureDocument, { input })).captureCharge;
const release = async ({ backend }: TestServer, chargeId: string) =>
  (await backend.run(releaseDocument, { input: { chargeId } })).releaseCharge;
const refund = async ({ backend }: TestServer, input: RefundChargeInput) =>
  (await backend.run(refundDocument, { input })).refundCharge;
const grant = async ({ backend }: TestServer, input: GrantCreditsInput) =>
  (await backend.run(grantDocument, { input })).grantCredits;

const shortHolds = fileURLToPath(new URL('short-holds.json', import.meta.url));

/** A workspace with ten credits, and a key that spends two per minute. Holds expire after one minute. */
async function aSpender() {
  const server = await startServer({ products: [shortHolds] });
  const { client, personalWorkspaceId: workspaceId } = await aPerson(server);
  const { apiKey, secret } = await createApiKey(client, { name: 'ci' });
  await grantCredits(server, workspaceId, 10);
  const account = async () => {
    const { credits } = await client.run(creditsDocument, { workspaceId });
    return [credits?.balance, credits?.held, credits?.available];
  };
  const spend = async (minutes: number, rest: object = {}) => {
    const verified = await charge(server, secret, { action: 'minute', quantity: minutes, ...rest });
    if (!verified.charge) throw new Error(verified.code);
    return verified.charge.id;
  };
  return {
    server,
    client,
    workspaceId,
    apiKeyId: apiKey.id,
    account,
    spend,
    hold: (minutes: number) => spend(minutes, { hold: true }),
  };
}

describe('grantCredits', () => {
  test('a grant adds credits and a ledger entry with its reason', async () => {
    const server = await aServer();
    const { personalWorkspaceId: workspaceId } = await aPerson(server);
    expect(await grant(server, { workspaceId, credits: 25, reason: ' Invoice 7 ' })).toEqual({
      __typename: 'GrantCreditsPayload',
      replayed: false,
      credits: { balance: 25, held: 0, available: 25 },
      entry: {
        id: expect.stringMatching(/^led_/),
        kind: 'GRANT',
        credits: 25,
        heldCredits: 0,
        balanceAfter: 25,
        heldAfter: 0,
        product: null,
        action: null,
        reason: 'Invoice 7',
        apiKeyId: null,
        charge: null,
      },
    });
  });

  test('concurrent grants with one idempotency key add credits once, even if their other inputs differ', async () => {
    const server = await aServer();
    const { personalWorkspaceId: workspaceId } = await aPerson(server);
    const first = await grant(server, { workspaceId, credits: 25, idempotencyKey: 'payment-1' });
    const { entry } = expectMember(first, 'GrantCreditsPayload');
    const again = await Promise.all(
      [1, 2, 3, 4].map((credits) => grant(server, { workspaceId, credits, reason: 'x', idempotencyKey: 'payment-1' })),
    );
    for (const result of again) {
      expect(result).toEqual({
        __typename: 'GrantCreditsPayload',
        replayed: true,
        credits: { balance: 25, held: 0, available: 25 },
        entry,
      });
    }
    const { personalWorkspaceId: other } = await aPerson(server);
    expect(await grant(server, { workspaceId: other, credits: 1, idempotencyKey: 'payment-1' })).toMatchObject({
      replayed: false,
      credits: { balance: 1 },
    });
  });

  test('each of several grants in one request returns the balance after itself', async () => {
    const server = await aServer();
    const { personalWorkspaceId } = await aPerson(server);
    const grant = (name: string, credits: number) =>
      `${name}: grantCredits(input: { workspaceId: $id, credits: ${credits} }) { ... on GrantCreditsPayload { credits { balance } } }`;
    const { data } = await server.backend.send(`mutation ($id: ID!) { ${grant('a', 5)} ${grant('b', 7)} }`, {
      id: personalWorkspaceId,
    });
    expect(data).toEqual({ a: { credits: { balance: 5 } }, b: { credits: { balance: 12 } } });
  });

  test('a grant that would raise the balance above the maximum of an Int is refused', async () => {
    const server = await aServer();
    const { personalWorkspaceId: workspaceId } = await aPerson(server);
    expect(await grant(server, { workspaceId, credits: 2_147_483_647 })).toMatchObject({
      credits: { balance: 2_147_483_647, available: 2_147_483_647 },
    });
    expect(await grant(server, { workspaceId, credits: 1 })).toMatchObject({
      __typename: 'ValidationError',
      code: 'BAD_USER_INPUT',
    });
  });
});

describe('the credits field', () => {
  test('a person reads their own credits by default, a key those of its workspace, a member those of the organization', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    const { secret } = await createApiKey(owner.client, { workspaceId, name: 'ci' });
    await grantCredits(server, owner.personalWorkspaceId, 7);
    const key = server.anonymous.with({ authorization: `Bearer ${secret}` });
    const balance = async (client: Client, id?: string) =>
      (await client.run(creditsDocument, { workspaceId: id ?? null })).credits?.balance ?? null;
    expect(await balance(owner.client)).toBe(7);
    expect(await balance(key)).toBe(100);
    expect(await balance(member.client)).toBe(0);
    expect(await balance(member.client, workspaceId)).toBe(100);
    expect(await balance(key, owner.personalWorkspaceId)).toBeNull();
    expect(await balance(member.client, owner.personalWorkspaceId)).toBeNull();
    const { errors } = await server.backend.send('{ credits { balance } }');
    expect(errors).toMatchObject([{ message: 'Name a workspace.', extensions: { field: 'workspaceId' } }]);
  });

  test('lists the prices of every product', async () => {
    const server = await startServer({ products: [shortHolds, 'masko'] });
    const { client } = await aPerson(server);
    const { credits } = await client.run(pricesDocument);
    expect(credits?.prices).toEqual([
      { product: 'short-holds', action: 'minute', credits: 2, unit: 'minute', description: 'One minute.' },
      { product: 'masko', action: 'image', credits: 1, unit: 'image', description: 'One image.' },
      { product: 'masko', action: 'animation', credits: 5, unit: 'second', description: 'One second of animation.' },
      { product: 'masko', action: 'logo', credits: 5, unit: 'logo', description: 'One logo.' },
      { product: 'masko', action: 'edit', credits: 1, unit: 'edit', description: 'One edit.' },
    ]);
  });
});

describe('holds', () => {
  test('a hold reserves credits, and its full capture takes them once', async () => {
    const { server, hold, account } = await aSpender();
    const chargeId = await hold(3);
    expect(await account()).toEqual([10, 6, 4]);
    const captured = await capture(server, { chargeId });
    expect(captured).toEqual({
      __typename: 'CaptureChargePayload',
      charge: { id: chargeId, state: 'CAPTURED', credits: 6, capturedCredits: 6, refundedCredits: 0, balanceAfter: 4 },
    });
    expect(await capture(server, { chargeId, credits: 1 })).toEqual(captured);
    expect(await account()).toEqual([4, 0, 4]);
  });

  test.each([
    [{ credits: 1 }, 1],
    [{ credits: 0 }, 0],
    [{ quantity: 1.2 }, 3],
    [{ quantity: 3 }, 6],
  ])('a capture of %j takes %i of six held credits and releases the rest', async (part, taken) => {
    const { server, hold, account, client, workspaceId } = await aSpender();
    const chargeId = await hold(3);
    expect(await capture(server, { chargeId, ...part })).toMatchObject({
      charge: { state: 'CAPTURED', capturedCredits: taken, balanceAfter: 10 - taken },
    });
    expect(await account()).toEqual([10 - taken, 0, 10 - taken]);
    const { credits } = await client.run(creditsDocument, { workspaceId });
    expect(credits?.entries.nodes).toEqual([
      { kind: 'CAPTURE', credits: -taken + 0, heldCredits: -6, balanceAfter: 10 - taken, heldAfter: 0, reason: null },
      { kind: 'HOLD', credits: 0, heldCredits: 6, balanceAfter: 10, heldAfter: 6, reason: null },
      { kind: 'GRANT', credits: 10, heldCredits: 0, balanceAfter: 10, heldAfter: 0, reason: null },
    ]);
  });

  test('a released hold returns all its credits once and cannot be captured', async () => {
    const { server, hold, account } = await aSpender();
    const chargeId = await hold(3);
    const released = await release(server, chargeId);
    expect(released).toEqual({
      __typename: 'ReleaseChargePayload',
      charge: { id: chargeId, state: 'RELEASED', credits: 6, capturedCredits: 0, balanceAfter: 10 },
    });
    expect(await release(server, chargeId)).toEqual(released);
    expect(await capture(server, { chargeId })).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'The charge must be HELD, but its state is RELEASED.',
    });
    expect(await account()).toEqual([10, 0, 10]);
  });

  test('a captured hold cannot be released', async () => {
    const { server, spend, hold } = await aSpender();
    const posted = await spend(1);
    const captured = await hold(1);
    await capture(server, { chargeId: captured });
    for (const [chargeId, state] of [
      [posted, 'POSTED'],
      [captured, 'CAPTURED'],
    ] as const) {
      expect(await release(server, chargeId)).toEqual({
        __typename: 'ConflictError',
        code: 'CONFLICT',
        message: `The charge must be HELD, but its state is ${state}.`,
      });
    }
  });

  test('held credits cannot be spent', async () => {
    const { hold, spend, account } = await aSpender();
    await hold(4);
    await expect(spend(2)).rejects.toThrow('INSUFFICIENT_CREDITS');
    await spend(1);
    expect(await account()).toEqual([8, 8, 0]);
  });

  test('of a concurrent capture and release, exactly one is applied', async () => {
    const { server, hold, account } = await aSpender();
    const chargeId = await hold(3);
    const results = await Promise.all([capture(server, { chargeId }), release(server, chargeId)]);
    expect(results.filter(({ __typename }) => __typename === 'ConflictError')).toHaveLength(1);
    const [balance, held] = await account();
    expect([held, balance === 4 || balance === 10]).toEqual([0, true]);
  });

  test('an expired hold releases its credits, with a ledger entry that gives the reason', async () => {
    const { server, client, workspaceId, hold, account } = await aSpender();
    const chargeId = await hold(3);
    server.clock.advance(59_000);
    await releaseExpiredHolds(server.services);
    expect(await account()).toEqual([10, 6, 4]);
    server.clock.advance(1_000);
    await releaseExpiredHolds(server.services);
    expect(await account()).toEqual([10, 0, 10]);
    const { credits } = await client.run(creditsDocument, { workspaceId });
    expect(credits?.entries.nodes[0]).toEqual({
      kind: 'RELEASE',
      credits: 0,
      heldCredits: -6,
      balanceAfter: 10,
      heldAfter: 0,
      reason: 'The hold expired',
    });
    expect(await capture(server, { chargeId })).toMatchObject({ __typename: 'ConflictError' });
  });

  test('a hold can be captured after its key was revoked', async () => {
    const { server, client, apiKeyId, hold, account } = await aSpender();
    const chargeId = await hold(3);
    await client.send('mutation ($id: ID!) { deleteApiKey(input: { apiKeyId: $id }) { __typename } }', {
      id: apiKeyId,
    });
    expect(await capture(server, { chargeId, credits: 2 })).toMatchObject({ charge: { capturedCredits: 2 } });
    expect(await account()).toEqual([8, 0, 8]);
  });
});

describe('refunds', () => {
  test('partial refunds of a charge never exceed the credits taken', async () => {
    const { server, spend, account } = await aSpender();
    const chargeId = await spend(3);
    expect(await refund(server, { chargeId, credits: 2, reason: 'Blurred' })).toEqual({
      __typename: 'RefundChargePayload',
      charge: { id: chargeId, state: 'POSTED', credits: 6, capturedCredits: 0, refundedCredits: 2 },
    });
    expect(await refund(server, { chargeId, credits: 5 })).toEqual({
      __typename: 'ValidationError',
      code: 'BAD_USER_INPUT',
      field: 'input.credits',
      message: 'At most 4 credits of this charge can be refunded.',
    });
    const whole = await refund(server, { chargeId });
    expect(whole).toMatchObject({ charge: { state: 'REFUNDED', refundedCredits: 6 } });
    expect(await refund(server, { chargeId })).toEqual(whole);
    expect(await account()).toEqual([10, 0, 10]);
  });

  test('concurrent refunds with one idempotency key refund once', async () => {
    const { server, spend, account } = await aSpender();
    const chargeId = await spend(3);
    const input = { chargeId, credits: 2, idempotencyKey: 'refund-1' };
    const results = await Promise.all([refund(server, input), refund(server, input), refund(server, input)]);
    for (const result of results) expect(result).toMatchObject({ charge: { refundedCredits: 2 } });
    expect(await account()).toEqual([6, 0, 6]);
  });

  test('a captured hold can be refunded up to the captured credits; an open or released hold cannot be refunded', async () => {
    const { server, hold, account } = await aSpender();
    const captured = await hold(2);
    const open = await hold(1);
    const released = await hold(1);
    await release(server, released);
    await capture(server, { chargeId: captured, credits: 3 });
    expect(await refund(server, { chargeId: captured, credits: 4 })).toMatchObject({ field: 'input.credits' });
    expect(await refund(server, { chargeId: captured })).toMatchObject({
      charge: { state: 'REFUNDED', refundedCredits: 3 },
    });
    for (const chargeId of [open, released]) {
      expect(await refund(server, { chargeId })).toEqual({
        __typename: 'ConflictError',
        code: 'CONFLICT',
        message: 'Only captured credits can be refunded. Release a hold instead.',
      });
    }
    expect(await account()).toEqual([10, 2, 8]);
  });
});
