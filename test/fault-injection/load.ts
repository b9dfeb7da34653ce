import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { TypedDocumentString } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { type Client, expectMember } from '../harness.js';
import type { SeededRandom } from '../seeded-random.js';
import type { Customer } from './customers.js';
import { ask, type Heard } from './request.js';
import type { ChargeOrder, GrantOrder, RequestLog } from './request-log.js';

const chargeDocument = graphql(`
  mutation ChargeOfFaults($input: VerifyApiKeyInput!) {
    verifyApiKey(input: $input) { code charge { id credits state } }
  }
`);

const captureDocument = graphql(`
  mutation CaptureOfFaults($input: CaptureChargeInput!) {
    captureCharge(input: $input) {
      __typename
      ... on CaptureChargePayload { charge { id state capturedCredits } }
      ... on Error { message }
    }
  }
`);

const releaseDocument = graphql(`
  mutation ReleaseOfFaults($input: ReleaseChargeInput!) {
    releaseCharge(input: $input) { __typename ... on ReleaseChargePayload { charge { id state } } ... on Error { message } }
  }
`);

const grantDocument = graphql(`
  mutation GrantOfFaults($input: GrantCreditsInput!) {
    grantCredits(input: $input) { __typename ... on GrantCreditsPayload { entry { id credits } } ... on Error { message } }
  }
`);

export interface LoadOptions {
  readonly customers: readonly Customer[];
  readonly journal: RequestLog;
  readonly chance: SeededRandom;
  /** Number of concurrent clients. */
  readonly askers: number;
  /** Chooses the server of a request; `isRepetition` if the previous one ended without a response. */
  readonly pickServer: (isRepetition: boolean) => Promise<Client>;
  /** The longest pause of a client between two orders. */
  readonly pauseMsMax?: number;
}

export interface Load {
  /** Lets all clients finish their current order. @throws Error for the first invalid response */
  stop(): Promise<void>;
  /** Rejects at the first invalid response. */
  readonly failed: Promise<never>;
}

/** Delay before a retry. Shorter than Retry-After, so that there are many requests during an outage. */
const againMs = 100;

/**
 * Starts requests of all kinds: charges, holds with capture or release, and grants. Those with an idempotency
 * key are retried until they are acknowledged; those without are sent once.
 */
export function startLoad({ customers, journal, chance, askers, pickServer, pauseMsMax = 0 }: LoadOptions): Load {
  let isStopped = false;
  /** The test has ended, so no server responds any more. */
  let isOver = false;
  onTestFinished(() => {
    isStopped = true;
    isOver = true;
  });

  /** Retries until there is data. After a lost response it immediately retries at another server. */
  async function insist<Data, Input>(
    document: TypedDocumentString<Data, Input>,
    variables: Input & Record<string, unknown>,
  ): Promise<Data> {
    for (let last: Heard<Data>['kind'] | null = null; ; ) {
      const heard: Heard<Data> = await askAny(last === 'lost', document, variables);
      if (heard.kind === 'data') return heard.data;
      if (isOver) throw new Error('The test has ended.');
      if (heard.kind === last || heard.kind === 'unavailable') await sleep(againMs);
      last = heard.kind;
    }
  }

  async function tryOnce<Data, Input>(
    document: TypedDocumentString<Data, Input>,
    variables: Input & Record<string, unknown>,
  ): Promise<Data | null> {
    const heard = await askAny(false, document, variables);
    return heard.kind === 'data' ? heard.data : null;
  }

  async function askAny<Data, Input>(
    isRepetition: boolean,
    document: TypedDocumentString<Data, Input>,
    variables: Input & Record<string, unknown>,
  ): Promise<Heard<Data>> {
    const heard = await ask(await pickServer(isRepetition), document, variables);
    journal.heard[heard.kind] += 1;
    return heard;
  }

  async function charge({ secret }: Customer, order: ChargeOrder): Promise<void> {
    const { quantity, credits, hold, idempotencyKey } = order;
    const input = { credential: { bearer: secret }, charge: { action: 'call', quantity, hold, idempotencyKey } };
    const data = await (idempotencyKey === null ? tryOnce : insist)(chargeDocument, { input });
    if (data === null) return;
    const { code, charge } = data.verifyApiKey;
    if (code !== 'VALID' || charge?.credits !== credits || (order.chargeId ?? charge.id) !== charge.id) {
      throw new Error(`A charge that is not the one that was asked for: ${JSON.stringify({ order, code, charge })}`);
    }
    order.chargeId = charge.id;
  }

  async function settle(order: ChargeOrder, chance: SeededRandom): Promise<void> {
    const chargeId = order.chargeId ?? '';
    if (chance.percent(50)) {
      const { releaseCharge } = await insist(releaseDocument, { input: { chargeId } });
      expectMember(releaseCharge, 'ReleaseChargePayload');
      order.settled = { state: 'RELEASED', credits: 0 };
    } else {
      const credits = chance.between(0, order.credits);
      const { captureCharge } = await insist(captureDocument, { input: { chargeId, credits } });
      expectMember(captureCharge, 'CaptureChargePayload');
      order.settled = { state: 'CAPTURED', credits };
    }
  }

  async function grant(order: GrantOrder): Promise<void> {
    const data = await (order.idempotencyKey === null ? tryOnce : insist)(grantDocument, { input: inputOf(order) });
    if (data !== null) order.entryId = expectMember(data.grantCredits, 'GrantCreditsPayload').entry.id;
  }

  async function askOnce(customer: Customer, chance: SeededRandom): Promise<void> {
    const credits = chance.between(1, 5);
    const isRetried = chance.percent(60);
    if (chance.percent(12)) return grant(journal.orderGrant(customer, { credits, isRetried }));
    if (chance.percent(35)) {
      const order = journal.orderCharge(customer, { credits, hold: true, isRetried: true });
      await charge(customer, order);
      if (chance.percent(90)) await settle(order, chance);
      return;
    }
    const order = journal.orderCharge(customer, { credits, hold: false, isRetried });
    await charge(customer, order);
    // Retries an acknowledged charge, like a client that lost the response.
    if (isRetried && chance.percent(25)) await charge(customer, order);
  }

  async function keepAsking(chance: SeededRandom): Promise<void> {
    while (!isStopped) {
      await askOnce(chance.pick(customers), chance);
      await sleep(chance.between(0, pauseMsMax));
    }
  }

  const asking = Promise.all(Array.from({ length: askers }, () => keepAsking(chance.branch())));
  const failed = asking.then(() => new Promise<never>(() => undefined));
  failed.catch(() => undefined);
  return {
    failed,
    async stop() {
      isStopped = true;
      await asking;
    },
  };
}

function inputOf({ workspaceId, credits, reason, idempotencyKey }: GrantOrder) {
  return { workspaceId, credits, reason, idempotencyKey };
}
