import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import type { Db } from '../../src/db/transaction.js';
import { createServiceToken, revokeServiceToken } from '../../src/domain/identity/service-tokens.js';
import { openTestDatabase } from '../database.js';
import { aPerson, createApiKey, grantCredits, password } from '../factories.js';
import { startServer, type TestServer } from '../harness.js';
import { scaled } from '../scale.js';
import { openSeededRandom, type SeededRandom } from '../seeded-random.js';

/** Number of idempotency keys. Each is used by ten calls with any credential that is valid at the time. */
const keysWanted = scaled({ full: 1_000, short: 40 });
const callsPerKey = 10;
/** Between two epochs the processes restart and all credentials are replaced. */
const epochs = 5;
const callsBeforeRestart = 5;
const callsAfterRestart = 4;
const customersWanted = scaled({ full: 25, short: 5 });
const inFlight = 8;

/**
 * Where the response to a call is lost: the process dies before or after COMMIT, or the response is lost in
 * transit.
 */
type Loss = 'before' | 'after' | 'answer' | null;

const lossOf = (chance: SeededRandom): Loss => chance.pick<Loss>(['before', 'after', 'answer', null, null]);

/** One operation that a client requests, and all responses to it. */
interface Wish {
  readonly kind: keyof typeof documents;
  readonly customer: Customer;
  readonly key: string;
  readonly answers: string[];
}

interface Customer {
  readonly email: string;
  readonly workspaceId: string;
  /** The key that the backend verifies, and one whose secret is rotated repeatedly. */
  readonly apiKeyId: string;
  readonly rotatedKeyId: string;
  secret: string;
  session: string;
}

const documents = {
  grant: `mutation ($input: GrantCreditsInput!) {
    result: grantCredits(input: $input) { ... on GrantCreditsPayload { entry { id credits balanceAfter } } } }`,
  charge: `mutation ($input: VerifyApiKeyInput!) { result: verifyApiKey(input: $input) { code charge { id credits balanceAfter } } }`,
  create: `mutation ($input: CreateApiKeyInput!) {
    result: createApiKey(input: $input) { ... on CreateApiKeyPayload { secret apiKey { id createdAt } } } }`,
  rotate: `mutation ($input: RotateApiKeyInput!) { result: rotateApiKey(input: $input) { ... on RotateApiKeyPayload { secret } } }`,
  rename: `mutation ($input: UpdateWorkspaceInput!) {
    result: updateWorkspace(input: $input) { ... on UpdateWorkspacePayload { workspace { id } } } }`,
};

/** The frequency of operations, mostly typical operations of a backend. */
const mix: readonly Wish['kind'][] = ['charge', 'grant', 'charge', 'rename', 'charge', 'create', 'charge', 'rotate'];

function inputOf({ kind, customer, key }: Wish): object {
  const { workspaceId, secret, rotatedKeyId } = customer;
  switch (kind) {
    case 'grant':
      return { workspaceId, credits: 3 };
    case 'charge':
      return { credential: { bearer: secret }, charge: { action: 'render', quantity: 2 } };
    case 'create':
      return { workspaceId, name: 'made', product: 'craftkit' };
    case 'rotate':
      return { apiKeyId: rotatedKeyId };
    case 'rename':
      return { workspaceId, name: key };
  }
}

/** A database on which transactions fail immediately before or after COMMIT. */
function mortal(database: Database, nextLoss: () => Loss): Database {
  const begin = async (work: (tx: unknown) => Promise<unknown>, options: object) => {
    const loss = nextLoss();
    const result = await (database.db.$transaction as Begin)(async (tx) => {
      const made = await work(tx);
      if (loss === 'before') throw new Error('Died before the COMMIT.');
      return made;
    }, options);
    if (loss === 'after') throw new Error('Died after the COMMIT.');
    return result;
  };
  const db = new Proxy(database.db, {
    get: (target, name) => (name === '$transaction' ? begin : Reflect.get(target, name)),
  });
  return { ...database, db: db as Db };
}

type Begin = (work: (tx: unknown) => Promise<unknown>, options: object) => Promise<unknown>;

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

