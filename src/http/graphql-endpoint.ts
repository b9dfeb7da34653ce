import { type DocumentNode, type ExecutionResult, GraphQLError, type GraphQLSchema } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { ValidationError } from '../domain/errors.js';
import type { Context } from '../graphql/context.js';
import { mediaType, parseJson, readBody, UnsupportedMediaTypeError } from './body.js';
import { parseWithinLimits } from './document-limits.js';
import { endsRequest, type PublicError, toExtensions, toPublicError } from './errors.js';
import type { Exchange } from './exchange.js';
import type { Redact } from './redact.js';

export const graphqlPath = '/graphql';

/** Documents are kept parsed by their text. Their sizes are counted, since one of a megabyte would weigh like a thousand. */
const cachedDocumentsMax = 1_000;
const cachedCharactersMax = 1_000_000;
const cachedDocumentCharactersMax = 20_000;

interface ServerContext {
  readonly exchange: Exchange;
  /** Set before the document is looked at. */
  prepared?: Context;
}

export interface GraphqlEndpointOptions {
  readonly schema: GraphQLSchema;
  readonly createContext: (request: Request, exchange: Exchange) => Promise<Context>;
  readonly log: Logger;
  readonly redact: Redact;
}

/** GraphQL over HTTP. */
export function createGraphqlEndpoint({ schema, createContext, log, redact }: GraphqlEndpointOptions) {
  const yoga = createYoga<ServerContext, Context>({
    schema,
    graphqlEndpoint: graphqlPath,
    context: ({ prepared }) => {
      if (prepared === undefined) throw new Error('A document is about to run for nobody.');
      return prepared;
    },
    plugins: [useRequest(createContext), useDocumentLimits(), usePublicErrors({ log, redact })],
    // The handler answers browsers that ask for a page.
    graphiql: false,
    parserAndValidationCache: { documentCache: createCache<DocumentNode>(), errorCache: createCache<object>() },
    // Errors are masked once, where all results pass: see usePublicErrors.
    maskedErrors: false,
    logging: false,
    batching: false,
    multipart: false,
    // The handler answers for the origins of all paths, and the request is read with a limit of this server's own.
    cors: false,
    maxRequestBodySize: false,
    landingPage: false,
    // Yoga answers whatever URL ends so, a query string included. No URL ends in a space.
    healthCheckEndpoint: ' ',
  });

  return (request: Request, exchange: Exchange): Promise<Response> =>
    Promise.resolve(yoga.handleRequest(request, { exchange }));
}

function createCache<Value extends object>(): LRUCache<string, Value> {
  return new LRUCache({
    max: cachedDocumentsMax,
    maxSize: cachedCharactersMax,
    maxEntrySize: cachedDocumentCharactersMax,
    sizeCalculation: (_value, document) => Math.max(1, document.length),
  });
}

/**
 * Finds out who asks before anything of the request is read, so that a wrong credential is 401 whatever else is wrong,
 * and every answer to a key carries its rate limits. Bodies are JSON and nothing else: what a form can send, any site can send.
 */
function useRequest(createContext: GraphqlEndpointOptions['createContext']): Plugin<object, ServerContext> {
  return {
    async onRequestParse({ request, serverContext, setRequestParser }) {
      serverContext.prepared = await createContext(request, serverContext.exchange);
      if (request.method === 'GET') setRequestParser(readQueryString);
      if (request.method !== 'POST') return;
      if (mediaType(request) !== 'application/json') throw new UnsupportedMediaTypeError();
      // What the body holds is checked by the hooks of Yoga that follow.
      setRequestParser(async () => parseJson(await readBody(request)) as Record<string, unknown>);
    },
  };
}

/** GraphQL over HTTP, 6.2.1. @throws ValidationError */
function readQueryString(request: Request): Record<string, unknown> {
  const { searchParams } = new URL(request.url);
  return {
    query: searchParams.get('query') ?? undefined,
    operationName: searchParams.get('operationName') ?? undefined,
    variables: parseParameter('variables', searchParams.get('variables')),
    extensions: parseParameter('extensions', searchParams.get('extensions')),
  };
}

function parseParameter(name: string, value: string | null): unknown {
  if (value === null || value === '') return undefined;
  try {
    return JSON.parse(value);
  } catch {
    throw new ValidationError(name, `The parameter ${name} is not JSON.`);
  }
}

function useDocumentLimits(): Plugin {
  return {
    onParse({ setParseFn }) {
      setParseFn(parseWithinLimits);
    },
  };
}

/** The one place through which every result leaves: nothing goes out of it that {@link toPublicError} did not let through. */
function usePublicErrors({ log, redact }: { log: Logger; redact: Redact }): Plugin<object, ServerContext> {
  return {
    onResultProcess({ result, setResult, serverContext }) {
      if (Array.isArray(result) || !isExecutionResult(result)) return;
      const { requestId } = serverContext.exchange;
      if (result.errors === undefined) return;
      const errors = result.errors.map((error) => ({ error, shown: toPublicError(error, redact) }));
      for (const { shown } of errors) {
        if (shown.unexpected !== null)
          log.error({ err: shown.unexpected, requestId }, 'A request failed unexpectedly.');
      }
      const failed = isWholeFailure(
        result,
        errors.map(({ shown }) => shown),
      );
      setResult({
        ...(failed ? {} : { data: result.data }),
        errors: errors.map(({ error, shown }) => toGraphQLError(error, shown, requestId, failed)),
      });
    },
  };
}

function isExecutionResult(result: object): result is ExecutionResult {
  return 'data' in result || 'errors' in result;
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
