import { ValidationError } from '../../errors.js';
import type { Environment } from '../../generated/prisma/enums.js';
import { parseIdempotencyKey, parseOrigin } from '../access/input.js';
import type { ChargeRequest } from '../credits/charge.js';
import { parseQuantity } from '../credits/price.js';
import type { Deps } from '../deps.js';
import type { Credential } from '../keys/credential.js';

/** What a product's backend asks about one request of a customer. */
export interface VerifyApiKey {
  readonly credential: Credential;
  /** The product that the key has to be of; without one, any product of this server. */
  readonly product?: string | null | undefined;
  /** The environment that the key has to be for; without one, any. */
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

/** The most permissions that one request can require. */
const requiresMax = 20;

/** The same, checked: all that does not depend on which key it is. */
export interface Question {
  readonly expectedProduct: string | null;
  readonly expectedEnvironment: Environment | null;
  readonly requires: readonly string[];
  readonly origin: string | null;
  readonly charge: ChargeRequest | null;
}

/** @throws ValidationError for what no credential could make right */
export function parseQuestion(
  { products }: Pick<Deps, 'products'>,
  { product, environment, requires, origin, charge }: VerifyApiKey,
): Question {
  if (product != null && products.find(product) === null) {
    throw new ValidationError('input.product', 'There is no product of this name.');
  }
  if ((requires?.length ?? 0) > requiresMax) {
    throw new ValidationError('input.requires', `At most ${requiresMax} permissions can be required at once.`);
  }
  requires?.forEach((permission, index) => {
    if (!products.all.some((each) => Object.hasOwn(each.permissions, permission))) {
      throw new ValidationError(`input.requires.${index}`, 'No product of this server has a permission of this name.');
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

/** Browsers send `null` for an opaque origin: it is an origin, and one that nobody can have allowed. */
function parseRequestOrigin(origin: string): string {
  return origin === 'null' ? origin : parseOrigin('input.origin', origin);
}

function parseCharge({ action, quantity, hold, idempotencyKey }: NonNullable<VerifyApiKey['charge']>): ChargeRequest {
  return {
    action,
    quantity: parseQuantity('input.charge.quantity', quantity),
    hold,
    idempotencyKey: parseIdempotencyKey('input.charge.idempotencyKey', idempotencyKey),
  };
}
