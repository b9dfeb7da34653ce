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
function formatCursor({ id }: { id: string }): string {
  return formatPrismaCursor({ id }, 'id');
}

/** The id of the item that a cursor marks. @throws ValidationError for what this server did not make. */
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

/** A list counts tenfold by itself; a page counts as often as it has items. A size out of bounds is refused later, by name. */
export function pageComplexity({ first, last }: PageArgs): { field: number; multiplier: number } {
  const size = Math.min(first ?? last ?? pageSizeDefault, pageSizeMax);
  return { field: 1, multiplier: Math.max(0.1, size / 10) };
}

type ConnectionArgs = Parameters<typeof resolveCursorConnection>[0]['args'];

/**
 * A Relay page of a list. It is found by comparing ids, newest first: unlike Prisma's own cursors, that leaves nothing out where the item
 * at the cursor has left the list meanwhile.
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
  // An empty page would repeat the cursor that it was asked for.
  if (page.edges.length > 0) return page;
  return { ...page, pageInfo: { ...page.pageInfo, startCursor: null, endCursor: null } };
}

/** A page of a list that hangs under a parent, read together with those of its siblings. */
export function resolveNestedPage<Row extends { id: string }>(
  loader: PageLoader<Row>,
  parentId: string,
  args: ConnectionArgs,
) {
  return resolvePage(args, (keyset) => loader.load({ parentId, ...keyset }));
}
