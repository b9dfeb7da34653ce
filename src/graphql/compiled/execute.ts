import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute as executeByGraphqlJs,
  OperationTypeNode,
} from 'graphql';
import type { Context } from '../context.js';
import { PreparedDocument, type PreparedOperation } from './prepared-operation.js';
import { describeVariableErrors, isVariableFailure } from './variable-errors.js';

/** The execute function of the GraphQL engine, to which Envelop's `onExecute` hooks apply. */
export type Execute = (args: ExecutionArgs) => Promise<ExecutionResult>;

/**
 * Creates an execute function that compiles operations such as `verifyApiKey` when it first sees them, and
 * runs all others by graphql-js. Both give the same results.
 */
export function createExecute(): Execute {
  const documents = new WeakMap<DocumentNode, PreparedDocument>();

  function findOperation({ schema, document, operationName }: ExecutionArgs): PreparedOperation | null {
    let prepared = documents.get(document);
    if (prepared === undefined || prepared.schema !== schema) {
      prepared = new PreparedDocument(schema, document);
      documents.set(document, prepared);
    }
    return prepared.findOperation(operationName);
  }

  return async function execute(args) {
    const operation = findOperation(args);
    if (operation === null) return executeByGraphqlJs(args);
    const context = args.contextValue as Context;
    const inputs = args.variableValues ?? {};
    context.isWithinLimits = operation.isWithinLimits;
    const isCompilable = args.rootValue === undefined && args.fieldResolver == null && args.typeResolver == null;
    const run = () => (isCompilable ? operation.compiled?.(context, inputs) : null) ?? executeByGraphqlJs(args);
    // Queries end with their request; mutations that began finish.
    const isQuery = operation.definition.operation === OperationTypeNode.QUERY;
    const result = await (isQuery ? context.executeQuery(run) : run());
    if (result.errors === undefined) operation.succeeded();
    else if (isVariableFailure(result)) {
      return { errors: describeVariableErrors(args.schema, operation.definition, inputs) };
    }
    return result;
  };
}
