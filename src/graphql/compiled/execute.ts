import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute as executeByGraphqlJs,
  OperationTypeNode,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import type { IntrospectionAccess } from '../../settings.js';
import type { Context } from '../context.js';
import { requireIntrospection } from '../introspection.js';
import { queryLimits, tooCostly } from '../query-limits.js';
import { PreparedDocument, type PreparedOperation } from './prepared-operation.js';
import { describeVariableErrors, isVariableFailure } from './variable-errors.js';

/** The execute function of the GraphQL engine, to which Envelop's `onExecute` hooks apply. */
export type Execute = (args: ExecutionArgs) => Promise<ExecutionResult>;

/** Cost of all cached answers about the schema: about ten times the whole schema. */
const cachedIntrospectionCostMax = 50_000;

/**
 * Creates an execute function that compiles operations such as `verifyApiKey` when it first sees them, and
 * runs all others by graphql-js. Both give the same results.
 */
export function createExecute(introspectionAccess: IntrospectionAccess): Execute {
  const documents = new WeakMap<DocumentNode, PreparedDocument>();
  const introspections = new LRUCache<PreparedOperation, ExecutionResult>({
    maxSize: cachedIntrospectionCostMax,
    sizeCalculation: (_answer, { introspection }) => Math.max(1, Math.ceil(introspection?.cost ?? 0)),
  });

  function findOperation({ schema, document, operationName }: ExecutionArgs): PreparedOperation | null {
    let prepared = documents.get(document);
    if (prepared === undefined || prepared.schema !== schema) {
      prepared = new PreparedDocument(schema, document);
      documents.set(document, prepared);
    }
    return prepared.findOperation(operationName);
  }

  /** The answer is the same for every request that may have it. */
  async function executeIntrospection(args: ExecutionArgs, operation: PreparedOperation): Promise<ExecutionResult> {
    const known = introspections.get(operation);
    if (known !== undefined) return { ...known };
    const result = await executeByGraphqlJs(args);
    if (result.errors === undefined) introspections.set(operation, { ...result });
    return result;
  }

  return async function execute(args) {
    const operation = findOperation(args);
    if (operation === null) return executeByGraphqlJs(args);
    const context = args.contextValue as Context;
    const inputs = args.variableValues ?? {};
    context.isWithinLimits = operation.isWithinLimits;
    const { introspection } = operation;
    if (introspection !== null) {
      requireIntrospection(introspectionAccess, context.actor.principal);
      if (introspection.cost > queryLimits.cost) throw tooCostly(introspection.cost, introspection.isLowerBound);
      context.introspectionCost = introspection.cost;
    }
    if (!operation.isPerRequest) {
      const cost = operation.weigh(inputs, context);
      if (cost !== null) {
        await context.budget.take(cost);
        context.isWithinLimits = true;
      }
      if (introspection?.isConstant) return executeIntrospection(args, operation);
    }
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
