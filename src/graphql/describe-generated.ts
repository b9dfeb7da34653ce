import { type GraphQLSchema, isInterfaceType, isObjectType, isUnionType } from 'graphql';

const pageInfo: Record<string, string> = {
  hasNextPage: 'Whether there are items after this page.',
  hasPreviousPage: 'Whether there are items before this page.',
  startCursor: 'Cursor of the first item. Null: the page is empty.',
  endCursor: 'Cursor of the last item, to pass as `after` for the next page. Null: the page is empty.',
};

/** Describes what the plugins generate: result unions, connections, edges, PageInfo and the id of a Node. */
export function describeGenerated(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (isUnionType(type) && type.name.endsWith('Result')) {
      type.description ??= 'The payload, or an expected failure. Branch on `__typename`.';
    }
    if (isInterfaceType(type) && type.name === 'Node') describeField(type.getFields().id, 'Unique id.');
    if (!isObjectType(type)) continue;
    if (type.name.endsWith('Connection')) {
      type.description ??= 'One page of a list.';
      describeField(type.getFields().nodes, 'Items of the page.');
    }
    if (type.name.endsWith('Edge')) type.description ??= 'An item of the page and its cursor.';
    if (type.name !== 'PageInfo') continue;
    for (const field of Object.values(type.getFields())) field.description ??= pageInfo[field.name];
  }
  return schema;
}

function describeField(field: { description?: string | null | undefined } | undefined, description: string): void {
  if (field !== undefined) field.description ??= description;
}
