import { formatPrismaCursor, parsePrismaCursor } from '@pothos/plugin-prisma';
import { findIdKind } from '../db/ids.js';
import { ValidationError } from '../errors.js';

/** The most items of one page. */
export const pageSizeMax = 100;
const pageSizeDefault = 20;
const cursorLengthMax = 200;

interface PageArgs {
  readonly first?: number | null | undefined;
  readonly last?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly before?: string | null | undefined;
}

/** Refuses a page that is out of bounds, rather than giving another one than was asked for. @throws ValidationError */
export function requirePage(args: PageArgs): void {
  for (const name of ['first', 'last'] as const) {
    const size = args[name];
    if (size != null && (size < 1 || size > pageSizeMax)) {
      throw new ValidationError(name, `A page has 1 to ${pageSizeMax} items.`);
    }
  }
  if (args.first != null && args.last != null) throw new ValidationError('last', 'Give first or last, not both.');
  if (args.after != null && args.before != null) throw new ValidationError('before', 'Give after or before, not both.');
  if (args.first != null && args.before != null)
    throw new ValidationError('before', 'Give last with before, not first.');
  if (args.last != null && args.after != null) throw new ValidationError('after', 'Give first with after, not last.');
  for (const name of ['after', 'before'] as const) {
    if (args[name] != null) parseCursor(name, args[name]);
  }
}

/** The cursor of an item: opaque, and the same wherever the item is listed. */
export function formatCursor({ id }: { id: string }): string {
  return formatPrismaCursor({ id }, 'id');
}

/** The id of the item that a cursor marks. @throws ValidationError for what this server did not make. */
export function parseCursor(name: 'after' | 'before', cursor: string): string {
  const id = cursor.length > cursorLengthMax ? null : readCursor(cursor);
  if (typeof id !== 'string' || findIdKind(id) === null) throw new ValidationError(name, 'This is not a cursor.');
  return id;
}

function readCursor(cursor: string): unknown {
  try {
    return parsePrismaCursor(cursor);
  } catch {
    return null;
  }
}

/** The limits of every connection. */
export const pageSizes = { maxSize: pageSizeMax, defaultSize: pageSizeDefault };

/** A list counts tenfold by itself; a page counts as often as it has items. A size out of bounds is refused later, by name. */
export function pageComplexity({ first, last }: PageArgs): { field: number; multiplier: number } {
  const size = Math.min(first ?? last ?? pageSizeDefault, pageSizeMax);
  return { field: 1, multiplier: Math.max(0.1, size / 10) };
}
