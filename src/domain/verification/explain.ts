import type { RefusalCode, VerificationCode } from '../../products/product.js';
import { findAccess } from '../access/access.js';
import type { Actor } from '../access/principal.js';
import { decidePrice } from '../credits/price.js';
import type { Deps } from '../deps.js';
import { decidePresented } from '../keys/presented.js';
import { gatherFacts } from './authenticate.js';
import { checks, type Facts, hasKey, type KeyFacts } from './checks.js';
import { parseQuestion, type Question, type VerifyApiKey } from './question.js';

/** One check of a verification, and what it found. */
export interface CheckResult {
  readonly code: RefusalCode;
  readonly rule: string;
  /** null where it could not be made, since the credential names no key. */
  readonly passed: boolean | null;
  /** What is the matter; null when passed or not made. */
  readonly reason: string | null;
}

export interface VerificationExplanation {
  /** How the verification would end. */
  readonly code: VerificationCode;
  /** The key, where the credential names one; it is one that the caller may see. */
  readonly apiKeyId: string | null;
  /** All checks in their order. The first that failed decides the code. */
  readonly checks: readonly CheckResult[];
}

/**
 * Makes every check of a verification without any effect: nothing is counted, charged or noted. It tells the truth, so it is for
 * services, and for those who may change the key. For everybody else a key of a workspace that they do not see is an unknown one.
 * @throws ValidationError as a verification does
 */
export async function explainVerification(
  deps: Deps,
  actor: Actor,
  input: VerifyApiKey,
): Promise<VerificationExplanation> {
  const question = parseQuestion(deps, input);
  const facts = await gatherFacts(deps, decidePresented(deps.products, input.credential), question);
  const isKnown = hasKey(facts) && (await mayKnow(deps, actor, facts.key.workspaceId));
  const results = [
    ...explainCredential(facts, isKnown),
    ...(isKnown && hasKey(facts) ? await explainKey(deps, facts, question) : unmade()),
  ];
  return {
    code: results.find(({ passed }) => passed === false)?.code ?? 'VALID',
    apiKeyId: isKnown ? (facts.key?.id ?? null) : null,
    checks: results,
  };
}

async function mayKnow({ db }: Deps, { principal }: Actor, workspaceId: string): Promise<boolean> {
  const access = await findAccess(db, principal, workspaceId);
  return access?.permissions.has('apiKey:explain') ?? false;
}

function explainCredential({ presented, product }: Facts, isKnown: boolean): CheckResult[] {
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
      `It is not written as keys of ${product.slug} are: look for a missing or mistyped character.`,
    ),
    result(
      'INVALID_CREDENTIAL',
      'The credential names a key of this server.',
      isWellFormed ? isKnown : null,
      `It is written as keys of ${product.slug} are, but no such key is known here. Keys of another server, such as one for development, do not work on this one.`,
    ),
  ];
}

async function explainKey(deps: Deps, facts: KeyFacts, { charge }: Question): Promise<CheckResult[]> {
  const { key, product, now } = facts;
  const limits = await deps.limiter.peek(key.id, product, now);
  const results = checks.map(({ code, rule, fails, why }) => result(code, rule, !fails(facts), () => why(facts)));
  results.push(
    result(
      'RATE_LIMITED',
      'The key keeps its rate limits.',
      limits?.allowed ?? null,
      `Wait ${limits?.retryAfterSeconds} seconds.`,
    ),
  );
  if (charge === null) return results;
  const account = await deps.db.creditAccount.findUnique({ where: { workspaceId: key.workspaceId } });
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

/** The checks that need a key, where there is none to be made with. */
function unmade(): CheckResult[] {
  return checks.map(({ code, rule }) => result(code, rule, null, ''));
}

function result(code: RefusalCode, rule: string, passed: boolean | null, reason: string | (() => string)): CheckResult {
  if (passed !== false) return { code, rule, passed, reason: null };
  return { code, rule, passed, reason: typeof reason === 'string' ? reason : reason() };
}
