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

/** Makes of what a resolver answered what its part of the result says. @throws Error for what its type does not allow. */
export type Project = (value: unknown) => unknown;

type Fields = Map<string, FieldNode[]>;

/**
 * The fields that a selection asks of a type, by the names that their answers get; null where that cannot be said beforehand: directives
 * depend on variables, and fragments on other types on what is found.
 */
export function collectPlainFields(
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
    if (collectPlainFields(type, [fragment.selectionSet], document, fields) === null) return null;
  }
  return fields;
}

function findFragment(document: DocumentNode, name: string): FragmentDefinitionNode {
  const found = document.definitions.find(
    (definition): definition is FragmentDefinitionNode =>
      definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === name,
  );
  if (found === undefined) throw new Error(`A valid document has the fragment ${name}.`);
  return found;
}

/** Makes the projection of a field's value, or null where something in it has to be resolved by the executor. */
export function projectTo(
  type: GraphQLOutputType,
  nodes: readonly FieldNode[],
  document: DocumentNode,
): Project | null {
  if (type instanceof GraphQLNonNull) {
    const project = projectTo(type.ofType, nodes, document);
    return project && ((value) => required(project(value)));
  }
  if (type instanceof GraphQLList) {
    const project = projectTo(type.ofType, nodes, document);
    return project && ((value) => (value == null ? null : requireList(value).map(project)));
  }
  if (isLeafType(type)) return (value) => (value == null ? null : type.serialize(value));
  return isObjectType(type) ? projectToObject(type, nodes, document) : null;
}

function projectToObject(type: GraphQLObjectType, nodes: readonly FieldNode[], document: DocumentNode): Project | null {
  const sets = nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
  const selected = collectPlainFields(type, sets, document);
  if (selected === null) return null;
  const parts: { readonly name: string; readonly read: (parent: Parent) => unknown }[] = [];
  for (const [name, [node, ...more]] of selected) {
    if (node === undefined) return null;
    if (node.name.value === '__typename') {
      parts.push({ name, read: () => type.name });
      continue;
    }
    const field = type.getFields()[node.name.value];
    const find = field === undefined ? null : plainReader(type, field);
    const project = field === undefined ? null : projectTo(field.type, [node, ...more], document);
    if (find === null || project === null) return null;
    parts.push({ name, read: (parent) => project(find(parent)) });
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

/** Set on a field by `extensions: plain`: its resolver looks at nothing but its parent, and answers at once. */
export const plain = { plain: true } as const;

/** How a field is read off its parent, or null where a resolver has to be asked. */
function plainReader(
  type: GraphQLObjectType,
  { name, args, resolve, extensions }: Field,
): ((parent: Parent) => unknown) | null {
  if (args.length > 0) return null;
  // The id of a node is the id of its row, so that its resolver would find the same (see node-types.ts).
  const isNodeId = name === 'id' && type.getInterfaces().some((each) => each.name === 'Node');
  if (resolve === undefined || isNodeId) return (parent) => parent[name];
  if (extensions.plain !== true) return null;
  return resolve as unknown as (parent: Parent) => unknown;
}

function required(value: unknown): unknown {
  if (value == null) throw new Error('A field that always has a value has none.');
  return value;
}

function requireList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('A field that is a list has something else.');
  return value;
}
