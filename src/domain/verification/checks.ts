import type { Environment } from '../../generated/prisma/enums.js';
import type { Product, RefusalCode } from '../../products/product.js';
import type { ClassifiedCredential } from '../keys/classify-credential.js';
import type { KeyRecord } from '../keys/key-record.js';
import { decideStatus } from '../keys/status.js';

/** The input of the checks. */
export interface Facts {
  readonly presented: ClassifiedCredential;
  readonly key: KeyRecord | null;
  /** The key's product. Without a key: the product whose wording applies. */
  readonly product: Product;
  /** The product that the caller expects; null: any. */
  readonly expectedProduct: string | null;
  /** The environment that the caller expects; null: any. */
  readonly expectedEnvironment: Environment | null;
  readonly requires: readonly string[];
  /** The `Origin` header of the customer's request; null: none, as in requests of servers. */
  readonly origin: string | null;
  readonly now: Date;
}

export type KeyFacts = Facts & { readonly key: KeyRecord };

export interface Check {
  readonly code: RefusalCode;
  /** The rule, as `explainVerification` shows it. */
  readonly rule: string;
  readonly fails: (facts: KeyFacts) => boolean;
  /** The reason for which this key fails the rule. */
  readonly why: (facts: KeyFacts) => string;
}

/**
 * The checks of a key, in order. The first check that fails decides the code. Rate limits and credits
 * follow.
 */
export const checks: readonly Check[] = [
  {
    code: 'INVALID_CREDENTIAL',
    rule: 'The secret is not retired.',
    fails: ({ key, now }) => key.secretRetiresAt !== null && key.secretRetiresAt <= now,
    why: ({ key }) => `This secret was retired at ${key.secretRetiresAt?.toISOString()}.`,
  },
  {
    code: 'INVALID_CREDENTIAL',
    rule: 'The key is not revoked.',
    fails: ({ key, now }) => decideStatus(key, now) === 'REVOKED',
    why: ({ key }) => `The key was revoked at ${key.revokedAt?.toISOString()}.`,
  },
  {
    code: 'INVALID_CREDENTIAL',
    rule: 'The key belongs to the expected product.',
    fails: ({ key, presented, expectedProduct }) => key.product !== (expectedProduct ?? presented.product.slug),
    why: ({ key, expectedProduct }) => `The key belongs to ${key.product}, not to ${expectedProduct}.`,
  },
  {
    code: 'INVALID_CREDENTIAL',
    rule: 'The key has the expected environment.',
    fails: ({ key, expectedEnvironment }) => expectedEnvironment !== null && key.environment !== expectedEnvironment,
    why: ({ key, expectedEnvironment }) =>
      `The environment of the key is ${key.environment}, not ${expectedEnvironment}.`,
  },
  {
    code: 'DISABLED',
    rule: 'The key is not disabled.',
    fails: ({ key }) => key.disabledAt !== null,
    why: ({ key }) => `The key was disabled at ${key.disabledAt?.toISOString()}.`,
  },
  {
    code: 'EXPIRED',
    rule: 'The key has not expired.',
    fails: ({ key, now }) => decideStatus(key, now) === 'EXPIRED',
    why: ({ key }) => `The key expired at ${key.expiresAt?.toISOString()}.`,
  },
  {
    code: 'ORIGIN_NOT_ALLOWED',
    rule: 'The key allows the origin.',
    fails: ({ key, origin }) => !allowsOrigin(key, origin),
    why: ({ key, origin }) =>
      `The key is restricted to ${key.allowedOrigins.join(', ')}; the request came from ${origin}.`,
  },
  {
    code: 'FORBIDDEN',
    rule: 'The key holds all required permissions.',
    fails: (facts) => missingPermissions(facts).length > 0,
    why: (facts) => `The key does not hold ${missingPermissions(facts).join(', ')}.`,
  },
  {
    code: 'WORKSPACE_SUSPENDED',
    rule: 'The workspace is not suspended.',
    fails: ({ key }) => key.workspaceSuspendedAt !== null,
    why: ({ key }) => `The workspace was suspended at ${key.workspaceSuspendedAt?.toISOString()}.`,
  },
  {
    code: 'FEATURE_DISABLED',
    rule: 'The features that the required permissions need are enabled.',
    fails: (facts) => missingFeatures(facts).length > 0,
    why: (facts) =>
      `These features of ${facts.product.slug} are disabled for the workspace: ${missingFeatures(facts).join(', ')}.`,
  },
];

/** The code of the first check that fails; null: all passed, and rate limits and credits follow. */
export function decideRefusal(facts: Facts): RefusalCode | null {
  if (facts.presented.kind === 'missing') return 'MISSING_CREDENTIAL';
  if (facts.presented.kind === 'malformed' || !hasKey(facts)) return 'INVALID_CREDENTIAL';
  return checks.find(({ fails }) => fails(facts))?.code ?? null;
}

/** Whether the credential names a key. */
export function hasKey(facts: Facts): facts is KeyFacts {
  return facts.key !== null;
}

/**
 * A key without allowed origins accepts all. Requests without `Origin` pass: the restriction concerns
 * browsers, which send it.
 */
function allowsOrigin({ allowedOrigins }: KeyRecord, origin: string | null): boolean {
  return origin === null || allowedOrigins.length === 0 || allowedOrigins.includes(origin);
}

function missingPermissions({ key, requires }: KeyFacts): string[] {
  return requires.filter((permission) => !key.permissions.includes(permission));
}

function missingFeatures({ key, product, requires }: KeyFacts): string[] {
  const needed = requires.flatMap((permission) => product.permissions[permission]?.feature ?? []);
  return needed.filter((feature) => !key.features.includes(feature));
}
