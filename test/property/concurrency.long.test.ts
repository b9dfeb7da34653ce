import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  aMember,
  anOrganization,
  aPerson,
  aWorkspaceWith,
  charge,
  createApiKey,
  grantCredits,
  type Person,
  revokeApiKey,
  tryCreateApiKey,
  verify,
} from '../factories.js';
import { graphql } from '../generated/index.js';
import { aServer, expectMember, startServer, type TestServer } from '../harness.js';
import {
  atOnce,
  countBy,
  expectSoundLedger,
  readLedger,
  tryCapture,
  tryGrant,
  tryRefund,
  tryRelease,
} from './credit-operations.js';

const activeKeysDocument = graphql(`
  query ActiveKeysOfConcurrency($workspaceId: ID!) {
    apiKeys(workspaceId: $workspaceId, filter: { status: ACTIVE }, first: 100) { nodes { id } }
  }
`);

const switchKeyDocument = graphql(`
  mutation SwitchKeyOfConcurrency($input: UpdateApiKeyInput!) {
    updateApiKey(input: $input) {
      __typename
      ... on UpdateApiKeyPayload { apiKey { id status } }
      ... on LimitReachedError { limit }
      ... on Error { code message }
    }
  }
`);

const deleteKeyDocument = graphql(`
  mutation DeleteKeyOfConcurrency($input: DeleteApiKeyInput!) {
    deleteApiKey(input: $input) { __typename ... on DeleteApiKeyPayload { deletedApiKeyId } ... on Error { message } }
  }
`);

const suspendDocument = graphql(`
  mutation SuspendOfConcurrency($input: SuspendWorkspaceInput!) {
    suspendWorkspace(input: $input) { __typename ... on SuspendWorkspacePayload { workspace { id } } ... on Error { message } }
  }
`);

const resumeDocument = graphql(`
  mutation ResumeOfConcurrency($input: ResumeWorkspaceInput!) {
    resumeWorkspace(input: $input) { __typename ... on ResumeWorkspacePayload { workspace { id } } ... on Error { message } }
  }
`);

const workspacesDocument = graphql(`
  query WorkspacesOfConcurrency {
    workspaces(first: 100) { nodes { id kind members { nodes { user { id } role } } } }
  }
`);

async function countActiveKeys(server: TestServer, workspaceId: string): Promise<number> {
  return (await server.backend.run(activeKeysDocument, { workspaceId })).apiKeys.nodes.length;
}

async function trySwitchKey(owner: Person, apiKeyId: string, enabled: boolean) {
  return (await owner.client.run(switchKeyDocument, { input: { apiKeyId, enabled } })).updateApiKey;
}

async function switchKey(owner: Person, apiKeyId: string, enabled: boolean) {
  return expectMember(await trySwitchKey(owner, apiKeyId, enabled), 'UpdateApiKeyPayload').apiKey;
}

const typenameOf = ({ __typename = '' }: { __typename?: string }) => __typename;

