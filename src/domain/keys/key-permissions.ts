import { ValidationError } from '../../errors.js';
import type { Product } from '../../products/product.js';
import { requirePermissionCount } from '../access/input.js';

/** All permissions that a key of a product can hold, in the order of the product file. */
export function grantableKeyPermissions(product: Product): string[] {
  return Object.entries(product.permissions)
    .filter(([, { grantable }]) => grantable)
    .map(([name]) => name);
}

/**
 * The permissions of a new or changed key: those requested, or by default all that is grantable. Duplicates
 * are removed.
 * @throws ValidationError
 */
export function parseKeyPermissions(
  product: Product,
  field: string,
  requested: readonly string[] | null | undefined,
): string[] {
  const grantable = grantableKeyPermissions(product);
  if (requested === null || requested === undefined) return grantable;
  requirePermissionCount(field, requested);
  const wrong = requested.findIndex((permission) => !grantable.includes(permission));
  if (wrong >= 0) {
    const choice = grantable.length > 0 ? `One of: ${grantable.join(', ')}.` : 'The product has none to give.';
    throw new ValidationError(`${field}.${wrong}`, `Keys of ${product.slug} cannot hold this permission. ${choice}`);
  }
  return [...new Set(requested)];
}
