import { type ResolveCursorConnectionArgs, resolveCursorConnection } from '@pothos/plugin-relay';
import type DataLoader from 'dataloader';
import type { NestedPage } from './loaders.js';
import { pageSizes } from './pages.js';

type ConnectionArgs = Parameters<typeof resolveCursorConnection>[0]['args'];

/** A Relay page of a list that hangs under a parent, read together with those of its siblings. */
export function resolveNestedPage<Row extends { id: string }>(
  loader: DataLoader<NestedPage, Row[], string>,
  parentId: string,
  args: ConnectionArgs,
) {
  return resolveCursorConnection(
    { args, defaultSize: pageSizes.defaultSize, maxSize: pageSizes.maxSize(args), toCursor: (row: Row) => row.id },
    ({ after, before, limit, inverted }: ResolveCursorConnectionArgs) =>
      loader.load({ parentId, after, before, limit, inverted }),
  );
}
