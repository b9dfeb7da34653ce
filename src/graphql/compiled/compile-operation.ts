import {
  type DocumentNode,
  type ExecutionResult,
  type FieldNode,
  type GraphQLArgument,
  type GraphQLError,
  type GraphQLField,
  GraphQLList,
  GraphQLNonNull,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isInputType,
  Kind,
  locatedError,
  type OperationDefinitionNode,
  typeFromAST,
  type ValueNode,
  valueFromAST,
} from 'graphql';
import type { Context } from '../context.js';
import { type Coerce, compileCoercion, notCoerced } from './coerce-input.js';
import { type CompleteValue, collectStaticFields, compileCompletion } from './complete-value.js';

type Values = Readonly<Record<string, unknown>>;

/** Runs an operation. Null, before any resolver has run, if graphql-js has to coerce the variables. */
export type CompiledOperation = (context: Context, variables: Values) => Promise<ExecutionResult> | null;

/**
 * Compiles an operation such as `verifyApiKey`: one root field whose resolver does all the work, and whose
 * result is only read. A compiled operation runs several times as fast as graphql-js, which walks document
 * and schema again for each request. Returns null for all other operations. The resolver is the schema's own,
 * with everything that plugins wrap around it; invalid variables are left to graphql-js.
 */
export function compileOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): CompiledOperation | null {
  const type = schema.getRootType(operation.operation);
  if (type == null || (operation.directives?.length ?? 0) > 0) return null;
  const selected = [...(collectStaticFields(type, [operation.selectionSet], document) ?? [])];
  const [name, nodes = []] = selected[0] ?? [];
  const field = type.getFields()[nodes[0]?.name.value ?? ''];
  if (selected.length !== 1 || name === undefined || field?.resolve === undefined) return null;
  const coerceVariables = compileVariables(schema, operation);
  const readArguments = compileArguments(field, nodes);
  const runField = compileField(field.type, name, nodes, document);
  if (coerceVariables === null || readArguments === null || runField === null) return null;
  const resolve = field.resolve;
  const createInfo = compileInfo(schema, document, operation, type, field, name, nodes);

  return (context, inputs) => {
    const variables = coerceVariables(inputs);
    const args = variables && readArguments(variables);
    return variables === null || args === null
      ? null
      : runField(() => resolve(undefined, args, context, createInfo(variables)));
  };
}

function compileVariables(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
): ((inputs: Values) => Values | null) | null {
  const variables: { name: string; coerce: Coerce; isRequired: boolean; defaultValue: unknown }[] = [];
  for (const { variable, type: typeNode, defaultValue } of operation.variableDefinitions ?? []) {
    const type = typeFromAST(schema, typeNode);
    if (!isInputType(type)) return null;
    variables.push({
      name: variable.name.value,
      coerce: compileCoercion(type),
      isRequired: type instanceof GraphQLNonNull,
      defaultValue: defaultValue && valueFromAST(defaultValue, type),
    });
  }
  return (inputs) => {
    const values: Record<string, unknown> = {};
    for (const { name, coerce, isRequired, defaultValue } of variables) {
      if (!Object.hasOwn(inputs, name) || inputs[name] === undefined) {
        if (defaultValue !== undefined) values[name] = defaultValue;
        else if (isRequired) return null;
        continue;
      }
      const value = coerce(inputs[name]);
      if (value === notCoerced) return null;
      values[name] = value;
    }
    return values;
  };
}

function compileArguments(
  field: GraphQLField<unknown, Context>,
  nodes: readonly FieldNode[],
): ((variables: Values) => Values | null) | null {
  const readers: { name: string; read: (variables: Values) => unknown; isRequired: boolean; defaultValue: unknown }[] =
    [];
  for (const argument of field.args) {
    const node = nodes[0]?.arguments?.find(({ name }) => name.value === argument.name)?.value;
    const read = node === undefined ? () => undefined : compileArgument(argument, node);
    if (read === null) return null;
    const { name, type, defaultValue } = argument;
    readers.push({ name, read, isRequired: type instanceof GraphQLNonNull, defaultValue });
  }
  return (variables) => {
    const args: Record<string, unknown> = {};
    for (const { name, read, isRequired, defaultValue } of readers) {
      const given = read(variables);
      const value = given === undefined ? defaultValue : given;
      if (isRequired && value == null) return null;
      if (value !== undefined) args[name] = value;
    }
    return args;
  };
}