describe('the maximum number of active keys', () => {
  test('allows 10 of 50 concurrent creations and refuses 40 when the maximum is 10', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'masko' });
    const results = await atOnce(50, () => tryCreateApiKey(owner.client, { name: 'ci' }));
    expect(countBy(results, typenameOf)).toEqual({ CreateApiKeyPayload: 10, LimitReachedError: 40 });
    expect(await countActiveKeys(server, workspaceId)).toBe(10);
  });

  test('is reached but not exceeded by concurrently enabled and created keys', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'masko' });
    const asleep = await atOnce(8, async () => (await createApiKey(owner.client, { name: 'asleep' })).apiKey.id);
    for (const id of asleep) await switchKey(owner, id, false);
    const awake = await atOnce(10, async () => (await createApiKey(owner.client, { name: 'awake' })).apiKey.id);

    const full = await Promise.all(asleep.map((id) => trySwitchKey(owner, id, true)));
    expect(full).toEqual(asleep.map(() => expect.objectContaining({ __typename: 'LimitReachedError', limit: 10 })));

    for (const id of awake.slice(0, 3)) await revokeApiKey(owner.client, id);
    const results = await Promise.all([
      ...asleep.map(async (id) => typenameOf(await trySwitchKey(owner, id, true))),
      ...asleep.map(async () => typenameOf(await tryCreateApiKey(owner.client, { name: 'new' }))),
    ]);
    const { LimitReachedError, ...made } = countBy(results, (name) => name);
    expect(LimitReachedError).toBe(13);
    expect(Object.values(made).reduce((sum, count) => sum + count, 0)).toBe(3);
    expect(await countActiveKeys(server, workspaceId)).toBe(10);
  });

  test('counts a disabled key once that is enabled concurrently many times', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'masko' });
    const [first] = await atOnce(9, async () => (await createApiKey(owner.client, { name: 'ci' })).apiKey.id);
    const id = first ?? '';
    await switchKey(owner, id, false);
    await createApiKey(owner.client, { name: 'ci' });
    const results = await atOnce(10, () => trySwitchKey(owner, id, true));
    expect(countBy(results, typenameOf)).toEqual({ UpdateApiKeyPayload: 10 });
    expect(await countActiveKeys(server, workspaceId)).toBe(10);
  });
});

test('50 concurrent creations of a first key grant the free credits of a workspace once', async () => {
  const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makistry' });
  const keys = await atOnce(50, () => createApiKey(owner.client, { name: 'ci' }));
  expect(countBy(keys, ({ freeCreditsRemaining }) => String(freeCreditsRemaining))).toEqual({ '50': 1, '0': 49 });
  const ledger = await readLedger(server, workspaceId);
  expectSoundLedger(ledger);
  expect(ledger.entries).toMatchObject([{ kind: 'GRANT', credits: 50 }]);
});

