import { type ExecutionResult, GraphQLError } from 'graphql';

/** One result, or several of a subscription. */
export type OperationResult = ExecutionResult | AsyncIterable<ExecutionResult>;

/** The result of an operation that failed as a whole. */
export function failedResult(error: unknown): ExecutionResult {
  if (error instanceof GraphQLError) return { errors: [error] };
  const cause = error instanceof Error ? error : new Error(String(error));
  return { errors: [new GraphQLError(cause.message, { originalError: cause })] };
}

export function isStream(result: OperationResult): result is AsyncIterable<ExecutionResult> {
  return Symbol.asyncIterator in result;
}
