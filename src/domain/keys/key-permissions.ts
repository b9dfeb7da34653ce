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
 * Parses the permissions of a new or changed key; by default all grantable permissions. Removes duplicates.
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
    const choice =
      grantable.length > 0 ? `Use one of: ${grantable.join(', ')}.` : 'The product has no permissions for keys.';
    throw new ValidationError(`${field}.${wrong}`, `Keys of ${product.slug} cannot hold this permission. ${choice}`);
  }
  return [...new Set(requested)];
}
