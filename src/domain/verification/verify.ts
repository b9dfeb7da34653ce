import type { Logger } from 'pino';
import { UnavailableError } from '../../errors.js';
import type { RefusalCode, VerificationCode, Wording } from '../../products/product.js';
import type { MutationDefinition } from '../commands/define-command.js';
import type { ChargeOrder, ChargeOutcome, DecidedCharge, TakeCharge } from '../credits/charge.js';
import type { AuthenticationFailures } from '../identity/authentication-failures.js';
import { type ClassifiedCredential, classifyCredential } from '../keys/classify-credential.js';
import type { KeyRecord } from '../keys/key-record.js';
import { type HttpHeader, rateLimitHeaders } from '../rate-limits/headers.js';
import type { RateLimitDecision, RateLimiter, RateLimitState } from '../rate-limits/limiter.js';
import type { UseRecorder } from '../usage/use-recorder.js';
import { decideRefusal, type Facts } from './checks.js';
import { type FactSources, getCachedFacts, loadFacts } from './facts.js';
import { parseRequest, type VerificationRequest, type VerifyApiKeyInput } from './request.js';

export const verifyApiKeyMutation: MutationDefinition = {
  name: 'verifyApiKey',
  permission: 'apiKey:verify',
  throttled: false,
  audit: null,
};

export const verifyApiKeysMutation: MutationDefinition = { ...verifyApiKeyMutation, name: 'verifyApiKeys' };

/** The result of a verification. Each request ends in exactly one code. */
export interface Verification {
  readonly code: VerificationCode;
  /** The answer for the customer, in the product's wording; null: valid. */
  readonly rejection: Wording | null;
  /** Null: the credential names no key that is visible to the caller. */
  readonly apiKeyId: string | null;
  readonly workspaceId: string | null;
  /**
   * Whether the request costs credits: a LIVE key, or a TEST key of a product whose test keys are not free.
   */
  readonly billable: boolean;
  readonly watermark: boolean;
  readonly charge: DecidedCharge | null;
  readonly rateLimits: readonly RateLimitState[];
  readonly headers: readonly HttpHeader[];
}

export interface VerificationServices extends FactSources {
  readonly takeCharge: TakeCharge;
  readonly limiter: RateLimiter;
  readonly uses: Pick<UseRecorder, 'record' | 'note'>;
  readonly authenticationFailures: Pick<AuthenticationFailures, 'count'>;
  readonly log: Logger;
}

/** How a request that passed its checks and limits was charged; null: no charge was requested. */
export type Settlement = ChargeOutcome | { readonly kind: 'replayed'; readonly original: Verification } | null;

/** A request that passed its checks and limits. */
export interface SettlementOrder extends Omit<ChargeOrder, 'request'> {
  readonly key: KeyRecord;
  readonly request: ChargeOrder['request'] | null;
}

/** Charges a request without the charge batcher. `conclude` creates the verification for a settlement. */
export type Settle = (
  order: SettlementOrder,
  conclude: (settlement: Settlement) => Verification,
) => Promise<Settlement>;

/**
 * Maximum number of attempts of a verification. It is repeated if the key changed between the checks and the
 * charge.
 */
const attemptsMax = 5;

/**
 * Verifies a customer's request: is the credential valid, may the key do this, is it within its rate limits,
 * and can its workspace pay? A refusal is a result, not an error.
 * @throws ValidationError for an unknown permission, product or action, or a bad quantity; UnavailableError
 */
export async function verifyApiKey(
  services: VerificationServices,
  input: VerifyApiKeyInput,
  settle: Settle | null = null,
): Promise<Verification> {
  const request = parseRequest(services.products, input);
  const presented = classifyCredential(services.products, input.credential);
  const attempt: Attempt = {
    request,
    presented,
    settle,
    // A charge confirms the cached key in its own statement, so the key need not be read first.
    usesCache: request.charge !== null && settle === null,
    limits: null,
  };
  for (let attempts = 1; attempts <= attemptsMax; attempts += 1) {
    const verification = await runSteps(services, attempt);
    if (verification !== null) return verification;
    attempt.usesCache = false;
  }
  throw new UnavailableError('The key is being changed. Try again in a moment.');
}

interface Attempt {
  readonly request: VerificationRequest;
  readonly presented: ClassifiedCredential;
  readonly settle: Settle | null;
  /** Whether the cached key may be used before the database has confirmed it. */
  usesCache: boolean;
  /** The rate limit decision. A request is counted once, not per attempt. */
  limits: RateLimitDecision | null;
}

/**
 * Runs the steps in order.
 * @returns null if the key has changed since it was read: the request must be verified again
 */
