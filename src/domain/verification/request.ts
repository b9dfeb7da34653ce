import { ValidationError } from '../../errors.js';
import type { Environment } from '../../generated/prisma/enums.js';
import type { Products } from '../../products/product.js';
import { parseIdempotencyKey, parseOrigin } from '../access/input.js';
import type { ChargeRequest } from '../credits/charge.js';
import { parseQuantity } from '../credits/price.js';
import type { Credential } from '../keys/credential.js';

/** A customer's request that a backend verifies. */
export interface VerifyApiKeyInput {
  readonly credential: Credential;
  /** The product that the key must belong to. Default: any. */
  readonly product?: string | null | undefined;
  /** The environment that the key must have. Default: any. */
  readonly environment?: Environment | null | undefined;
  readonly requires?: readonly string[] | null | undefined;
  readonly origin?: string | null | undefined;
  readonly charge?:
    | {
        readonly action: string;
        readonly quantity: number;
        readonly hold: boolean;
        readonly idempotencyKey?: string | null | undefined;
      }
    | null
    | undefined;
}

/** Maximum number of permissions that one request can require. */
const requiresMax = 20;

/** A request after the validation that does not depend on the key. */
export interface VerificationRequest {
  readonly expectedProduct: string | null;
  readonly expectedEnvironment: Environment | null;
  readonly requires: readonly string[];
  readonly origin: string | null;
  readonly charge: ChargeRequest | null;
}

/** A request that only presents a credential. */
export const plainRequest: VerificationRequest = {
  expectedProduct: null,
  expectedEnvironment: null,
  requires: [],
  origin: null,
  charge: null,
};

/** @throws ValidationError for an input that no credential could make valid */
export function parseRequest(
  products: Products,
  { product, environment, requires, origin, charge }: VerifyApiKeyInput,
): VerificationRequest {
  if (product != null && products.find(product) === null) {
    throw new ValidationError(
      'product',
      `Unknown product. Use one of: ${products.all.map(({ slug }) => slug).join(', ')}.`,
    );
  }
  if ((requires?.length ?? 0) > requiresMax) {
    throw new ValidationError('requires', `At most ${requiresMax} permissions can be required at once.`);
  }
  requires?.forEach((permission, index) => {
    if (!products.all.some((each) => Object.hasOwn(each.permissions, permission))) {
      throw new ValidationError(`requires.${index}`, 'Unknown permission: no product of this server defines it.');
    }
  });
  return {
    expectedProduct: product ?? null,
    expectedEnvironment: environment ?? null,
    requires: requires ?? [],
    origin: origin == null || origin === '' ? null : parseRequestOrigin(origin),
    charge: charge == null ? null : parseCharge(charge),
  };
}

/** Browsers send `null` for an opaque origin. A key with allowed origins refuses it. */
function parseRequestOrigin(origin: string): string {
  return origin === 'null' ? origin : parseOrigin('origin', origin);
}

function parseCharge({
  action,
  quantity,
  hold,
  idempotencyKey,
}: NonNullable<VerifyApiKeyInput['charge']>): ChargeRequest {
  return {
    action,
    quantity: parseQuantity('charge.quantity', quantity),
    hold,
    idempotencyKey: parseIdempotencyKey('charge.idempotencyKey', idempotencyKey),
  };
}
