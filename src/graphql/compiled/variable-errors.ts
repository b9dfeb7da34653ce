import {
  type ExecutionResult,
  GraphQLError,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLLeafType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  isSpecifiedScalarType,
  Kind,
  type OperationDefinitionNode,
  typeFromAST,
  type VariableDefinitionNode,
} from 'graphql';

/** graphql-js reports as many. */
const errorsMax = 50;

/** Whether graphql-js refused an operation because of its variables, before any resolver ran. */
export function isVariableFailure({ data, errors }: ExecutionResult): boolean {
  return data === undefined && errors?.[0]?.nodes?.[0]?.kind === Kind.VARIABLE_DEFINITION;
}

/**
 * The errors of variables that do not fit their types. graphql-js quotes values, which can be credentials.
 * These errors name the path of the value, as `extensions.field` (such as `input.permissions.0`), and what is
 * expected there.
 */
export function describeVariableErrors(
  schema: GraphQLSchema,
  { variableDefinitions = [] }: OperationDefinitionNode,
  inputs: Readonly<Record<string, unknown>>,
): GraphQLError[] {
  const errors = variableDefinitions.flatMap((definition) => describeVariable(schema, definition, inputs));
  return errors.length > 0 ? errors.slice(0, errorsMax) : [new GraphQLError('The variables do not fit their types.')];
}

function describeVariable(
  schema: GraphQLSchema,
  node: VariableDefinitionNode,
  inputs: Readonly<Record<string, unknown>>,
): GraphQLError[] {
  const type = typeFromAST(schema, node.type);
  if (!isInputType(type)) return [];
  const name = node.variable.name.value;
  const error = (message: string, field: string) =>
    new GraphQLError(`Variable "$${name}" ${message}`, { nodes: node, extensions: { field } });
  const value = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
  if (value === undefined) {
    const isMissing = isNonNullType(type) && node.defaultValue === undefined;
    return isMissing ? [error(`of required type "${String(type)}" was not provided.`, name)] : [];
  }
  return findMistakes(value, type, []).map(({ path, expected }) => {
    const position = path.length === 0 ? '' : ` at "${printPath(name, path)}"`;
    return error(`got an invalid value${position}; ${expected}`, [name, ...path].join('.'));
  });
}

type Path = readonly (string | number)[];

interface Mistake {
  readonly path: Path;
  /** What is expected, without the value. */
  readonly expected: string;
}

/** The differences between a JSON value and its type (GraphQL, 3.12), at most {@link errorsMax}. */
function findMistakes(value: unknown, type: GraphQLInputType, path: Path): Mistake[] {
  if (isNonNullType(type)) {
    return value == null
      ? [{ path, expected: `expected a value of type "${type}".` }]
      : findMistakes(value, type.ofType, path);
  }
  if (value == null) return [];
  if (isListType(type)) {
    if (!Array.isArray(value)) return findMistakes(value, type.ofType, path);
    return collect(value.entries(), ([index, item]) => findMistakes(item, type.ofType, [...path, index]));
  }
  return isInputObjectType(type) ? findFieldMistakes(value, type, path) : findLeafMistake(value, type, path);
}

function findFieldMistakes(value: unknown, type: GraphQLInputObjectType, path: Path): Mistake[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [{ path, expected: `expected an object of type "${type}".` }];
  }
  const given = value as Readonly<Record<string, unknown>>;
  const fields = type.getFields();
  const names = Object.keys(given);
  const unknown = names.filter((name) => !Object.hasOwn(fields, name));
  const mistakes = collect(Object.values(fields), ({ name, type: fieldType, defaultValue }) => {
    const part = Object.hasOwn(given, name) ? given[name] : undefined;
    if (part !== undefined) return findMistakes(part, fieldType, [...path, name]);
    if (defaultValue !== undefined || !isNonNullType(fieldType)) return [];
    return [{ path, expected: `the field "${name}" of required type "${fieldType}" is missing.` }];
  });
  mistakes.push(...collect(unknown, (name) => [{ path, expected: describeUnknown(name, type) }]));
  if (type.isOneOf && unknown.length === 0 && (names.length !== 1 || Object.values(given)[0] === null)) {
    mistakes.push({ path, expected: `exactly one field of type "${type}" must be given, and not be null.` });
  }
  return mistakes.slice(0, errorsMax);
}

/** A name in the form of a field can be a typing error, and is repeated. Anything else may be a secret. */
function describeUnknown(name: string, type: GraphQLInputObjectType): string {
  const subject = /^[_A-Za-z][_0-9A-Za-z]{0,35}$/.test(name) ? `the field "${name}"` : 'a field';
  return `${subject} is not defined by type "${type}", which has: ${Object.keys(type.getFields()).join(', ')}.`;
}

function findLeafMistake(value: unknown, type: GraphQLLeafType, path: Path): Mistake[] {
  try {
    if (type.parseValue(value) !== undefined) return [];
  } catch (error) {
    // The messages of this server's scalars contain no value, unlike those of graphql-js.
    if (!isEnumType(type) && !isSpecifiedScalarType(type) && error instanceof GraphQLError) {
      return [{ path, expected: error.message }];
    }
  }
  return [{ path, expected: describeLeaf(type) }];
}

function describeLeaf(type: GraphQLLeafType): string {
  if (!isEnumType(type)) return `expected a value of type "${type}".`;
  return `expected one of: ${type
    .getValues()
    .map(({ name }) => name)
    .join(', ')}.`;
}

/** Stops when there are enough. */
function collect<Item>(items: Iterable<Item>, find: (item: Item) => readonly Mistake[]): Mistake[] {
  const found: Mistake[] = [];
  for (const item of items) {
    if (found.length >= errorsMax) break;
    found.push(...find(item));
  }
  return found.slice(0, errorsMax);
}

/** `input.permissions[0]`, as graphql-js writes it. */
function printPath(name: string, path: Path): string {
  return name + path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('');
}