describe('credits under concurrency', () => {
  async function aPayingKey(credits: number) {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'craftkit' });
    const { secret, apiKey } = await createApiKey(owner.client, { name: 'ci' });
    await grantCredits(server, workspaceId, credits);
    const balance = async () => {
      const ledger = await readLedger(server, workspaceId);
      expectSoundLedger(ledger);
      return ledger.balance;
    };
    return { server, owner, workspaceId, secret, apiKeyId: apiKey.id, balance };
  }

  test('200 concurrent charges of 1 on a balance of 100 are 100 accepted and 100 refused, and leave 0', async () => {
    const { server, secret, balance } = await aPayingKey(100);
    const answers = await atOnce(200, () => charge(server, secret, { action: 'render' }));
    expect(countBy(answers, ({ code }) => code)).toEqual({ VALID: 100, INSUFFICIENT_CREDITS: 100 });
    const left = answers.flatMap(({ charge }) => (charge ? [charge.balanceAfter] : [])).sort((a, b) => a - b);
    expect(left).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(await balance()).toBe(0);
  });

  test('concurrent charges and holds through two servers never exceed the balance', async () => {
    const other = await startServer({ products: ['craftkit'] });
    const { server, secret, workspaceId } = await aPayingKey(60);
    const answers = await atOnce(80, (index) =>
      charge(index % 2 ? server : other, secret, {
        action: 'render',
        quantity: 1 + (index % 3),
        hold: index % 5 === 0,
      }),
    );
    const taken = answers.flatMap(({ charge }) => (charge ? [charge] : []));
    const sum = (state: string) =>
      taken.filter((each) => each.state === state).reduce((total, { credits }) => total + credits, 0);
    const ledger = await readLedger(server, workspaceId);
    expectSoundLedger(ledger);
    expect(ledger).toMatchObject({ balance: 60 - sum('POSTED'), held: sum('HELD') });
    // A charge is refused only if the available credits do not cover it.
    expect(ledger.available).toBeLessThan(3);
  });

  test('100 concurrent verifications with one idempotency key charge once, and all return that charge', async () => {
    const { server, secret, balance } = await aPayingKey(100);
    const answers = await atOnce(100, () => charge(server, secret, { action: 'render', idempotencyKey: 'job-1' }));
    expect(countBy(answers, ({ code }) => code)).toEqual({ VALID: 100 });
    expect(countBy(answers, ({ charge }) => String(charge?.replayed))).toEqual({ false: 1, true: 99 });
    expect(new Set(answers.map(({ charge }) => charge?.id)).size).toBe(1);
    expect(await balance()).toBe(99);
  });

  test('concurrent verifications with one idempotency key through two servers and two API keys charge once', async () => {
    const other = await startServer({ products: ['craftkit'] });
    const { server, owner, secret, balance } = await aPayingKey(10);
    const { secret: sibling } = await createApiKey(owner.client, { name: 'sibling' });
    const answers = await atOnce(40, (index) =>
      charge(index % 2 ? server : other, index % 4 < 2 ? secret : sibling, {
        action: 'render',
        quantity: 1 + (index % 3),
        idempotencyKey: 'job-1',
      }),
    );
    expect(countBy(answers, ({ code }) => code)).toEqual({ VALID: 40 });
    expect(countBy(answers, ({ charge }) => String(charge?.replayed))).toEqual({ false: 1, true: 39 });
    expect(new Set(answers.map(({ charge }) => charge?.id)).size).toBe(1);
    expect(await balance()).toBe(10 - (answers[0]?.charge?.credits ?? 0));
  });

  test('30 concurrent grants with one idempotency key grant once, and all return that grant', async () => {
    const { server, workspaceId, balance } = await aPayingKey(1);
    const grants = await atOnce(30, async (index) =>
      expectMember(
        await tryGrant(server, { workspaceId, credits: 5 + index, idempotencyKey: 'payment-1' }),
        'GrantCreditsPayload',
      ),
    );
    expect(countBy(grants, ({ replayed }) => String(replayed))).toEqual({ false: 1, true: 29 });
    expect(new Set(grants.map(({ entry }) => entry.id)).size).toBe(1);
    expect(await balance()).toBe(1 + (grants[0]?.entry.credits ?? 0));
  });

  test('concurrent refunds never exceed the charge', async () => {
    const { server, secret, balance } = await aPayingKey(10);
    const paid = await charge(server, secret, { action: 'render', quantity: 10 });
    const chargeId = paid.charge?.id ?? '';
    const parts = await atOnce(20, () => tryRefund(server, { chargeId, credits: 3 }));
    expect(countBy(parts, typenameOf)).toEqual({ RefundChargePayload: 3, ValidationError: 17 });
    expect(await balance()).toBe(9);
    const rests = await atOnce(20, () => tryRefund(server, { chargeId }));
    expect(rests).toEqual(
      rests.map(() => ({
        __typename: 'RefundChargePayload',
        charge: expect.objectContaining({ refundedCredits: 10, state: 'REFUNDED' }),
      })),
    );
    expect(await balance()).toBe(10);
  });

  test('concurrent refunds with one idempotency key refund once', async () => {
    const { server, secret, balance } = await aPayingKey(10);
    const paid = await charge(server, secret, { action: 'render', quantity: 10 });
    const input = { chargeId: paid.charge?.id ?? '', credits: 2, idempotencyKey: 'refund-1' };
    const refunds = await atOnce(20, () => tryRefund(server, input));
    expect(refunds).toEqual(
      refunds.map(() => ({
        __typename: 'RefundChargePayload',
        charge: expect.objectContaining({ refundedCredits: 2 }),
      })),
    );
    expect(await balance()).toBe(2);
  });

  test('a hold that is concurrently captured and released is either captured or released', async () => {
    const { server, secret, workspaceId } = await aPayingKey(20);
    for (let round = 0; round < 4; round += 1) {
      const before = await readLedger(server, workspaceId);
      const held = await charge(server, secret, { action: 'render', quantity: 5, hold: true });
      const chargeId = held.charge?.id ?? '';
      const results = await atOnce(10, async (index) =>
        typenameOf(
          index % 2 === round % 2
            ? await tryCapture(server, { chargeId, credits: 2 })
            : await tryRelease(server, chargeId),
        ),
      );
      const { ConflictError, ...done } = countBy(results, (name) => name);
      expect(ConflictError).toBe(5);
      expect(Object.values(done)).toEqual([5]);
      const after = await readLedger(server, workspaceId);
      expectSoundLedger(after);
      expect(after).toMatchObject({ held: 0, balance: before.balance - ('CaptureChargePayload' in done ? 2 : 0) });
    }
  });
});

