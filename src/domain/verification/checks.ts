import type { Environment } from '../../generated/prisma/enums.js';
import type { Product, RefusalCode } from '../../products/product.js';
import type { KeyRecord } from '../keys/key-record.js';
import type { Presented } from '../keys/presented.js';
import { decideStatus } from '../keys/status.js';

/** What the checks look at. */
export interface Facts {
  readonly presented: Presented;
  readonly key: KeyRecord | null;
  /** The key's product, or the one whose words answer a credential that names no key. */
  readonly product: Product;
  /** The product that the caller expects; null: any. */
  readonly expectedProduct: string | null;
  /** The environment that the caller expects; null: any. */
  readonly expectedEnvironment: Environment | null;
  readonly requires: readonly string[];
  /** The Origin of the customer's request; null where it had none, as requests of servers have. */
  readonly origin: string | null;
  readonly now: Date;
}

export type KeyFacts = Facts & { readonly key: KeyRecord };

export interface Check {
  readonly code: RefusalCode;
  /** The rule, for whoever may know why a credential is refused. */
  readonly rule: string;
  readonly fails: (facts: KeyFacts) => boolean;
  /** What is the matter with this one. */
  readonly why: (facts: KeyFacts) => string;
}

/**
 * The checks that follow once a key is found, in their order. The first that fails decides. Limits and
 * credits come after them.
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
    rule: 'The key is of the product that is asked for.',
    fails: ({ key, presented, expectedProduct }) => key.product !== (expectedProduct ?? presented.product.slug),
    why: ({ key, expectedProduct }) => `The key is of ${key.product}, not of ${expectedProduct}.`,
  },
  {
    code: 'INVALID_CREDENTIAL',
    rule: 'The key is for the environment that is asked for.',
    fails: ({ key, expectedEnvironment }) => expectedEnvironment !== null && key.environment !== expectedEnvironment,
    why: ({ key, expectedEnvironment }) =>
      `This key belongs to another environment: it is for ${key.environment}, not for ${expectedEnvironment}.`,
  },
  {
    code: 'DISABLED',
    rule: 'The key is not switched off.',
    fails: ({ key }) => key.disabledAt !== null,
    why: ({ key }) => `The key was switched off at ${key.disabledAt?.toISOString()}.`,
  },
  {
    code: 'EXPIRED',
    rule: 'The key has not expired.',
    fails: ({ key, now }) => decideStatus(key, now) === 'EXPIRED',
    why: ({ key }) => `The key expired at ${key.expiresAt?.toISOString()}.`,
  },
  {
    code: 'ORIGIN_NOT_ALLOWED',
    rule: 'The key may be used from the origin.',
    fails: ({ key, origin }) => !allowsOrigin(key, origin),
    why: ({ key, origin }) =>
      `The key is restricted to ${key.allowedOrigins.join(', ')}; the request came from ${origin}.`,
  },
  {
    code: 'FORBIDDEN',
    rule: 'The key holds all permissions that are required.',
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
    rule: 'The features that the required permissions need are on.',
    fails: (facts) => missingFeatures(facts).length > 0,
    why: (facts) =>
      `These features of ${facts.product.slug} are off for the workspace: ${missingFeatures(facts).join(', ')}.`,
  },
];

/**
 * The code of the first check that a request fails, or null where only limits and credits remain to be seen.
 */
export function decideRefusal(facts: Facts): RefusalCode | null {
  if (facts.presented.kind === 'missing') return 'MISSING_CREDENTIAL';
  if (facts.presented.kind === 'malformed' || !hasKey(facts)) return 'INVALID_CREDENTIAL';
  return checks.find(({ fails }) => fails(facts))?.code ?? null;
}

/** Whether the credential names a key at all. */
export function hasKey(facts: Facts): facts is KeyFacts {
  return facts.key !== null;
}

/**
 * A key without origins goes anywhere. A request without an Origin comes from no browser, which is what the
 * restriction is about.
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
