import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { ProductFile } from '../../src/products/product.js';
import { aPerson, charge, createApiKey } from '../factories.js';
import type { TestServer } from '../harness.js';
import {
  aServerSelling,
  expectSoundLedger,
  type Ledger,
  readLedger,
  tryCapture,
  tryGrant,
  tryRefund,
  tryRelease,
} from './credit-operations.js';

const product = {
  slug: 'ledger',
  title: 'Ledger',
  description: 'Two actions, one of them with a price that is no whole number.',
  credential: {
    transport: 'bearer',
    secrets: {
      LIVE: { prefix: 'ledger_live_', alphabet: 'base62', length: 32 },
      TEST: { prefix: 'ledger_test_', alphabet: 'base62', length: 32 },
    },
  },
  issuers: { by: 'role', PERSONAL: ['OWNER'], ORGANIZATION: ['OWNER'] },
  prices: {
    unit: { credits: 1, unit: 'unit', description: 'A unit.' },
    part: { credits: 0.3, unit: 'part', description: 'A part.' },
  },
  freeCredits: 20,
} satisfies ProductFile;

const creditsMax = 2_147_483_647;

// --- Commands. Charges are picked by number, because their ids are not known in advance.

type Command =
  | { kind: 'grant'; credits: number; key: number | null }
  | { kind: 'charge'; by: number; action: 'unit' | 'part'; tenths: number; hold: boolean; key: number | null }
  | { kind: 'capture'; pick: number; credits: number | null; tenths: number | null }
  | { kind: 'release'; pick: number }
  | { kind: 'refund'; pick: number; credits: number | null; key: number | null }
  | { kind: 'retry'; pick: number };

/** A command with the id of its charge. */
type Operation =
  | Extract<Command, { kind: 'grant' | 'charge' }>
  | (Extract<Command, { kind: 'capture' | 'release' | 'refund' }> & { chargeId: string });

const pick = fc.nat(50);
const key = fc.option(fc.nat(3));
const tenths = fc.integer({ min: 1, max: 120 });
const someCredits = fc.integer({ min: 1, max: 12 });

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      credits: fc.oneof({ weight: 12, arbitrary: someCredits }, fc.constant(creditsMax)),
      key,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('charge' as const),
      by: fc.nat(2),
      action: fc.constantFrom('unit' as const, 'part' as const),
      tenths,
      hold: fc.boolean(),
      key,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('capture' as const),
      pick,
      credits: fc.option(fc.integer({ min: 0, max: 12 })),
      tenths: fc.constant(null),
    }),
  },
  {
    arbitrary: fc.record({ kind: fc.constant('capture' as const), pick, credits: fc.constant(null), tenths }),
    weight: 1,
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), pick }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('refund' as const), pick, credits: fc.option(someCredits), key }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('retry' as const), pick }) },
);

/** Commands that are sent concurrently. Groups run one after another. */
const group = fc.oneof(fc.tuple(command), fc.array(command, { minLength: 2, maxLength: 4 }));

function resolve(command: Command, charges: readonly ModelCharge[], done: readonly Operation[]): Operation | null {
  switch (command.kind) {
    case 'grant':
    case 'charge':
      return command;
    case 'retry':
      return done[command.pick % done.length] ?? null;
    default: {
      const picked = charges[command.pick % charges.length];
      return picked ? { ...command, chargeId: picked.id } : null;
    }
  }
}

// --- The model: the effect and the response of each operation, in sequence.

interface ModelCharge {
  id: string;
  credits: number;
  capturedCredits: number;
  refundedCredits: number;
  balanceAfter: number;
  state: string;
  action: 'unit' | 'part';
  by: number;
}

interface Model {
  balance: number;
  held: number;
  charges: ModelCharge[];
  entries: ModelEntry[];
  /** By idempotency key: the charge, and the entry of the grant. */
  charged: Record<string, string>;
  granted: Record<string, ModelEntry & { id: string }>;
  refunded: string[];
}

interface ModelEntry {
  kind: string;
  credits: number;
  heldCredits: number;
  balanceAfter: number;
  heldAfter: number;
  chargeId: string | null;
}