async function runSteps(services: VerificationServices, attempt: Attempt): Promise<Verification | null> {
  const { request, presented } = attempt;

  // Load the key.
  const cached = attempt.usesCache ? getCachedFacts(services, presented, request) : null;
  const facts = cached ?? (await loadFacts(services, presented, request));
  const { key, product, now } = facts;
  const isConfirmed = cached === null;

  // Run the checks. A refusal is decided by the current state only.
  const refusal = decideRefusal(facts);
  if (refusal !== null && !isConfirmed) return null;
  if (key === null) return refuse(services, facts, refusal ?? 'INVALID_CREDENTIAL', null);
  if (refusal !== null) return refuse(services, facts, refusal, await services.limiter.peek(key.id, product, now));

  // Take the rate limits.
  attempt.limits ??= product.rateLimits.length === 0 ? unlimited : await services.limiter.take(key.id, product, now);
  const { limits } = attempt;
  if (!limits.allowed) return isConfirmed ? refuse(services, facts, 'RATE_LIMITED', limits) : null;

  // Charge.
  const order = { key, product, request: request.charge, at: now };
  const settlement =
    attempt.settle === null
      ? request.charge && (await services.takeCharge({ ...order, request: request.charge }))
      : await attempt.settle(order, (made) => allow(facts, key, limits, chargeOf(made)));

  return answer(services, facts, key, limits, settlement);
}

function answer(
  services: VerificationServices,
  facts: Facts,
  key: KeyRecord,
  limits: RateLimitDecision,
  settlement: Settlement,
): Verification | null {
  switch (settlement?.kind) {
    case 'stale':
      return null;
    case 'insufficient':
    case 'capped':
      return refuse(services, facts, 'INSUFFICIENT_CREDITS', limits);
    case 'replayed':
      services.uses.record(key, 'VALID', 0, facts.now);
      return { ...settlement.original, rateLimits: limits.states, headers: rateLimitHeaders(limits) };
    default: {
      const charge = chargeOf(settlement);
      services.uses.record(key, 'VALID', creditsTaken(charge), facts.now);
      return allow(facts, key, limits, charge);
    }
  }
}

function chargeOf(settlement: Settlement): DecidedCharge | null {
  return settlement?.kind === 'charged' ? settlement.charge : null;
}

/** The decision for a product without rate limits. */
const unlimited: RateLimitDecision = { allowed: true, states: [], retryAfterSeconds: 0, decidedAt: new Date(0) };

function allow(
  { product }: Facts,
  key: KeyRecord,
  limits: RateLimitDecision,
  charge: Verification['charge'],
): Verification {
  const isTest = key.environment === 'TEST';
  return {
    code: 'VALID',
    rejection: null,
    apiKeyId: key.id,
    workspaceId: key.workspaceId,
    billable: !(isTest && product.testKeys.free),
    watermark: isTest && product.testKeys.watermark,
    charge,
    rateLimits: limits.states,
    headers: rateLimitHeaders(limits),
  };
}

/**
 * The credits that count as usage now: a replay was counted with its original, and a hold is counted when it
 * is captured.
 */
function creditsTaken(charge: DecidedCharge | null): number {
  return charge === null || charge.replayed || charge.state === 'HELD' ? 0 : charge.credits;
}

/** A refusal in the product's wording. The log names the key; the answer does so only for some codes. */
function refuse(
  { authenticationFailures, log, products, uses }: VerificationServices,
  { key, product, expectedProduct, now }: Facts,
  code: RefusalCode,
  limits: RateLimitDecision | null,
): Verification {
  log.debug(
    { code, product: product.slug, apiKeyId: key?.id ?? null, revokedAt: key?.revokedAt ?? null },
    'verification refused',
  );
  // Recorded for every code, so that the owner of the key sees that it is still used.
  if (key !== null) uses.record(key, code, 0, now);
  else if (code !== 'MISSING_CREDENTIAL') authenticationFailures.count('VERIFICATION', now);
  const shownKey = code === 'INVALID_CREDENTIAL' ? null : key;
  const shownLimits = shownKey === null ? null : limits;
  // The wording of the expected product applies, so that a key of another product cannot be distinguished
  // from an unknown key.
  const wordingProduct = (expectedProduct === null ? null : products.find(expectedProduct)) ?? product;
  return {
    code,
    rejection: wordingProduct.wording[code],
    apiKeyId: shownKey?.id ?? null,
    workspaceId: shownKey?.workspaceId ?? null,
    billable: false,
    watermark: false,
    charge: null,
    rateLimits: shownLimits?.states ?? [],
    headers: shownLimits === null ? [] : rateLimitHeaders(shownLimits),
  };
}