describe('the next verification on every server', () => {
  const codes = { VALID: 'VALID', INVALID: 'INVALID_CREDENTIAL' };

  /**
   * Verifies on two servers during a change, with and without a charge. Every verification that is sent after
   * the change is acknowledged has the new code.
   */
  async function raceAgainst(secret: string, change: () => Promise<unknown>, [before, after]: [string, string]) {
    let isAnswered = false;
    const servers = [await aServer({ products: ['craftkit'] }), await otherServer()];
    const runs = servers.flatMap((server) =>
      [true, false].map(async (isCharged) => {
        let asked = 0;
        for (let following = 0; following < 2; asked += 1) {
          const isAfter = isAnswered;
          const { code } = await verify(server, secret, isCharged ? { charge: { action: 'render' } } : {});
          if (isAfter) {
            following += 1;
            expect(code).toBe(after);
          } else expect([before, after]).toContain(code);
          if (asked > 500) throw new Error('The change was never answered.');
        }
      }),
    );
    const changed = change().then(() => {
      isAnswered = true;
    });
    await Promise.all([changed, ...runs]);
  }

  let other: Promise<TestServer> | undefined;
  function otherServer() {
    other ??= startServer({ products: ['craftkit'] });
    return other;
  }

  async function aRunningKey() {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'craftkit', kind: 'ORGANIZATION' });
    const { secret, apiKey } = await createApiKey(owner.client, { workspaceId, name: 'ci' });
    await grantCredits(server, workspaceId, 10_000);
    return { server, owner, workspaceId, secret, apiKeyId: apiKey.id };
  }

  test('applies a revocation', async () => {
    await atOnce(6, async () => {
      const { owner, secret, apiKeyId } = await aRunningKey();
      await raceAgainst(secret, () => revokeApiKey(owner.client, apiKeyId), [codes.VALID, codes.INVALID]);
    });
  });

  test('applies a deletion', async () => {
    await atOnce(4, async () => {
      const { owner, secret, apiKeyId } = await aRunningKey();
      const change = async () => {
        const { deleteApiKey } = await owner.client.run(deleteKeyDocument, { input: { apiKeyId } });
        expectMember(deleteApiKey, 'DeleteApiKeyPayload');
      };
      await raceAgainst(secret, change, [codes.VALID, codes.INVALID]);
    });
  });

  test('applies that a key is disabled and enabled again', async () => {
    await atOnce(4, async () => {
      const { owner, secret, apiKeyId } = await aRunningKey();
      await raceAgainst(secret, () => switchKey(owner, apiKeyId, false), [codes.VALID, 'DISABLED']);
      await raceAgainst(secret, () => switchKey(owner, apiKeyId, true), ['DISABLED', codes.VALID]);
    });
  });

  test('applies that a workspace is suspended and resumed', async () => {
    await atOnce(4, async () => {
      const { server, workspaceId, secret } = await aRunningKey();
      const suspend = async () => {
        const { suspendWorkspace } = await server.backend.run(suspendDocument, { input: { workspaceId } });
        expectMember(suspendWorkspace, 'SuspendWorkspacePayload');
      };
      const resume = async () => {
        const { resumeWorkspace } = await server.backend.run(resumeDocument, { input: { workspaceId } });
        expectMember(resumeWorkspace, 'ResumeWorkspacePayload');
      };
      await raceAgainst(secret, suspend, [codes.VALID, 'WORKSPACE_SUSPENDED']);
      await raceAgainst(secret, resume, ['WORKSPACE_SUSPENDED', codes.VALID]);
    });
  });

  test('and the next own request of a key apply a revocation by another server', async () => {
    const here = await aServer();
    const there = await startServer();
    const person = await aPerson(here);
    const { apiKey, secret } = await createApiKey(person.client, { name: 'ci' });
    const own = there.anonymous.with({ authorization: `Bearer ${secret}` });
    expect(await verify(there, secret)).toMatchObject({ code: 'VALID', apiKey: { id: apiKey.id } });
    expect(await own.send('{ viewer { kind } }')).toMatchObject({ status: 200, data: { viewer: { kind: 'API_KEY' } } });
    await revokeApiKey(person.client, apiKey.id);
    expect(await verify(there, secret)).toMatchObject({ code: 'INVALID_CREDENTIAL', apiKey: null });
    expect(await own.send('{ viewer { kind } }')).toMatchObject({ status: 401, data: null });
  });
});

