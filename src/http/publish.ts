import { type ExecutionResult, GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import type { Products } from '../products/product.js';
import { endsRequest, type PublicError, toExtensions, toPublicError } from './errors.js';
import type { Exchange } from './exchange.js';
import type { Redact } from './redact.js';

/** Makes of a result what may leave the server. */
export type Publish = (result: ExecutionResult, exchange: Exchange) => ExecutionResult;

/** The one place through which every result leaves: nothing goes out of it that {@link toPublicError} did not let through. */
export function createPublisher(options: { log: Logger; redact: Redact; products: Products }): Publish {
  const { log, redact, products } = options;
  return (result, exchange) => {
    if (result.errors === undefined) return result;
    const { requestId } = exchange;
    const errors = result.errors.map((error) => ({
      error,
      shown: inWordsOfProduct(toPublicError(error, redact), exchange, products),
    }));
    for (const { shown } of errors) {
      if (shown.unexpected !== null) log.error({ err: shown.unexpected, requestId }, 'A request failed unexpectedly.');
    }
    const failed = isWholeFailure(
      result,
      errors.map(({ shown }) => shown),
    );
    return {
      ...(failed ? {} : { data: result.data ?? null }),
      errors: errors.map(({ error, shown }) => toGraphQLError(error, shown, requestId, failed)),
    };
  };
}

/** A key hears of a failure of the server's in the words of its product. */
function inWordsOfProduct(shown: PublicError, { principal }: Exchange, products: Products): PublicError {
  if (shown.code !== 'INTERNAL_SERVER_ERROR' || principal?.kind !== 'apiKey') return shown;
  const wording = products.find(principal.product)?.wording.INTERNAL;
  return wording === undefined
    ? shown
    : { ...shown, message: wording.message, status: wording.status, productCode: wording.code };
}

/**
 * Whether the request failed as a whole: before it ran, or because its caller may not run it now, and nothing of it was
 * delivered. Then the answer has no `data` and the HTTP status says why; else errors stand beside the data.
 */
function isWholeFailure({ data }: ExecutionResult, errors: readonly PublicError[]): boolean {
  if (data === undefined) return true;
  const delivered = data !== null && Object.values(data).some((value) => value !== null);
  return !delivered && errors.some(endsRequest);
}

function toGraphQLError(error: GraphQLError, shown: PublicError, requestId: string, failed: boolean): GraphQLError {
  const { status, okForPlainJson: spec, headers } = shown;
  return new GraphQLError(shown.message, {
    nodes: error.nodes ?? null,
    source: error.source ?? null,
    positions: error.positions ?? null,
    path: error.path ?? null,
    extensions: {
      ...toExtensions(shown, requestId),
      // Yoga takes this out again, and makes the HTTP status of it.
      http: failed ? { status, spec, headers: { ...headers } } : { headers: { ...headers } },
    },
  });
}
