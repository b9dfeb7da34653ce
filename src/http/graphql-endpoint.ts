import type { DocumentNode, ExecutionResult, GraphQLSchema } from 'graphql';
import { createYoga, type GraphQLParams, type Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import { UnsupportedMediaTypeError, ValidationError } from '../errors.js';
import type { Context } from '../graphql/context.js';
import { mediaType, parseJson, readBody } from './body.js';
import { parseWithinLimits } from './document-limits.js';
import type { Exchange } from './exchange.js';
import type { Publish } from './publish.js';
import type { RequestHead } from './request-head.js';

export const graphqlPath = '/graphql';

/** Documents are kept parsed by their text. Their sizes are counted, since one of a megabyte would weigh like a thousand. */
const cachedDocumentsMax = 1_000;
const cachedCharactersMax = 1_000_000;
const cachedDocumentCharactersMax = 20_000;

export interface ServerContext {
  readonly exchange: Exchange;
  /** Set before the document runs. */
  prepared?: Context;
}

export interface GraphqlEndpointOptions {
  readonly schema: GraphQLSchema;
  readonly createContext: (request: RequestHead, exchange: Exchange) => Promise<Context>;
  readonly publish: Publish;
}

/** GraphQL over HTTP. */
export function createGraphqlEndpoint({ schema, createContext, publish }: GraphqlEndpointOptions) {
  const yoga = createYoga<ServerContext, Context>({
    schema,
    graphqlEndpoint: graphqlPath,
    context: ({ prepared }) => {
      if (prepared === undefined) throw new Error('A document is about to run for nobody.');
      // Yoga copies what it is given, and would not find what is made only when it is asked for.
      const { actor, domain, deps, loaders, responseHeaders, isWeighed } = prepared;
      return { actor, domain, deps, loaders, responseHeaders, isWeighed };
    },
    plugins: [useRequest(createContext), useDocumentLimits(), usePublicResults(publish)],
    // The handler answers browsers that ask for a page.
    graphiql: false,
    parserAndValidationCache: {
      documentCache: createDocumentCache<DocumentNode>(),
      errorCache: createDocumentCache<object>(),
    },
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

  return {
    /** Answers any request, through Yoga's own HTTP. */
    answer: (request: Request, exchange: Exchange): Promise<Response> =>
      Promise.resolve(yoga.handleRequest(request, { exchange })),
    /** Begins Yoga's pipeline for one operation, without its HTTP. What its plugins do to documents, they do here too. */
    pipelineFor: (serverContext: ServerContext & { readonly params: GraphQLParams }) =>
      yoga.getEnveloped(serverContext as Parameters<typeof yoga.getEnveloped>[0]),
    createContext,
    publish,
  };
}

export type GraphqlEndpoint = ReturnType<typeof createGraphqlEndpoint>;

/** A cache by the text of documents, with a bound. */
export function createDocumentCache<Value extends object>(): LRUCache<string, Value> {
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

/** Every result leaves through {@link createPublisher}. */
function usePublicResults(publish: Publish): Plugin<object, ServerContext> {
  return {
    onResultProcess({ result, setResult, serverContext }) {
      if (!Array.isArray(result) && isExecutionResult(result)) setResult(publish(result, serverContext.exchange));
    },
  };
}

function isExecutionResult(result: object): result is ExecutionResult {
  return 'data' in result || 'errors' in result;
}

function useDocumentLimits(): Plugin {
  return {
    onParse({ setParseFn }) {
      setParseFn(parseWithinLimits);
    },
  };
}
