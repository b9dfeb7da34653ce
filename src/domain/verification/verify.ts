import { UnavailableError } from '../../errors.js';
import type { RefusalCode, VerificationCode, Wording } from '../../products/product.js';
import type { ChargeOrder, ChargeOutcome, DecidedCharge } from '../credits/charge.js';
import type { Deps } from '../deps.js';
import type { KeyRecord } from '../keys/key-record.js';
import { decidePresented } from '../keys/presented.js';
import { type HttpHeader, rateLimitHeaders } from '../rate-limits/headers.js';
import type { RateLimitDecision, RateLimitState } from '../rate-limits/limiter.js';
import { gatherFacts, recallFacts } from './authenticate.js';
import { decideRefusal, type Facts } from './checks.js';
import { parseQuestion, type VerifyApiKey } from './question.js';

/** How a verification ends: for every credential there is exactly one code. */
export interface Verification {
  readonly code: VerificationCode;
  /** What to tell the customer, in the product's words; null when valid. */
  readonly rejection: Wording | null;
  /** null where the credential names no key that the caller may know of. */
  readonly apiKeyId: string | null;
  readonly workspaceId: string | null;
  /** Whether the request costs credits: a LIVE key, or a TEST key of a product whose test keys pay. */
  readonly billable: boolean;
  readonly watermark: boolean;
  readonly charge: DecidedCharge | null;
  readonly rateLimits: readonly RateLimitState[];
  readonly headers: readonly HttpHeader[];
}

/**
 * Answers one request of a product's customer: is the credential good, may the key do this, does it keep its limits, and has its
 * workspace paid? A refusal is an answer, not an error.
 * @throws ValidationError for an input that no credential could make right: an unknown permission, product or action, a bad quantity;
 * UnavailableError
 */
export async function verifyApiKey(
  deps: Deps,
  input: VerifyApiKey,
  settle: Settle | null = null,
): Promise<Verification> {
  const question = parseQuestion(deps, input);
  const presented = decidePresented(deps.products, input.credential);
  let limits: RateLimitDecision | null = null;
  for (let tries = 1; tries <= triesMax; tries += 1) {
    // A charge confirms what is known of its key, so that is not read first. Whatever else is answered goes by what is true now.
    const isConfirmedLater = tries === 1 && question.charge !== null && settle === null;
    const recalled = isConfirmedLater ? recallFacts(deps, presented, question) : null;
    const facts = recalled ?? (await gatherFacts(deps, presented, question));
    const { key, product, now } = facts;
    const refusal = decideRefusal(facts);
    if (refusal !== null && recalled !== null) continue;
    if (key === null) return refuse(deps, facts, refusal ?? 'INVALID_CREDENTIAL', null);
    if (refusal !== null) return refuse(deps, facts, refusal, await deps.limiter.peek(key.id, product, now));
    // A second look after a change in between is still the same request.
    limits ??= product.rateLimits.length === 0 ? unlimited : await deps.limiter.take(key.id, product, now);
    if (!limits.allowed && recalled !== null) continue;
    if (!limits.allowed) return refuse(deps, facts, 'RATE_LIMITED', limits);
    const { charge } = question;
    const outcome =
      settle === null
        ? charge && (await deps.takeCharge({ key, product, request: charge, at: now }))
        : await settle({ key, product, request: charge, at: now }, concludeWith(facts, key, limits));
    if (outcome?.kind === 'stale') continue;
    if (outcome?.kind === 'insufficient' || outcome?.kind === 'capped')
      return refuse(deps, facts, 'INSUFFICIENT_CREDITS', limits);
    if (outcome?.kind === 'repeated') {
      deps.uses.record(key, 'VALID', 0, now);
      return { ...outcome.original, rateLimits: limits.states, headers: rateLimitHeaders(limits) };
    }
    const taken = outcome?.charge ?? null;
    deps.uses.record(key, 'VALID', creditsTaken(taken), now);
    return allow(facts, key, limits, taken);
  }
  throw new UnavailableError('The key is being changed just now. Try again in a moment.');
}

/** How a request was settled that passed its checks and limits; null where nothing was to be charged. */
export type Settled = ChargeOutcome | { readonly kind: 'repeated'; readonly original: Verification } | null;

/** Settles a request in another way than by charging it at once. `conclude` says what it is then answered. */
export type Settle = (
  order: Omit<ChargeOrder, 'request'> & { readonly key: KeyRecord; readonly request: ChargeOrder['request'] | null },
  conclude: (settled: Settled) => Verification,
) => Promise<Settled>;

function concludeWith(facts: Facts, key: KeyRecord, limits: RateLimitDecision): (settled: Settled) => Verification {
  return (settled) => allow(facts, key, limits, settled?.kind === 'charged' ? settled.charge : null);
}

/** What a product without limits decides. */
const unlimited: RateLimitDecision = { allowed: true, states: [], retryAfterSeconds: 0, decidedAt: new Date(0) };

/** How often a request is looked at again because its key changed between the checks and the charge. */
const triesMax = 5;

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

/** What was taken just now: a repetition was counted with its original, and a hold is counted when it is captured. */
function creditsTaken(charge: DecidedCharge | null): number {
  return charge === null || charge.replayed || charge.state === 'HELD' ? 0 : charge.credits;
}

/** A refusal in the product's words. The log knows more than the caller: which key it was, where there is one. */
function refuse(
  { authenticationFailures, log, products, uses }: Deps,
  { key, product, expectedProduct, now }: Facts,
  code: RefusalCode,
  limits: RateLimitDecision | null,
): Verification {
  log.debug(
    { code, product: product.slug, apiKeyId: key?.id ?? null, revokedAt: key?.revokedAt ?? null },
    'verification refused',
  );
  // Its owner may know that it is still tried, whatever the caller is told.
  if (key !== null) uses.record(key, code, 0, now);
  else if (code !== 'MISSING_CREDENTIAL') authenticationFailures.count('VERIFICATION', now);
  const known = code === 'INVALID_CREDENTIAL' ? null : key;
  const shown = known === null ? null : limits;
  // Whoever asks for a product hears that product, so that a key of another one looks like an unknown one.
  const speaker = (expectedProduct === null ? null : products.find(expectedProduct)) ?? product;
  return {
    code,
    rejection: speaker.wording[code],
    apiKeyId: known?.id ?? null,
    workspaceId: known?.workspaceId ?? null,
    billable: false,
    watermark: false,
    charge: null,
    rateLimits: shown?.states ?? [],
    headers: shown === null ? [] : rateLimitHeaders(shown),
  };
}
