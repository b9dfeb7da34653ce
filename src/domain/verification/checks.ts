import type { Product, RefusalCode } from '../../products/product.js';
import { decideStatus } from '../api-keys/status.js';
import type { KeyRecord } from './key-record.js';
import type { Presented } from './presented.js';

/** What the checks look at. */
export interface Facts {
  readonly presented: Presented;
  readonly key: KeyRecord | null;
  /** The key's product, or the one whose words answer a credential that names no key. */
  readonly product: Product;
  /** The product that the caller expects; null: any. */
  readonly expectedProduct: string | null;
  readonly requires: readonly string[];
  /** The Origin of the customer's request; null where it had none, as requests of servers have. */
  readonly origin: string | null;
  readonly now: Date;
}

type Check = readonly [code: RefusalCode, fails: (facts: Facts & { key: KeyRecord }) => boolean];

/** The checks that follow once a key is found, in their order. The first that fails decides. Limits and credits come after them. */
const checks: readonly Check[] = [
  ['INVALID_CREDENTIAL', ({ key, now }) => key.secretRetiresAt !== null && key.secretRetiresAt <= now],
  ['INVALID_CREDENTIAL', ({ key, now }) => decideStatus(key, now) === 'REVOKED'],
  ['INVALID_CREDENTIAL', ({ key, presented }) => key.product !== presented.product.slug],
  ['INVALID_CREDENTIAL', ({ key, expectedProduct }) => expectedProduct !== null && key.product !== expectedProduct],
  ['DISABLED', ({ key }) => key.disabledAt !== null],
  ['EXPIRED', ({ key, now }) => decideStatus(key, now) === 'EXPIRED'],
  ['ORIGIN_NOT_ALLOWED', ({ key, origin }) => !allowsOrigin(key, origin)],
  ['FORBIDDEN', ({ key, requires }) => requires.some((permission) => !key.permissions.includes(permission))],
  ['WORKSPACE_SUSPENDED', ({ key }) => key.workspaceSuspendedAt !== null],
  [
    'FEATURE_DISABLED',
    ({ key, product, requires }) => requires.some((permission) => needsMissingFeature(product, key, permission)),
  ],
];

/** The code of the first check that a request fails, or null where only limits and credits remain to be seen. */
export function decideRefusal(facts: Facts): RefusalCode | null {
  if (facts.presented.kind === 'missing') return 'MISSING_CREDENTIAL';
  const { key } = facts;
  if (facts.presented.kind === 'malformed' || key === null) return 'INVALID_CREDENTIAL';
  return checks.find(([, fails]) => fails({ ...facts, key }))?.[0] ?? null;
}

/** A key without origins goes anywhere. A request without an Origin comes from no browser, which is what the restriction is about. */
function allowsOrigin({ allowedOrigins }: KeyRecord, origin: string | null): boolean {
  return origin === null || allowedOrigins.length === 0 || allowedOrigins.includes(origin);
}

function needsMissingFeature(product: Product, key: KeyRecord, permission: string): boolean {
  const feature = product.permissions[permission]?.feature;
  return feature !== undefined && !key.features.includes(feature);
}
