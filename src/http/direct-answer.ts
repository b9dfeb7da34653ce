import { type DocumentNode, type ExecutionResult, GraphQLError } from 'graphql';
import { type GraphQLParams, isAsyncIterable, processRegularResult } from 'graphql-yoga';
import type { Context } from '../graphql/context.js';
import { type Exchange, openExchange } from './exchange.js';
import { createDocumentCache, type GraphqlEndpoint } from './graphql-endpoint.js';
import { PreparedDocument } from './prepared-documents.js';
import type { RequestHead } from './request-head.js';

/** An answer before it has its headers that all answers have. */
export interface DirectAnswer {
  readonly exchange: Exchange;
  readonly status: number;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: string;
}

/** A request whose body was read. */
export interface DirectRequest {
  readonly head: RequestHead;
  readonly body: string;
  readonly address: string | null;
}

/** What an operation that can run has at least. */
type DirectParams = GraphQLParams & { readonly query: string };

/** What a client accepts that takes one JSON document, and what it then gets; as Yoga decides it. */
const mediaTypesByAccept = new Map([
  [null, 'application/json'],
  ['*/*', 'application/json'],
  ['application/json', 'application/json'],
  ['application/graphql-response+json', 'application/graphql-response+json'],
]);

/** Whether {@link createDirectAnswerer} speaks what this client accepts. */
export function isPlainAccept(accept: string | null): boolean {
  return mediaTypesByAccept.has(accept);
}

/**
 * Answers one operation through Yoga's own pipeline (the same plugins, cached documents, validation, context and masking), without the
 * WHATWG requests, responses and streams around it, which cost several times what the operation does. Whatever is not plainly an
 * operation that can run gets null, before anything happened: Yoga then answers it, and knows all the words for what is wrong.
 */
export function createDirectAnswerer({ pipelineFor, createContext, publish }: GraphqlEndpoint) {
  const prepared = createDocumentCache<PreparedDocument>();

  const prepare = (params: DirectParams, exchange: Exchange): PreparedDocument | null => {
    const pipeline = pipelineFor({ exchange, params });
    const document = parseValid(pipeline, params.query);
    if (document === null) return null;
    const made = new PreparedDocument(pipeline.schema, document);
    prepared.set(params.query, made);
    return made;
  };

  const execute = async (params: GraphQLParams, document: DocumentNode, exchange: Exchange, context: Context) => {
    const pipeline = pipelineFor({ exchange, params, prepared: context });
    const result: unknown = await pipeline.execute({
      schema: pipeline.schema,
      document,
      contextValue: await pipeline.contextFactory(),
      variableValues: params.variables,
      operationName: params.operationName,
    });
    if (isAsyncIterable(result)) throw new Error('An operation that was to have one answer has several.');
    return result as ExecutionResult;
  };

  return async function answerDirectly({ head, body, address }: DirectRequest): Promise<DirectAnswer | null> {
    const params = readParams(body);
    const mediaType = mediaTypesByAccept.get(head.headers.get('accept'));
    if (params === null || mediaType === undefined) return null;
    const exchange = openExchange(head, address);
    const document = prepared.get(params.query) ?? prepare(params, exchange);
    const operation = document?.findOperation(params.operationName);
    if (!document || !operation || operation.isSubscription) return null;

    let result: ExecutionResult;
    try {
      const context = await createContext(head, exchange);
      context.isWeighed = operation.isWeighed;
      const running = operation.runPlainly?.(context, params.variables ?? {});
      result = await (running ?? execute(params, document.document, exchange, context));
    } catch (error) {
      result = asResult(error);
    }
    result = publish(result, exchange);
    if (result.errors === undefined) {
      operation.hasRun();
      return { exchange, status: 200, headers: contentType(mediaType), body: JSON.stringify(result) };
    }
    const response = processRegularResult(
      result,
      { Response } as Parameters<typeof processRegularResult>[1],
      mediaType,
    );
    return {
      exchange,
      status: response.status,
      headers: [...response.headers].filter(([name]) => name !== 'content-length').flat(),
      body: await response.text(),
    };
  };
}

const contentTypes = new Map(
  [...mediaTypesByAccept.values()].map((type) => [type, ['content-type', `${type}; charset=utf-8`]]),
);

function contentType(mediaType: string): readonly string[] {
  return contentTypes.get(mediaType) ?? [];
}

/** The parameters of a well-formed request; null for all else, such as batches, and parameters of the wrong type. */
function readParams(body: string): DirectParams | null {
  let params: unknown;
  try {
    params = JSON.parse(body);
  } catch {
    return null;
  }
  return isParams(params) ? params : null;
}

function isParams(value: unknown): value is DirectParams {
  if (!isRecord(value) || typeof value.query !== 'string') return false;
  for (const name in value) {
    const part = value[name];
    switch (name) {
      case 'query':
        break;
      case 'variables':
      case 'extensions':
        if (part != null && !isRecord(part)) return false;
        break;
      case 'operationName':
        if (part != null && typeof part !== 'string') return false;
        break;
      default:
        return false;
    }
  }
  return true;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type Pipeline = ReturnType<GraphqlEndpoint['pipelineFor']>;

function parseValid({ parse, validate, schema }: Pipeline, query: string) {
  try {
    const document = parse(query);
    return validate(schema, document).length === 0 ? document : null;
  } catch {
    return null;
  }
}

/** What ends a request before its operation runs, as Yoga would wrap it. */
function asResult(error: unknown): ExecutionResult {
  if (error instanceof GraphQLError) return { errors: [error] };
  const cause = error instanceof Error ? error : new Error(String(error));
  return { errors: [new GraphQLError(cause.message, { originalError: cause })] };
}
