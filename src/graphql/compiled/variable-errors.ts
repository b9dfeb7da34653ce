import {
  coerceInputValue,
  type ExecutionResult,
  GraphQLError,
  GraphQLNonNull,
  type GraphQLSchema,
  isInputType,
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
 * The errors of variables that do not fit their types. graphql-js quotes the whole variable, including
 * credentials that stand beside the invalid value; these errors name its path instead, as `extensions.field`
 * (such as `input.permissions.0`).
 */
export function describeVariableErrors(
  schema: GraphQLSchema,
  { variableDefinitions = [] }: OperationDefinitionNode,
  inputs: Readonly<Record<string, unknown>>,
): GraphQLError[] {
  return variableDefinitions.flatMap((definition) => describeVariable(schema, definition, inputs)).slice(0, errorsMax);
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
    const isMissing = type instanceof GraphQLNonNull && node.defaultValue === undefined;
    return isMissing ? [error(`of required type "${String(type)}" was not provided.`, name)] : [];
  }
  if (value === null && type instanceof GraphQLNonNull) {
    return [error(`of non-null type "${String(type)}" must not be null.`, name)];
  }
  const errors: GraphQLError[] = [];
  coerceInputValue(value, type, (path, _invalid, { message }) => {
    if (errors.length >= errorsMax) return;
    const position = path.length === 0 ? '' : ` at "${printPath(name, path)}"`;
    errors.push(error(`got an invalid value${position}; ${message}`, [name, ...path].join('.')));
  });
  return errors;
}

/** `input.permissions[0]`, as graphql-js writes it. */
function printPath(name: string, path: readonly (string | number)[]): string {
  return name + path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('');
}
