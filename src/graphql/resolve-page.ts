import { type ResolveCursorConnectionArgs, resolveCursorConnection } from '@pothos/plugin-relay';
import type DataLoader from 'dataloader';
import type { Keyset, NestedPage } from './loaders.js';
import { formatCursor, pageSizes, parseCursor } from './pages.js';

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
  loader: DataLoader<NestedPage, Row[], string>,
  parentId: string,
  args: ConnectionArgs,
) {
  return resolvePage(args, (keyset) => loader.load({ parentId, ...keyset }));
}

/** A keyset page as Prisma takes it. `where` goes beside the conditions of the list. */
export function toPrismaPage({ after, before, limit, inverted }: Keyset) {
  return {
    where: { id: { ...(after !== undefined && { lt: after }), ...(before !== undefined && { gt: before }) } },
    orderBy: { id: inverted ? ('asc' as const) : ('desc' as const) },
    take: limit,
  };
}
