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
import { type Coerce, coerceTo, notPlain } from './input.js';
import { collectPlainFields, type Project, projectTo } from './output.js';

type Values = Readonly<Record<string, unknown>>;

/** Runs an operation; null, before anything happened, where its variables are for the executor to look at. */
export type RunPlainly = (context: Context, variables: Values) => Promise<ExecutionResult> | null;

/**
 * Looks whether an operation is as plain as `verifyApiKey`, which is asked for every request that a product gets: one field, whose
 * resolver does all there is to do, and of whose answer everything is only read. Such an operation is looked at once, and run without
 * the executor, which walks document and schema anew for every request and costs several times what the resolver does. Null for all
 * others. The resolver is the schema's own, with all that the plugins put around it, and whatever is wrong gets the executor's words.
 */
export function findPlainRun(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): RunPlainly | null {
  const type = schema.getRootType(operation.operation);
  if (type == null || (operation.directives?.length ?? 0) > 0) return null;
  const selected = [...(collectPlainFields(type, [operation.selectionSet], document) ?? [])];
  const [name, nodes = []] = selected[0] ?? [];
  const field = type.getFields()[nodes[0]?.name.value ?? ''];
  if (selected.length !== 1 || name === undefined || field?.resolve === undefined) return null;
  const readVariables = variablesReader(schema, operation);
  const readArguments = argumentsReader(field, nodes);
  const complete = completion(field.type, name, nodes, document);
  if (readVariables === null || readArguments === null || complete === null) return null;
  const resolve = field.resolve;
  const infoOf = infoMaker(schema, document, operation, type, field, name, nodes);

  return (context, given) => {
    const variables = readVariables(given);
    const args = variables && readArguments(variables);
    return variables === null || args === null
      ? null
      : complete(() => resolve(undefined, args, context, infoOf(variables)));
  };
}

function variablesReader(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
): ((given: Values) => Values | null) | null {
  const variables: { name: string; coerce: Coerce; isRequired: boolean; defaultValue: unknown }[] = [];
  for (const { variable, type: typeNode, defaultValue } of operation.variableDefinitions ?? []) {
    const type = typeFromAST(schema, typeNode);
    if (!isInputType(type)) return null;
    variables.push({
      name: variable.name.value,
      coerce: coerceTo(type),
      isRequired: type instanceof GraphQLNonNull,
      defaultValue: defaultValue && valueFromAST(defaultValue, type),
    });
  }
  return (given) => {
    const values: Record<string, unknown> = {};
    for (const { name, coerce, isRequired, defaultValue } of variables) {
      if (!Object.hasOwn(given, name) || given[name] === undefined) {
        if (defaultValue !== undefined) values[name] = defaultValue;
        else if (isRequired) return null;
        continue;
      }
      const value = coerce(given[name]);
      if (value === notPlain) return null;
      values[name] = value;
    }
    return values;
  };
}

function argumentsReader(
  field: GraphQLField<unknown, Context>,
  nodes: readonly FieldNode[],
): ((variables: Values) => Values | null) | null {
  const readers: { name: string; read: (variables: Values) => unknown; isRequired: boolean; defaultValue: unknown }[] =
    [];
  for (const argument of field.args) {
    const given = nodes[0]?.arguments?.find(({ name }) => name.value === argument.name)?.value;
    const read = given === undefined ? () => undefined : argumentReader(argument, given);
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

/** A whole variable, or a value without any; null for one with variables inside. */
function argumentReader({ type }: GraphQLArgument, node: ValueNode): ((variables: Values) => unknown) | null {
  if (node.kind === Kind.VARIABLE) {
    const name = node.name.value;
    return (variables) => variables[name];
  }
  const value: unknown = valueFromAST(node, type);
  return value === undefined ? null : () => value;
}

type Ask = () => unknown;

/** Ends the field as the executor does: an error stands beside the data at its place, and takes with it what cannot be null. */
function completion(type: GraphQLOutputType, name: string, nodes: readonly FieldNode[], document: DocumentNode) {
  const nullableType = type instanceof GraphQLNonNull ? type.ofType : type;
  const failed = type instanceof GraphQLNonNull ? null : { [name]: null };
  const isList = nullableType instanceof GraphQLList;
  // An item that cannot be null takes others with it when it fails.
  if (isList && nullableType.ofType instanceof GraphQLNonNull) return null;
  const complete = isList ? completeList : completeOne;
  const project = projectTo(isList ? nullableType.ofType : type, nodes, document);
  if (project === null) return null;
  return async (ask: Ask): Promise<ExecutionResult> => {
    try {
      const value = await ask();
      if (value == null && failed === null) throw new Error('A field that always has a value has none.');
      return await complete(value, name, nodes, project);
    } catch (error) {
      return { data: failed, errors: [locatedError(error, nodes, [name])] };
    }
  };
}

function completeOne(value: unknown, name: string, _nodes: readonly FieldNode[], project: Project): ExecutionResult {
  return { data: { [name]: project(value) } };
}

/** Where a list is expected, only its absence is none. */
function requireNothing(value: unknown): null {
  if (value != null) throw new Error('A field that is a list has something else.');
  return null;
}

/** Each item is answered for by itself. */
async function completeList(
  value: unknown,
  name: string,
  nodes: readonly FieldNode[],
  project: Project,
): Promise<ExecutionResult> {
  if (!Array.isArray(value)) return completeOne(value, name, nodes, requireNothing);
  const settled = await Promise.allSettled(value);
  const errors: GraphQLError[] = [];
  const items = settled.map((outcome, index) => {
    try {
      if (outcome.status === 'rejected') throw outcome.reason;
      return project(outcome.value);
    } catch (error) {
      errors.push(locatedError(error, nodes, [name, index]));
      return null;
    }
  });
  return { data: { [name]: items }, ...(errors.length > 0 ? { errors } : {}) };
}

/** What resolvers and plugins are told about the field. Of it, only the variables differ from request to request. */
function infoMaker(
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
