import { formatPrismaCursor, parsePrismaCursor } from '@pothos/plugin-prisma';
import { type ResolveCursorConnectionArgs, resolveCursorConnection } from '@pothos/plugin-relay';
import { findIdKind } from '../db/ids.js';
import type { Keyset } from '../db/keyset.js';
import { ValidationError } from '../errors.js';
import type { PageLoader } from './loaders.js';

/** Maximum number of items of one page. */
const pageSizeMax = 100;
const pageSizeDefault = 20;
const cursorLengthMax = 200;

interface PageArgs {
  readonly first?: number | null | undefined;
  readonly last?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly before?: string | null | undefined;
}

/** Refuses page arguments that are out of range or contradict each other. @throws ValidationError */
export function requirePage(args: PageArgs): void {
  for (const name of ['first', 'last'] as const) {
    const size = args[name];
    if (size != null && (size < 1 || size > pageSizeMax)) {
      throw new ValidationError(name, `The page size must be from 1 to ${pageSizeMax}.`);
    }
  }
  if (args.first != null && args.last != null) throw new ValidationError('last', 'Use first or last, not both.');
  if (args.after != null && args.before != null) throw new ValidationError('before', 'Use after or before, not both.');
  if (args.first != null && args.before != null)
    throw new ValidationError('before', 'Use last with before, not first.');
  if (args.last != null && args.after != null) throw new ValidationError('after', 'Use first with after, not last.');
  for (const name of ['after', 'before'] as const) {
    if (args[name] != null) parseCursor(name, args[name]);
  }
}

/** The cursor of an item. Opaque, and the same in every list. */
function formatCursor({ id }: { id: string }): string {
  return formatPrismaCursor({ id }, 'id');
}

/** The id of the item of a cursor. @throws ValidationError for a cursor that this server did not create */
function parseCursor(name: 'after' | 'before', cursor: string): string {
  const id = cursor.length > cursorLengthMax ? null : readCursor(cursor);
  if (typeof id !== 'string' || findIdKind(id) === null)
    throw new ValidationError(name, 'Invalid cursor. Use a cursor that this server returned.');
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
const pageSizes = { maxSize: pageSizeMax, defaultSize: pageSizeDefault };

/**
 * The complexity of a page grows with its size. A size out of range is refused later, with the name of the
 * argument.
 */
export function pageComplexity({ first, last }: PageArgs): { field: number; multiplier: number } {
  const size = Math.min(first ?? last ?? pageSizeDefault, pageSizeMax);
  return { field: 1, multiplier: Math.max(0.1, size / 10) };
}

type ConnectionArgs = Parameters<typeof resolveCursorConnection>[0]['args'];

/**
 * A Relay page of a list, newest first. Keyset pagination by id: unlike Prisma's cursors, it skips no item
 * if the item at the cursor was removed from the list.
 */
export async function resolvePage<Row extends { id: string }>(
  args: ConnectionArgs,
  findRows: (keyset: Keyset) => Promise<Row[]>,
) {
  const page = await resolveCursorConnection(
    { args, ...pageSizes, toCursor: formatCursor },
    ({ after, before, limit, inverted }: ResolveCursorConnectionArgs) =>
      findRows({
        ...(after !== undefined && { after: parseCursor('after', after) }),
        ...(before !== undefined && { before: parseCursor('before', before) }),
        limit,
        inverted,
      }),
  );
  // For an empty page the library returns the cursor of the request.
  if (page.edges.length > 0) return page;
  return { ...page, pageInfo: { ...page.pageInfo, startCursor: null, endCursor: null } };
}

/** A page of a list under a parent, read together with the pages of other parents. */
export function resolveNestedPage<Row extends { id: string }>(
  loader: PageLoader<Row>,
  parentId: string,
  args: ConnectionArgs,
) {
  return resolvePage(args, (keyset) => loader.load({ parentId, ...keyset }));
}