test(`${keysWanted * callsPerKey} calls with idempotency keys whose responses are lost before and after COMMIT have one effect per key`, {
  timeout: 240_000,
}, async () => {
  const chance = openSeededRandom('which calls lose their answers');
  const encryptionKey = randomBytes(32);
  const losses: Loss[] = [];
  let servers: TestServer[] = [];
  let serviceToken = await createServiceToken(database.db, 'first');

  /** Stops both servers and starts two on the same database. */
  async function restart(): Promise<void> {
    await Promise.all(servers.map((server) => server.close()));
    servers = await Promise.all(
      [0, 1].map(() =>
        startServer({
          database: mortal(database, () => losses.pop() ?? null),
          encryptionKey,
          mutationsPerMinute: 1_000_000,
        }),
      ),
    );
  }

  const anyClient = () => chance.pick(servers).anonymous;
  const backend = () => anyClient().with({ authorization: `Bearer ${serviceToken.token}` });

  async function signIn(customer: Customer): Promise<void> {
    const response = await anyClient().fetch('/api/auth/sign-in/email', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: customer.email, password }),
    });
    customer.session = ((await response.json()) as { token: string }).token;
  }

  /** Replaces all credentials of clients. */
  async function rotateCredentials(): Promise<void> {
    const old = serviceToken;
    serviceToken = await createServiceToken(database.db, 'next');
    await revokeServiceToken(
      database.db,
      () => new Date(),
      { principal: { kind: 'anonymous' }, requestId: 'req', address: null },
      old.serviceToken.id,
    );
    await database.db.authSession.deleteMany();
    for (const customer of customers) {
      await signIn(customer);
      const rotated = await backend().send<{ result: { secret: string } }>(documents.rotate, {
        input: { apiKeyId: customer.apiKeyId },
      });
      customer.secret = rotated.data?.result.secret ?? '';
    }
  }

  async function aCustomer(): Promise<Customer> {
    const client = anyClient();
    const person = await aPerson({ fetch: client.fetch, anonymous: client });
    const verified = await createApiKey(person.client, { name: 'verified', product: 'craftkit' });
    const rotated = await createApiKey(person.client, { name: 'rotated', product: 'craftkit' });
    const { personalWorkspaceId: workspaceId } = person;
    await grantCredits({ backend: backend() }, workspaceId, 100_000);
    return {
      email: person.email,
      workspaceId,
      apiKeyId: verified.apiKey.id,
      rotatedKeyId: rotated.apiKey.id,
      secret: verified.secret,
      session: person.token,
    };
  }

  let calls = 0;
  async function call(wish: Wish, loss: Loss): Promise<void> {
    calls += 1;
    const { kind, customer, key, answers } = wish;
    const authorization = `Bearer ${kind === 'rename' ? customer.session : serviceToken.token}`;
    const client = anyClient().with({ authorization, 'idempotency-key': key });
    if (loss === 'before' || loss === 'after') losses.push(loss);
    const { status, data, errors } = await client.send<{ result: object }>(documents[kind], { input: inputOf(wish) });
    // A lost response or a refusal to retry later: there is no answer to compare.
    if (status === 500 || status === 409 || loss === 'answer') return;
    expect(errors, `${kind}: ${JSON.stringify(errors)}`).toEqual([]);
    answers.push(JSON.stringify(data?.result));
  }

  /** Makes calls, `inFlight` of them concurrently. */
  async function callAll(wishes: readonly Wish[], nextLoss: () => Loss): Promise<void> {
    const queue = [...wishes];
    const work = async () => {
      for (let wish = queue.pop(); wish !== undefined; wish = queue.pop()) await call(wish, nextLoss());
    };
    await Promise.all(Array.from({ length: inFlight }, work));
  }

  await restart();
  const customers: Customer[] = [];
  for (let index = 0; index < customersWanted; index += 1) customers.push(await aCustomer());
  const wishes = Array.from(
    { length: keysWanted },
    (_, index): Wish => ({
      kind: mix[index % mix.length] ?? 'charge',
      customer: chance.pick(customers),
      key: randomUUID(),
      answers: [],
    }),
  );

  const perEpoch = keysWanted / epochs;
  for (let epoch = 0; epoch <= epochs; epoch += 1) {
    const fresh = wishes.slice(epoch * perEpoch, (epoch + 1) * perEpoch);
    const earlier = epoch === 0 ? [] : wishes.slice((epoch - 1) * perEpoch, epoch * perEpoch);
    const asked = [...times(callsBeforeRestart, fresh), ...times(callsAfterRestart, earlier)];
    await callAll(shuffle(asked, chance), () => lossOf(chance));
    losses.length = 0;
    await restart();
    await rotateCredentials();
  }
  await callAll(wishes, () => null);
  expect(calls).toBe(keysWanted * callsPerKey);

  for (const { kind, answers } of wishes) {
    expect(answers.length, kind).toBeGreaterThan(0);
    expect(new Set(answers).size, `${kind}: ${answers.join(' ')}`).toBe(1);
  }
  const wished = (kind: Wish['kind']) => wishes.filter((wish) => wish.kind === kind).length;
  const { db } = database;
  expect({
    grant: await db.ledgerEntry.count({ where: { kind: 'GRANT', credits: 3 } }),
    charge: await db.charge.count(),
    create: await db.apiKey.count({ where: { name: 'made' } }),
    rotate:
      (await db.keySecret.count({ where: { apiKeyId: { in: customers.map((each) => each.rotatedKeyId) } } })) -
      customers.length,
    rename: await db.auditEvent.count({ where: { action: 'workspace.updated' } }),
  }).toEqual(Object.fromEntries([...new Set(mix)].map((kind) => [kind, wished(kind)])));
  const accounts = await db.creditAccount.findMany();
  const ledger = await db.ledgerEntry.groupBy({ by: ['workspaceId'], _sum: { credits: true } });
  const sums = new Map(ledger.map(({ workspaceId, _sum }) => [workspaceId, _sum.credits]));
  for (const { workspaceId, balance } of accounts) expect(balance).toBe(sums.get(workspaceId) ?? 0);
  expect(await db.idempotencyRecord.count()).toBe(keysWanted);
  await Promise.all(servers.map((server) => server.close()));
});

function times<T>(count: number, items: readonly T[]): T[] {
  return Array.from({ length: count }, () => items).flat();
}

function shuffle<T>(items: T[], chance: SeededRandom): T[] {
  for (let index = items.length - 1; index > 0; index -= 1) {
    const other = chance.between(0, index);
    [items[index], items[other]] = [items[other] as T, items[index] as T];
  }
  return items;
}
