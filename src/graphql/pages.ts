import { formatPrismaCursor, parsePrismaCursor } from '@pothos/plugin-prisma';
import { type ResolveCursorConnectionArgs, resolveCursorConnection } from '@pothos/plugin-relay';
import { findIdKind } from '../db/ids.js';
import type { Keyset } from '../db/keyset.js';
import { ValidationError } from '../errors.js';
import type { PageLoader } from './loaders.js';

/** The most items of one page. */
const pageSizeMax = 100;
const pageSizeDefault = 20;
const cursorLengthMax = 200;

interface PageArgs {
  readonly first?: number | null | undefined;
  readonly last?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly before?: string | null | undefined;
}

/** Refuses a page that is out of range instead of returning another one. @throws ValidationError */
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

/** The cursor of an item: opaque, and the same in every list. */
function formatCursor({ id }: { id: string }): string {
  return formatPrismaCursor({ id }, 'id');
}

/** The id of the item of a cursor. @throws ValidationError for a cursor that this server did not make. */
function parseCursor(name: 'after' | 'before', cursor: string): string {
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
const pageSizes = { maxSize: pageSizeMax, defaultSize: pageSizeDefault };

/**
 * A page counts as often as it has items. A size out of range is refused later, with the name of its
 * argument.
 */
export function pageComplexity({ first, last }: PageArgs): { field: number; multiplier: number } {
  const size = Math.min(first ?? last ?? pageSizeDefault, pageSizeMax);
  return { field: 1, multiplier: Math.max(0.1, size / 10) };
}

type ConnectionArgs = Parameters<typeof resolveCursorConnection>[0]['args'];

/**
 * A Relay page of a list, newest first. It is found by comparing ids: unlike Prisma's own cursors, that
 * skips nothing when the item at the cursor has left the list in the meantime.
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
  // An empty page would repeat the cursor of the request.
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
