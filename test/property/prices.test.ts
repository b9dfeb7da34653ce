import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { decidePrice, multiplyRoundingUp } from '../../src/domain/credits/price.js';
import { loadProducts } from '../../src/products/load.js';
import type { Product } from '../../src/products/product.js';

const creditsMax = 2_147_483_647;

let preset: Product;
beforeAll(async () => {
  preset = (await loadProducts(['default'])).primary;
});

function selling(credits: number): Product {
  return { ...preset, prices: { work: { credits, unit: 'unit', description: 'Work.' } } };
}

/** A decimal number with at most 15 digits, which a double represents without loss. */
interface Decimal {
  readonly text: string;
  readonly digits: bigint;
  readonly exponent: number;
}

function decimal(exponents: { min: number; max: number }): fc.Arbitrary<Decimal> {
  const digits = fc.oneof(fc.bigInt({ min: 1n, max: 999n }), fc.bigInt({ min: 1n, max: 999_999_999_999_999n }));
  return fc.tuple(digits, fc.integer(exponents)).map(([digits, exponent]) => ({
    text: `${digits}e${exponent}`,
    digits,
    exponent,
  }));
}

/** The product, computed as a fraction of integers and rounded up. */
function multiplyExactly(one: Decimal, other: Decimal): bigint {
  let numerator = one.digits * other.digits;
  let denominator = 1n;
  for (let exponent = one.exponent + other.exponent; exponent > 0; exponent -= 1) numerator *= 10n;
  for (let exponent = one.exponent + other.exponent; exponent < 0; exponent += 1) denominator *= 10n;
  const whole = numerator / denominator;
  return whole * denominator === numerator ? whole : whole + 1n;
}

/** A valid quantity of a request: any positive double. */
const quantity = fc.double({ min: Number.MIN_VALUE, max: Number.MAX_VALUE, noNaN: true });
/** A valid price of a product file. */
const price = fc.oneof(
  fc.constantFrom(0, 0.1, 0.3, 0.5, 1, 5, 1_000_000),
  fc.double({ min: 0, max: 1_000_000, noNaN: true }),
);

function costOf(credits: number, quantity: number): number | 'refused' {
  const decision = decidePrice(selling(credits), 'LIVE', 'work', quantity);
  return 'credits' in decision ? decision.credits : 'refused';
}

describe('a price', () => {
  test.each([
    [10, 1.1, 11],
    [1.1, 10, 11],
    [0.1, 3, 1],
    [0.1, 30, 3],
    [0.3, 10, 3],
    [0.07, 100, 7],
    [5, 2.0000001, 11],
    [0.5, 1, 1],
    [0.5, 2, 1],
    [0.5, 3, 2],
    [1, 1e-300, 1],
    [0, 1e300, 0],
    [1, 2_147_483_647, 2_147_483_647],
    [0.000001, 1e6, 1],
    [1e-7, 1e7, 1],
  ])('of %d credits for %d units is %d', (credits, quantity, expected) => {
    expect(costOf(credits, quantity)).toBe(expected);
  });

  test('is the exact product of two decimal numbers, rounded up to a whole credit', () => {
    fc.assert(
      fc.property(decimal({ min: -40, max: 25 }), decimal({ min: -40, max: 25 }), (one, other) => {
        expect(multiplyRoundingUp(Number(one.text), Number(other.text))).toBe(multiplyExactly(one, other));
      }),
      { numRuns: 2_000 },
    );
  });

  test('is that product for any valid price and quantity, or refused above the maximum', () => {
    fc.assert(
      fc.property(decimal({ min: -20, max: -9 }), decimal({ min: -20, max: 8 }), (credits, quantity) => {
        const exact = multiplyExactly(credits, quantity);
        const expected = exact > BigInt(creditsMax) ? 'refused' : Number(exact);
        expect(costOf(Number(credits.text), Number(quantity.text))).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  test('never decreases with the quantity', () => {
    fc.assert(
      fc.property(price, quantity, quantity, (credits, one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        expect(multiplyRoundingUp(credits, less) <= multiplyRoundingUp(credits, more)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test('is a whole number between the product and the product plus one credit', () => {
    fc.assert(
      fc.property(price, fc.double({ min: 1e-6, max: 1_000, noNaN: true }), (credits, quantity) => {
        const cost = Number(multiplyRoundingUp(credits, quantity));
        const product = credits * quantity;
        const tolerance = product * Number.EPSILON * 4;
        expect(cost).toBeGreaterThanOrEqual(product - tolerance);
        expect(cost).toBeLessThanOrEqual(product + tolerance + 1);
      }),
      { numRuns: 1_000 },
    );
  });

  test('is at least one credit for a positive price and 0 for a price of 0', () => {
    fc.assert(
      fc.property(price, quantity, (credits, quantity) => {
        expect(multiplyRoundingUp(credits, quantity) > 0n).toBe(credits > 0);
      }),
      { numRuns: 1_000 },
    );
  });

  test('above the maximum is refused with the field quantity, and the maximum itself is accepted', () => {
    expect(costOf(1, creditsMax)).toBe(creditsMax);
    for (const quantity of [creditsMax + 1, creditsMax + 0.5, 1e300, Number.MAX_VALUE]) {
      expect(decidePrice(selling(1), 'LIVE', 'work', quantity)).toMatchObject({
        error: { code: 'BAD_USER_INPUT', field: 'charge.quantity' },
      });
    }
  });

  test('is computed quickly for extremely large and small numbers', () => {
    const startedAt = performance.now();
    const extremes = [Number.MIN_VALUE, Number.MAX_VALUE, 2 ** -1022, 1e-300, 1e308, 1.7976931348623157e308, 1e21];
    for (let round = 0; round < 100; round += 1) {
      for (const one of extremes) for (const other of extremes) multiplyRoundingUp(one, other);
    }
    // 4,900 products at a fraction of a millisecond each, with a margin for a busy machine.
    expect(performance.now() - startedAt).toBeLessThan(2_500);
  });

  test('does not exist for an unknown action, including names of inherited object properties', () => {
    for (const action of ['', 'unknown', 'WORK', 'work ', 'constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      expect(decidePrice(selling(1), 'LIVE', action, 1)).toMatchObject({
        error: { code: 'BAD_USER_INPUT', field: 'charge.action' },
      });
    }
  });
});