/** An outcome of the model or the server. `id` is the id that the server created. */
interface Outcome {
  is: string;
  id: string | null;
  shown: Record<string, unknown> | null;
}

function priceOf(action: 'unit' | 'part', tenths: number): number {
  return action === 'unit' ? Math.ceil(tenths / 10) : Math.ceil((3 * tenths) / 100);
}

function move(model: Model, kind: string, credits: number, heldCredits: number, chargeId: string | null) {
  const balanceAfter = model.balance + credits;
  const heldAfter = model.held + heldCredits;
  if (heldAfter < 0 || balanceAfter < heldAfter || balanceAfter > creditsMax) return null;
  const entry = { kind, credits, heldCredits, balanceAfter, heldAfter, chargeId };
  model.balance = balanceAfter;
  model.held = heldAfter;
  model.entries.push(entry);
  return entry;
}

const invalid = (field: string): Outcome => ({ is: 'ValidationError', id: null, shown: { field } });
const conflict: Outcome = { is: 'ConflictError', id: null, shown: null };

/** Applies one operation to the model. What it creates gets the id from the server. */
function apply(model: Model, operation: Operation, madeId: string | null): Outcome {
  switch (operation.kind) {
    case 'grant':
      return applyGrant(model, operation, madeId);
    case 'charge':
      return applyCharge(model, operation, madeId);
    default: {
      const charge = model.charges.find(({ id }) => id === operation.chargeId);
      if (!charge) throw new Error('Only charges of the model are picked.');
      const refused = applySettlement(model, operation, charge);
      return refused ?? { is: 'Payload', id: charge.id, shown: shownOf(charge) };
    }
  }
}

function applyGrant(
  model: Model,
  { credits, key }: Extract<Operation, { kind: 'grant' }>,
  madeId: string | null,
): Outcome {
  const shownAs = (entry: ModelEntry, id: string | null, replayed: boolean): Outcome => ({
    is: 'Payload',
    id,
    shown: { replayed, credits: entry.credits, balanceAfter: entry.balanceAfter, heldAfter: entry.heldAfter },
  });
  const original = key === null ? undefined : model.granted[key];
  if (original) return shownAs(original, original.id, true);
  const entry = move(model, 'GRANT', credits, 0, null);
  if (!entry) return invalid('input.credits');
  if (key !== null) model.granted[key] = { ...entry, id: madeId ?? '' };
  return shownAs(entry, madeId, false);
}

function applyCharge(model: Model, operation: Extract<Operation, { kind: 'charge' }>, madeId: string | null): Outcome {
  const { by, action, tenths, hold, key } = operation;
  // Idempotency keys are separate in TEST, to which the third API key belongs, and LIVE.
  const place = `${by === 2 ? 'TEST' : 'LIVE'}-${key}`;
  const originalId = key === null ? undefined : model.charged[place];
  const original = model.charges.find(({ id }) => id === originalId);
  if (original) return { is: 'VALID', id: original.id, shown: { ...shownOf(original), replayed: true } };
  const credits = by === 2 ? 0 : priceOf(action, tenths);
  const entry = hold ? move(model, 'HOLD', 0, credits, madeId) : move(model, 'CHARGE', -credits, 0, madeId);
  if (!entry) return { is: 'INSUFFICIENT_CREDITS', id: null, shown: null };
  const charge: ModelCharge = {
    id: madeId ?? '',
    credits,
    capturedCredits: 0,
    refundedCredits: 0,
    balanceAfter: entry.balanceAfter,
    state: hold ? 'HELD' : 'POSTED',
    action,
    by,
  };
  model.charges.push(charge);
  if (key !== null) model.charged[place] = charge.id;
  return { is: 'VALID', id: charge.id, shown: { ...shownOf(charge), replayed: false } };
}