/** A variable, or a literal without variables. Null for a literal that contains variables. */
function compileArgument({ type }: GraphQLArgument, node: ValueNode): ((variables: Values) => unknown) | null {
  if (node.kind === Kind.VARIABLE) {
    const name = node.name.value;
    return (variables) => variables[name];
  }
  const value: unknown = valueFromAST(node, type);
  return value === undefined ? null : () => value;
}

type RunField = (resolve: () => unknown) => Promise<ExecutionResult>;

/**
 * Compiles the execution of the root field (GraphQL, 6.4): an error is reported at its path, and null
 * propagates as usual.
 */
function compileField(
  type: GraphQLOutputType,
  name: string,
  nodes: readonly FieldNode[],
  document: DocumentNode,
): RunField | null {
  const nullableType = type instanceof GraphQLNonNull ? type.ofType : type;
  const failed = type instanceof GraphQLNonNull ? null : { [name]: null };
  const isList = nullableType instanceof GraphQLList;
  // If an item that cannot be null fails, the whole list is null.
  if (isList && nullableType.ofType instanceof GraphQLNonNull) return null;
  const completeField = isList ? completeList : completeSingle;
  const complete = compileCompletion(isList ? nullableType.ofType : type, nodes, document);
  if (complete === null) return null;
  return async (resolve) => {
    try {
      const value = await resolve();
      if (value == null && failed === null) throw new Error('A non-null field resolved to null.');
      const completed = completeField(value, name, nodes, complete);
      return completed instanceof Promise ? await completed : completed;
    } catch (error) {
      return { data: failed, errors: [locatedError(error, nodes, [name])] };
    }
  };
}

function completeSingle(
  value: unknown,
  name: string,
  _nodes: readonly FieldNode[],
  complete: CompleteValue,
): ExecutionResult {
  return { data: { [name]: complete(value) } };
}

/** The only value of a list field that is not a list. */
function requireNull(value: unknown): null {
  if (value != null) throw new Error('A list field resolved to a value that is not a list.');
  return null;
}

/** An item that fails is null, with an error at its path. The other items are unaffected. */
async function completeList(
  value: unknown,
  name: string,
  nodes: readonly FieldNode[],
  complete: CompleteValue,
): Promise<ExecutionResult> {
  if (!Array.isArray(value)) return completeSingle(value, name, nodes, requireNull);
  const settled = await Promise.allSettled(value);
  const errors: GraphQLError[] = [];
  const items = settled.map((outcome, index) => {
    try {
      if (outcome.status === 'rejected') throw outcome.reason;
      return complete(outcome.value);
    } catch (error) {
      errors.push(locatedError(error, nodes, [name, index]));
      return null;
    }
  });
  return { data: { [name]: items }, ...(errors.length > 0 ? { errors } : {}) };
}

/** Compiles the `info` of the resolver. Only its variables differ between requests. */
function compileInfo(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  parentType: GraphQLObjectType,
  field: GraphQLField<unknown, Context>,
  name: string,
  fieldNodes: readonly FieldNode[],
): (variableValues: Values) => GraphQLResolveInfo {
  const { name: fieldName, type: returnType } = field;
  const fragments = Object.fromEntries(
    document.definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each]] : [])),
  );
  const path = { prev: undefined, key: name, typename: parentType.name };
  return (variableValues) => ({
    fieldName,
    fieldNodes,
    returnType,
    parentType,
    path,
    schema,
    fragments,
    rootValue: undefined,
    operation,
    variableValues: variableValues as Record<string, unknown>,
  });
}
