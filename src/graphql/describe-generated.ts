import { type GraphQLSchema, isInterfaceType, isObjectType, isUnionType } from 'graphql';

const pageInfo: Record<string, string> = {
  hasNextPage: 'Whether more comes after this page.',
  hasPreviousPage: 'Whether more comes before this page.',
  startCursor: 'The cursor of the first item; null for an empty page.',
  endCursor: 'The cursor of the last item: give it as `after` for the next page. null for an empty page.',
};

/** Describes what the plugins make by themselves: result unions, connections, edges, PageInfo and the id of a Node. */
export function describeGenerated(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (isUnionType(type) && type.name.endsWith('Result')) {
      type.description ??= 'How it went: the payload, or an expected failure. Branch on `__typename`.';
    }
    if (isInterfaceType(type) && type.name === 'Node') describeField(type.getFields().id, 'Names this thing.');
    if (!isObjectType(type)) continue;
    if (type.name.endsWith('Connection')) {
      type.description ??= 'A page of a list.';
      describeField(type.getFields().nodes, 'The page.');
    }
    if (type.name.endsWith('Edge')) type.description ??= 'An item of a page, with its cursor.';
    if (type.name !== 'PageInfo') continue;
    for (const field of Object.values(type.getFields())) field.description ??= pageInfo[field.name];
  }
  return schema;
}

function describeField(field: { description?: string | null | undefined } | undefined, description: string): void {
  if (field !== undefined) field.description ??= description;
}