function applySettlement(
  model: Model,
  operation: Extract<Operation, { kind: 'capture' | 'release' | 'refund' }>,
  charge: ModelCharge,
): Outcome | null {
  if (operation.kind === 'refund') return applyRefund(model, operation, charge);
  const done = operation.kind === 'capture' ? 'CAPTURED' : 'RELEASED';
  const wasHold = model.entries.some(({ kind, chargeId }) => kind === 'HOLD' && chargeId === charge.id);
  if (charge.state === done || (charge.state === 'REFUNDED' && wasHold && done === 'CAPTURED')) return null;
  if (charge.state !== 'HELD') return conflict;
  let taken = 0;
  if (operation.kind === 'capture') {
    const { credits, tenths } = operation;
    const priced = tenths === null ? charge.credits : charge.by === 2 ? 0 : priceOf(charge.action, tenths);
    taken = credits ?? priced;
    if (taken > charge.credits) return invalid(credits === null ? 'input.quantity' : 'input.credits');
  }
  const kind = operation.kind === 'capture' ? 'CAPTURE' : 'RELEASE';
  const entry = move(model, kind, taken === 0 ? 0 : -taken, charge.credits === 0 ? 0 : -charge.credits, charge.id);
  if (!entry) throw new Error('A hold is always covered.');
  charge.state = done;
  charge.capturedCredits = taken;
  charge.balanceAfter = entry.balanceAfter;
  return null;
}

function applyRefund(
  model: Model,
  { credits, key }: Extract<Operation, { kind: 'refund' }>,
  charge: ModelCharge,
): Outcome | null {
  const refundKey = `${charge.id}-${key}`;
  if (key !== null && model.refunded.includes(refundKey)) return null;
  if (charge.state === 'HELD' || charge.state === 'RELEASED') return conflict;
  const wasHold = model.entries.some(({ kind, chargeId }) => kind === 'HOLD' && chargeId === charge.id);
  const left = (wasHold ? charge.capturedCredits : charge.credits) - charge.refundedCredits;
  const given = credits ?? left;
  if (given > left) return invalid('input.credits');
  if (given === 0) return null;
  if (!move(model, 'REFUND', given, 0, charge.id)) return conflict;
  charge.refundedCredits += given;
  if (given === left) charge.state = 'REFUNDED';
  if (key !== null) model.refunded.push(refundKey);
  return null;
}

function shownOf({ credits, capturedCredits, refundedCredits, balanceAfter, state }: ModelCharge) {
  return { credits, capturedCredits, refundedCredits, balanceAfter, state };
}

// --- The server, through its schema.

interface Bench {
  server: TestServer;
  workspaceId: string;
  /** Two LIVE keys and a TEST key. */
  keys: { id: string; secret: string }[];
}

async function ask({ server, workspaceId, keys }: Bench, operation: Operation): Promise<Outcome> {
  switch (operation.kind) {
    case 'grant': {
      const { credits, key } = operation;
      const idempotencyKey = key === null ? null : `grant-${key}`;
      const answer = await tryGrant(server, { workspaceId, credits, idempotencyKey });
      if (answer.__typename !== 'GrantCreditsPayload') return toRefusal(answer);
      const { id, ...entry } = answer.entry;
      return { is: 'Payload', id, shown: { ...entry, replayed: answer.replayed } };
    }
    case 'charge': {
      const { by, action, tenths, hold, key } = operation;
      const idempotencyKey = key === null ? null : `charge-${key}`;
      const secret = keys[by]?.secret ?? '';
      const answer = await charge(server, secret, { action, quantity: tenths / 10, hold, idempotencyKey });
      const { id = null, ...shown } = answer.charge ?? {};
      return { is: answer.code, id, shown: answer.charge ? shown : null };
    }
    case 'capture': {
      const { chargeId, credits, tenths } = operation;
      const quantity = tenths === null ? null : tenths / 10;
      return toOutcome(await tryCapture(server, { chargeId, credits, quantity }));
    }
    case 'release':
      return toOutcome(await tryRelease(server, operation.chargeId));
    case 'refund': {
      const { chargeId, credits, key } = operation;
      const idempotencyKey = key === null ? null : `refund-${chargeId}-${key}`;
      return toOutcome(await tryRefund(server, { chargeId, credits, idempotencyKey }));
    }
  }
}

function toOutcome(answer: { __typename?: string; charge?: { id: string } }): Outcome {
  if (!answer.charge) return toRefusal(answer);
  const { id, ...shown } = answer.charge;
  return { is: 'Payload', id, shown };
}

