import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  GraphQLList,
  GraphQLNonNull,
  type GraphQLObjectType,
  type GraphQLOutputType,
  isLeafType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from 'graphql';

/**
 * Completes a resolved value (GraphQL, 6.4.3).
 * @throws Error for a value that the field's type does not allow.
 */
export type CompleteValue = (value: unknown) => unknown;

type Fields = Map<string, FieldNode[]>;

/**
 * Collects the fields of selection sets by response name. Null if they can differ between requests:
 * directives depend on variables, and fragments on other types depend on the value.
 */
export function collectStaticFields(
  type: GraphQLObjectType,
  sets: readonly SelectionSetNode[],
  document: DocumentNode,
  fields: Fields = new Map(),
): Fields | null {
  for (const selection of sets.flatMap(({ selections }) => selections)) {
    if (selection.directives !== undefined && selection.directives.length > 0) return null;
    if (selection.kind === Kind.FIELD) {
      const name = (selection.alias ?? selection.name).value;
      fields.set(name, [...(fields.get(name) ?? []), selection]);
      continue;
    }
    const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : findFragment(document, selection.name.value);
    if ((fragment.typeCondition?.name.value ?? type.name) !== type.name) return null;
    if (collectStaticFields(type, [fragment.selectionSet], document, fields) === null) return null;
  }
  return fields;
}

function findFragment(document: DocumentNode, name: string): FragmentDefinitionNode {
  const found = document.definitions.find(
    (definition): definition is FragmentDefinitionNode =>
      definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === name,
  );
  if (found === undefined) throw new Error(`A validated document lacks the fragment ${name}.`);
  return found;
}

/** Compiles the completion of a field's value, or returns null if a field in it needs its resolver. */
export function compileCompletion(
  type: GraphQLOutputType,
  nodes: readonly FieldNode[],
  document: DocumentNode,
): CompleteValue | null {
  if (type instanceof GraphQLNonNull) {
    const complete = compileCompletion(type.ofType, nodes, document);
    return complete && ((value) => required(complete(value)));
  }
  if (type instanceof GraphQLList) {
    const complete = compileCompletion(type.ofType, nodes, document);
    return complete && ((value) => (value == null ? null : requireList(value).map((item) => complete(item))));
  }
  if (isLeafType(type)) return (value) => (value == null ? null : type.serialize(value));
  return isObjectType(type) ? compileObject(type, nodes, document) : null;
}

function compileObject(
  type: GraphQLObjectType,
  nodes: readonly FieldNode[],
  document: DocumentNode,
): CompleteValue | null {
  const sets = nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
  const selected = collectStaticFields(type, sets, document);
  if (selected === null) return null;
  const parts: { readonly name: string; readonly read: (parent: Parent) => unknown }[] = [];
  for (const [name, [node, ...more]] of selected) {
    if (node === undefined) return null;
    if (node.name.value === '__typename') {
      parts.push({ name, read: () => type.name });
      continue;
    }
    const field = type.getFields()[node.name.value];
    const read = field === undefined ? null : propertyReader(type, field);
    const complete = field === undefined ? null : compileCompletion(field.type, [node, ...more], document);
    if (read === null || complete === null) return null;
    parts.push({ name, read: (parent) => complete(read(parent)) });
  }
  return (value) => {
    if (value == null) return null;
    const result: Record<string, unknown> = {};
    for (const { name, read } of parts) result[name] = read(value as Parent);
    return result;
  };
}

type Parent = Readonly<Record<string, unknown>>;
type Field = GraphQLField<unknown, unknown>;

/** For `extensions` of a field whose resolver reads only its parent, and is synchronous. */
export const readsParentOnly = { readsParentOnly: true } as const;

/** How a field is read from its parent, or null if its resolver needs more than the parent. */
function propertyReader(
  type: GraphQLObjectType,
  { name, args, resolve, extensions }: Field,
): ((parent: Parent) => unknown) | null {
  if (args.length > 0) return null;
  // The id of a node is the id of its row, so that its resolver would find the same (see node-types.ts).
  const isNodeId = name === 'id' && type.getInterfaces().some((each) => each.name === 'Node');
  if (resolve === undefined || isNodeId) return (parent) => parent[name];
  if (extensions.readsParentOnly !== true) return null;
  return resolve as unknown as (parent: Parent) => unknown;
}

function required(value: unknown): unknown {
  if (value == null) throw new Error('A non-null field resolved to null.');
  return value;
}

function requireList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('A list field resolved to a value that is not a list.');
  return value;
}
