import { ValidationError } from '../../errors.js';
import type { Product } from '../../products/product.js';
import { requireFewPermissions } from '../access/input.js';

/** All that a key of a product can hold, in the order of the product file. */
export function grantableKeyPermissions(product: Product): string[] {
  return Object.entries(product.permissions)
    .filter(([, { grantable }]) => grantable)
    .map(([name]) => name);
}

/** What a new or changed key is to hold: what was asked for, or all that is grantable. Duplicates collapse. @throws ValidationError */
export function parseKeyPermissions(
  product: Product,
  field: string,
  asked: readonly string[] | null | undefined,
): string[] {
  const grantable = grantableKeyPermissions(product);
  if (asked === null || asked === undefined) return grantable;
  requireFewPermissions(field, asked);
  const wrong = asked.findIndex((permission) => !grantable.includes(permission));
  if (wrong >= 0) {
    const choice = grantable.length > 0 ? `One of: ${grantable.join(', ')}.` : 'It has none to give.';
    throw new ValidationError(`${field}.${wrong}`, `Keys of ${product.slug} cannot hold this permission. ${choice}`);
  }
  return [...new Set(asked)];
}