function toRefusal(answer: { __typename?: string; field?: string }): Outcome {
  return {
    is: answer.__typename ?? '',
    id: null,
    shown: answer.field === undefined ? null : { field: answer.field },
  };
}

/**
 * Whether the outcome of the model has the fields of the response; a verification returns fewer fields of a
 * charge.
 */
function agrees(modelled: Outcome, answered: Outcome): boolean {
  if (modelled.is !== answered.is || modelled.id !== answered.id) return false;
  if (modelled.shown === null || answered.shown === null) return modelled.shown === answered.shown;
  return Object.entries(answered.shown).every(([name, value]) => modelled.shown?.[name] === value);
}

function agreesWithLedger(model: Model, { balance, held, entries }: Ledger): boolean {
  if (model.balance !== balance || model.held !== held || model.entries.length !== entries.length) return false;
  return model.entries.every((modelled, index) => {
    const { kind, credits, heldCredits, balanceAfter, heldAfter, charge } = entries[index] ?? {};
    const entry = { kind, credits, heldCredits, balanceAfter, heldAfter, chargeId: charge?.id ?? null };
    return JSON.stringify(entry) === JSON.stringify(modelled);
  });
}

interface Asked {
  operation: Operation;
  answer: Outcome;
}

/** The model after an order of the operations that explains every response and ledger entry, or null. */
function explain(model: Model, asked: readonly Asked[], ledger: Ledger): Model | null {
  if (asked.length === 0) return agreesWithLedger(model, ledger) ? model : null;
  for (const next of asked) {
    const after = structuredClone(model);
    if (!agrees(apply(after, next.operation, next.answer.id), next.answer)) continue;
    const rest = asked.filter((each) => each !== next);
    const explained = explain(after, rest, ledger);
    if (explained) return explained;
  }
  return null;
}

let server: TestServer;
beforeAll(async () => {
  server = await aServerSelling([product]);
});

async function aBench(): Promise<Bench> {
  const owner = await aPerson(server);
  const keys = [];
  for (const environment of ['LIVE', 'LIVE', 'TEST'] as const) {
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'ci', environment });
    keys.push({ id: apiKey.id, secret });
  }
  return { server, workspaceId: owner.personalWorkspaceId, keys };
}

const emptyAccount: Model = { balance: 0, held: 0, charges: [], entries: [], charged: {}, granted: {}, refunded: [] };

test('sequential and concurrent grants, charges, holds, captures, releases, refunds and retries are linearizable', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(group, { minLength: 1, maxLength: 12, size: 'max' }), async (groups) => {
      const bench = await aBench();
      let model = structuredClone(emptyAccount);
      move(model, 'GRANT', product.freeCredits, 0, null);
      const done: Operation[] = [];
      for (const commands of groups) {
        const operations = commands.flatMap((each) => resolve(each, model.charges, done) ?? []);
        const asked = await Promise.all(
          operations.map(async (operation) => ({ operation, answer: await ask(bench, operation) })),
        );
        const ledger = await readLedger(server, bench.workspaceId);
        expectSoundLedger(ledger);
        const explained = explain(model, asked, ledger);
        if (!explained) {
          throw new Error(`No order explains ${JSON.stringify({ asked, ledger, before: model }, null, 1)}`);
        }
        model = explained;
        done.push(...operations);
      }
    }),
    { numRuns: 10, interruptAfterTimeLimit: 15_000 },
  );
}, 60_000);

test('a grant that exceeds the maximum balance is refused and leaves the balance unchanged', async () => {
  const { workspaceId } = await aBench();
  const granted = await tryGrant(server, { workspaceId, credits: creditsMax - product.freeCredits });
  expect(granted).toMatchObject({ __typename: 'GrantCreditsPayload', entry: { balanceAfter: creditsMax } });
  expect(await tryGrant(server, { workspaceId, credits: 1 })).toMatchObject({
    __typename: 'ValidationError',
    field: 'input.credits',
  });
  const ledger = await readLedger(server, workspaceId);
  expectSoundLedger(ledger);
  expect(ledger).toMatchObject({ balance: creditsMax, held: 0 });
});
