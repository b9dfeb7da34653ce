import type { Db } from '../../db/transaction.js';
import type { RefusalCode, VerificationCode } from '../../products/product.js';
import { findAccess } from '../access/access.js';
import type { Actor } from '../access/principal.js';
import { decidePrice } from '../credits/price.js';
import { classifyCredential } from '../keys/classify-credential.js';
import type { RateLimiter } from '../rate-limits/limiter.js';
import { checks, type Facts, hasKey, type KeyFacts } from './checks.js';
import { type FactSources, loadFacts } from './facts.js';
import { parseRequest, type VerificationRequest, type VerifyApiKeyInput } from './request.js';

/** One check of a verification and its outcome. */
export interface CheckResult {
  readonly code: RefusalCode;
  readonly rule: string;
  /** Null: the check was not run, because the credential names no key. */
  readonly passed: boolean | null;
  /** Why the check failed; null: it passed or was not run. */
  readonly reason: string | null;
}

export interface VerificationExplanation {
  /** The code that the verification would end with. */
  readonly code: VerificationCode;
  /** The key that the credential names, if the caller may see it. */
  readonly apiKeyId: string | null;
  /** All checks in their order. The first that failed decides the code. */
  readonly checks: readonly CheckResult[];
}

export interface ExplainServices extends FactSources {
  readonly db: Db;
  readonly limiter: Pick<RateLimiter, 'peek'>;
}

/**
 * Runs all checks of a verification without side effects: nothing is counted, charged or recorded. The
 * result contains the real reasons, so it requires `apiKey:explain` in the key's workspace. To other callers
 * the key is unknown.
 * @throws ValidationError as a verification does
 */
export async function explainVerification(
  services: ExplainServices,
  actor: Actor,
  input: VerifyApiKeyInput,
): Promise<VerificationExplanation> {
  const request = parseRequest(services.products, input);
  const facts = await loadFacts(services, classifyCredential(services.products, input.credential), request);
  const isVisible = hasKey(facts) && (await mayExplain(services.db, actor, facts.key.workspaceId));
  const results = [
    ...explainCredential(facts, isVisible),
    ...(isVisible && hasKey(facts) ? await explainKey(services, facts, request) : skippedChecks()),
  ];
  return {
    code: results.find(({ passed }) => passed === false)?.code ?? 'VALID',
    apiKeyId: isVisible ? (facts.key?.id ?? null) : null,
    checks: results,
  };
}

async function mayExplain(db: Db, { principal }: Actor, workspaceId: string): Promise<boolean> {
  const access = await findAccess(db, principal, workspaceId);
  return access?.permissions.has('apiKey:explain') ?? false;
}

function explainCredential({ presented, product }: Facts, isVisible: boolean): CheckResult[] {
  const isPresent = presented.kind !== 'missing';
  const isWellFormed = presented.kind === 'candidate';
  return [
    result(
      'MISSING_CREDENTIAL',
      'A credential is presented.',
      isPresent,
      'The request presents no credential, or half a pair.',
    ),
    result(
      'INVALID_CREDENTIAL',
      'The credential has the form of a key of this server.',
      isPresent ? isWellFormed : null,
      `The credential does not have the form of a key of ${product.slug}. Check it for missing or mistyped characters.`,
    ),
    result(
      'INVALID_CREDENTIAL',
      'The credential names a key of this server.',
      isWellFormed ? isVisible : null,
      `The credential has the form of a key of ${product.slug}, but this server has no such key. Check that it is a key of this server, not of another one, such as a development server.`,
    ),
  ];
}

async function explainKey(
  services: ExplainServices,
  facts: KeyFacts,
  { charge }: VerificationRequest,
): Promise<CheckResult[]> {
  const { key, product, now } = facts;
  const limits = await services.limiter.peek(key.id, product, now);
  const results = checks.map(({ code, rule, fails, why }) => result(code, rule, !fails(facts), () => why(facts)));
  results.push(
    result(
      'RATE_LIMITED',
      'The key is within its rate limits.',
      limits?.allowed ?? null,
      `Wait ${limits?.retryAfterSeconds} seconds.`,
    ),
  );
  if (charge === null) return results;
  const account = await services.db.creditAccount.findUnique({ where: { workspaceId: key.workspaceId } });
  const available = account === null ? 0 : account.balance - account.held;
  const price = decidePrice(product, key.environment, charge.action, charge.quantity);
  if ('error' in price) throw price.error;
  results.push(
    result(
      'INSUFFICIENT_CREDITS',
      'The workspace can pay for the action.',
      price.credits <= available,
      `The action costs ${price.credits} credits; ${available} are available.`,
    ),
  );
  return results;
}

/** The checks that were not run, because they need a key. */
function skippedChecks(): CheckResult[] {
  return checks.map(({ code, rule }) => result(code, rule, null, ''));
}

function result(code: RefusalCode, rule: string, passed: boolean | null, reason: string | (() => string)): CheckResult {
  if (passed !== false) return { code, rule, passed, reason: null };
  return { code, rule, passed, reason: typeof reason === 'string' ? reason : reason() };
}