test('concurrent sign-ins of a person without a workspace create one PERSONAL workspace', async () => {
  const encryptionKey = randomBytes(32);
  const server = await startServer({ encryptionKey });
  const person = await aPerson(server);
  // As if the process had ended between the sign-up and the creation of the workspace.
  const { db } = server.services;
  const { personalWorkspaceId: workspaceId } = person;
  await db.member.deleteMany({ where: { workspaceId } });
  await db.creditAccount.delete({ where: { workspaceId } });
  await db.workspace.delete({ where: { id: workspaceId } });

  const fresh = await atOnce(2, () => startServer({ encryptionKey }));
  await Promise.all(
    [...fresh, ...fresh, ...fresh, ...fresh].map(async (each) => {
      const response = await each.fetch('/api/auth/sign-in/email', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: person.email, password: 'correct horse battery' }),
      });
      expect(response.status).toBe(200);
      const { token } = (await response.json()) as { token: string };
      const { workspaces } = await each.anonymous.with({ authorization: `Bearer ${token}` }).run(workspacesDocument);
      expect(workspaces.nodes).toEqual([
        {
          id: expect.any(String),
          kind: 'PERSONAL',
          members: { nodes: [{ user: { id: person.id }, role: 'OWNER' }] },
        },
      ]);
    }),
  );
  expect(await db.workspace.count({ where: { personalOwnerId: person.id } })).toBe(1);
  expect(await db.member.count({ where: { userId: person.id } })).toBe(1);
});

const membershipsDocument = graphql(`
  query MembershipsOfConcurrency {
    workspaces(first: 100) { nodes { id members { nodes { id user { id } } } } }
  }
`);

const leaveDocument = graphql(`
  mutation LeaveOfConcurrency($input: RemoveMemberInput!) {
    removeMember(input: $input) { __typename ... on RemoveMemberPayload { removedMemberId } ... on Error { code message } }
  }
`);

test('an organization keeps one owner when all of them leave concurrently', async () => {
  const server = await aServer();
  const founder = await aPerson(server);
  const workspaceId = await anOrganization(founder);
  const others = await atOnce(4, () => aMember(server, founder, workspaceId, 'OWNER'));
  const { workspaces } = await founder.client.run(membershipsDocument);
  const ofFounder = workspaces.nodes
    .find(({ id }) => id === workspaceId)
    ?.members.nodes.find(({ user }) => user.id === founder.id);
  const owners = [...others, { ...founder, memberId: ofFounder?.id ?? '' }];
  const results = await Promise.all(
    owners.map(async ({ client, memberId }) => (await client.run(leaveDocument, { input: { memberId } })).removeMember),
  );
  expect(countBy(results, typenameOf)).toEqual({ RemoveMemberPayload: 4, ConflictError: 1 });
});
