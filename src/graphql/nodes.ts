import { ValidationError } from '../errors.js';
import { builder } from './builder.js';
import type { Loaders } from './loaders.js';
import { findNodeType } from './node-types.js';

/** The interface of everything that can be looked up by its id. */
export const Node = builder.nodeInterfaceRef();

/** The most ids that `nodes` takes at once. */
const nodesMax = 100;

/**
 * What one id weighs beside what is selected of it, so that a request looks up at most 2,272 ids, however
 * many aliases it spreads them over. A different id costs a row of a statement; the same id again only its
 * place in the answer.
 */
const nodeWeight = 10;

builder.queryFields((t) => ({
  node: t.field({
    type: Node,
    nullable: true,
    description: 'Any object by its id. Null: it does not exist or is not visible to the caller.',
    authScopes: { public: true },
    takesAnyText: true,
    complexity: nodeWeight,
    args: { id: t.arg.id({ required: true, description: 'Id of the object.' }) },
    resolve: (_root, { id }, { loaders }) => findNode(loaders, id),
  }),
  nodes: t.field({
    type: [Node],
    nullable: { list: false, items: true },
    description:
      'Objects by their ids, in the same order. Null for each object that does not exist or is not visible to the caller.',
    authScopes: { public: true },
    takesAnyText: true,
    complexity: ({ ids }) => {
      const count = Math.min(ids.length, nodesMax);
      return { field: Math.max(1, count * nodeWeight), multiplier: count };
    },
    args: { ids: t.arg.idList({ required: true, description: 'Ids of the objects, at most 100.' }) },
    resolve: (_root, { ids }, { loaders }) => {
      if (ids.length > nodesMax) throw new ValidationError('ids', `At most ${nodesMax} ids can be requested at once.`);
      return ids.map((id) => findNode(loaders, id));
    },
  }),
}));

function findNode({ nodes }: Loaders, id: string): Promise<{ readonly id: string } | null> | null {
  const type = findNodeType(id);
  return type === undefined ? null : nodes[type](id);
}
