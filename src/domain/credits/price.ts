import type { Environment } from '../../generated/prisma/enums.js';
import type { Product } from '../../products/product.js';
import { ValidationError } from '../errors.js';
import { creditsMax } from '../input.js';

export interface Price {
  /** Whole credits; 0 where the key is free. */
  readonly credits: number;
}

/**
 * What an action costs a key. Fractions round up to whole credits. The arithmetic is that of the decimal numbers as
 * written: 1.1 units of 10 credits are 11 credits, not the 12 that binary fractions would round up to.
 * @throws ValidationError for an unknown action, or a quantity that is not positive, not finite or too large
 */
export function decidePrice(product: Product, environment: Environment, action: string, quantity: number): Price {
  const price = Object.hasOwn(product.prices, action) ? product.prices[action] : undefined;
  if (price === undefined) {
    const actions = Object.keys(product.prices);
    const choice = actions.length > 0 ? `One of: ${actions.join(', ')}.` : 'It has no prices.';
    throw new ValidationError('input.charge.action', `${product.slug} has no action of this name. ${choice}`);
  }
  parseQuantity('input.charge.quantity', quantity);
  const credits = multiplyRoundingUp(price.credits, quantity);
  if (credits > BigInt(creditsMax)) {
    throw new ValidationError('input.charge.quantity', `One charge takes at most ${creditsMax} credits.`);
  }
  return { credits: environment === 'TEST' && product.testKeys.free ? 0 : Number(credits) };
}

/** A quantity above zero. @throws ValidationError */
export function parseQuantity(field: string, quantity: number): number {
  if (!Number.isFinite(quantity) || quantity <= 0) {
    throw new ValidationError(field, 'A quantity must be a finite number above zero.');
  }
  return quantity;
}

/** The product of two non-negative numbers, each taken as the decimal that it is written as, rounded up to a whole number. */
export function multiplyRoundingUp(a: number, b: number): bigint {
  const one = toDecimal(a);
  const other = toDecimal(b);
  const digits = one.digits * other.digits;
  const exponent = one.exponent + other.exponent;
  if (exponent >= 0) return digits * 10n ** BigInt(exponent);
  const divisor = 10n ** BigInt(-exponent);
  return (digits + divisor - 1n) / divisor;
}

/** value = digits × 10^exponent, exactly as its shortest decimal form says. */
function toDecimal(value: number): { digits: bigint; exponent: number } {
  const [mantissa = '0', exponent = '0'] = value.toString().split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length };
}
