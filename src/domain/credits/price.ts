import { ValidationError } from '../../errors.js';
import type { Environment } from '../../generated/prisma/enums.js';
import type { Product } from '../../products/product.js';
import { creditsMax } from '../access/input.js';

/** The price of an action in whole credits, or the error if it has no price. */
export type PriceDecision = { readonly credits: number } | { readonly error: ValidationError };

/**
 * The price of an action for a key; 0 for a free test key. Fractions are rounded up to whole credits. The
 * arithmetic is decimal: 1.1 units of 10 credits are 11 credits, while binary floating point would give 12.
 * @param quantity above zero; see {@link parseQuantity}.
 */
export function decidePrice(
  product: Product,
  environment: Environment,
  action: string,
  quantity: number,
): PriceDecision {
  const price = Object.hasOwn(product.prices, action) ? product.prices[action] : undefined;
  if (price === undefined) {
    const actions = Object.keys(product.prices);
    const choice = actions.length > 0 ? `Use one of: ${actions.join(', ')}.` : 'It has no prices.';
    return refusal('charge.action', `${product.slug} has no action of this name. ${choice}`);
  }
  const credits = multiplyRoundingUp(price.credits, quantity);
  if (credits > BigInt(creditsMax)) {
    return refusal('charge.quantity', `A charge must be at most ${creditsMax} credits. Use a smaller quantity.`);
  }
  return { credits: environment === 'TEST' && product.testKeys.free ? 0 : Number(credits) };
}

function refusal(field: string, message: string): PriceDecision {
  return { error: new ValidationError(field, message) };
}

/** A quantity above zero. @throws ValidationError */
export function parseQuantity(field: string, quantity: number): number {
  if (!Number.isFinite(quantity) || quantity <= 0) {
    throw new ValidationError(field, 'A quantity must be a finite number above zero.');
  }
  return quantity;
}

/** Multiplies two non-negative numbers as decimals, and rounds the product up to an integer. */
export function multiplyRoundingUp(a: number, b: number): bigint {
  const one = toDecimal(a);
  const other = toDecimal(b);
  const digits = one.digits * other.digits;
  const exponent = one.exponent + other.exponent;
  if (exponent >= 0) return digits * 10n ** BigInt(exponent);
  const divisor = 10n ** BigInt(-exponent);
  return (digits + divisor - 1n) / divisor;
}

/** value = digits × 10^exponent, exact for the shortest decimal form of the number. */
function toDecimal(value: number): { digits: bigint; exponent: number } {
  const [mantissa = '0', exponent = '0'] = value.toString().split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length };
}
