import SchemaBuilder from '@pothos/core';
import ComplexityPlugin, { ComplexityErrorKind } from '@pothos/plugin-complexity';
import ErrorsPlugin from '@pothos/plugin-errors';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import type PrismaTypes from '../generated/pothos-types.js';
import { getDatamodel } from '../generated/pothos-types.js';
import AccessPlugin from './access.js';
import ArgumentsPlugin from './arguments.js';
import type { Context } from './context.js';
import { findNodeType } from './node-types.js';
import { queryLimits, tooBroad, tooCostly, tooDeep } from './query-limits.js';

interface SchemaTypes {
  Context: Context;
  PrismaTypes: PrismaTypes;
  DefaultFieldNullability: false;
  DefaultEdgesNullability: { list: false; items: false };
  DefaultNodeNullability: false;
  Scalars: {
    DateTime: { Input: Date; Output: Date };
    JSON: { Input: unknown; Output: unknown };
    ID: { Input: string; Output: string };
  };
}

export const builder = new SchemaBuilder<SchemaTypes>({
  // Authorization comes before the errors plugin, so that a refusal never becomes a member of a result union.
  plugins: [ComplexityPlugin, AccessPlugin, ErrorsPlugin, ArgumentsPlugin, RelayPlugin, PrismaPlugin],
  defaultFieldNullability: false,
  complexity: {
    // An operation that was weighed before, and whose weight does not depend on variables, is not weighed
    // again.
    limit: ({ isWithinLimits, introspectionCost }) =>
      isWithinLimits
        ? {}
        : {
            complexity: queryLimits.cost - introspectionCost,
            depth: queryLimits.depth,
            breadth: queryLimits.breadth,
          },
    complexityError: (kind, { complexity, depth, breadth, maxComplexity = queryLimits.cost }) => {
      if (kind === ComplexityErrorKind.Depth) return tooDeep(depth);
      if (kind === ComplexityErrorKind.Breadth) return tooBroad(breadth);
      return tooCostly(complexity + queryLimits.cost - maxComplexity);
    },
  },
  errors: {
    directResult: true,
    defaultUnionOptions: {
      name: ({ fieldName }) => `${fieldName.charAt(0).toUpperCase()}${fieldName.slice(1)}Result`,
    },
  },
  relay: {
    clientMutationId: 'omit',
    cursorType: 'String',
    nodeTypeOptions: {
      description: 'An object with a unique id, by which `node` returns it.',
      resolveType: (node) => findNodeType((node as { readonly id: string }).id),
    },
    pageInfoTypeOptions: { description: 'Position of a page in its list.' },
    // nodes.ts has these two: Pothos would decode every id again for every alias, and load them alias by
    // alias.
    nodeQueryOptions: false,
    nodesQueryOptions: false,
    edgesFieldOptions: {
      nullable: { list: false, items: false },
      description: 'Items of the page with their cursors.',
    },
    nodesFieldOptions: { nullable: { list: false, items: false }, description: 'Items of the page.' },
    nodesOnConnection: true,
    nodeFieldOptions: { nullable: false, description: 'The item.' },
    cursorFieldOptions: { description: 'Cursor of this item, for `after` and `before`.' },
    pageInfoFieldOptions: { description: 'Position of this page in the list.' },
    firstArgOptions: { description: 'Number of items from the start, 1 to 100. Default: 20.' },
    lastArgOptions: { description: 'Number of items from the end, 1 to 100.' },
    afterArgOptions: { description: 'Return only items after this cursor.' },
    beforeArgOptions: { description: 'Return only items before this cursor.' },
  },
  prisma: {
    client: ({ services }) => services.db,
    dmmf: getDatamodel(),
    maxConnectionSize: 100,
    defaultConnectionSize: 20,
    exposeDescriptions: false,
    onUnusedQuery: null,
  },
});

builder.queryType({ description: 'All queries.' });
builder.mutationType({
  description: 'All mutations. Expected failures are members of the result unions; branch on `__typename`.',
});
