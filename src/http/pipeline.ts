import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { getOperationAST } from 'graphql';
import type { GraphQLParams } from 'graphql-yoga';
import type { Logger } from 'pino';
import { principalRecord } from '../domain/access/principal.js';
import { NotAcceptableError, NotFoundError, ValidationError } from '../errors.js';
import type { Products } from '../products/product.js';
import type { Answer } from './answer.js';
import { answerAuthError } from './auth-route.js';
import type { FindClientAddress } from './client-address.js';
import { type AcceptedMediaTypes, negotiateMediaTypes } from './content-negotiation.js';
import type { HookContext } from './context.js';
import { isPreflight } from './cors.js';
import { createDeadlines } from './deadlines.js';
import type { Engine } from './engine.js';
import { answerError, applyProductWording, type PublicError, toPublicError } from './errors.js';
import { wantsGraphiql } from './graphiql.js';
import { readParams, requireValidParams, type ValidParams } from './graphql-params.js';
import { answerLive, livePath, readyPath } from './health.js';
import { failedResult, type OperationResult } from './operation-result.js';
import type { Origins } from './origins.js';
import { presentResult } from './present.js';
import { authPath } from './principals/session.js';
import { ClientGoneError } from './query-deadline.js';
import type { Redact } from './redact.js';
import { readBody } from './request-body.js';
import { graphqlPath, RequestScope } from './request-scope.js';
import { finishHeaders } from './response-headers.js';
import { send } from './send.js';

export interface PipelineOptions {
  /** Scheme and host of this server, as clients see them. */
  readonly origin: string;
  readonly origins: Origins;
  readonly findClientAddress: FindClientAddress;
  readonly products: Products;
  readonly log: Logger;
  readonly redact: Redact;
  readonly engine: Engine;
  /** Identifies the principal of a request, and makes the context of its resolvers. */
  readonly createContext: (scope: RequestScope) => HookContext | Promise<HookContext>;
  /** Null: the playground is switched off. */
  readonly answerGraphiql: ((scope: RequestScope) => Promise<Answer>) | null;
  readonly answerAuth: (scope: RequestScope) => Promise<Answer>;
  readonly answerReady: (isDraining: boolean) => Promise<Answer>;
}

export interface Pipeline {
  /** Answers any request, and never throws. */
  readonly handle: RequestListener;
  /** From now on the server is not ready, and its responses ask clients to close their connections. */
  drain(): void;
}

interface Route {
  readonly answer: (scope: RequestScope) => Answer | Promise<Answer>;
  /** The form of an error's body. */
  readonly answerError: (error: unknown, scope: RequestScope) => Answer;
}

/**
 * The way of every request:
 *
 *     route → answer, or the answer to its error → finish headers → send → log
 *
 * and within it of every GraphQL request, whatever its method, media type, cookie or origin:
 *
 *     read → identify the principal → parse and validate → execute → present
 *
 * docs/architecture.md draws it.
 */
export function createPipeline(options: PipelineOptions): Pipeline {
  const { engine, log, origin, origins, products, redact } = options;
  const startDeadline = createDeadlines(({ requestId }) =>
    log.warn({ requestId }, 'A request was aborted because it took too long.'),
  );
  let isDraining = false;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const scope = new RequestScope(request, response, origin, options.findClientAddress(request));
    const deadline = startDeadline(scope, response);
    const sendAnswer = (answer: Answer) =>
      send(response, answer, finishHeaders(answer, scope, { origins, isDraining }), () => deadline.postpone());
    const route = findRoute(scope);
    try {
      await sendAnswer(await route.answer(scope));
    } catch (error) {
      if (!(error instanceof ClientGoneError)) {
        await recover(error, response, scope, () => sendAnswer(route.answerError(error, scope)));
      }
    }
    logRequest(scope, response.headersSent ? response.statusCode : clientGoneStatus);
  }

  // ROUTE

  function findRoute({ request, method, path }: RequestScope): Route {
    if (isPreflight(request)) return preflight;
    if (path === graphqlPath) return graphiql !== null && wantsGraphiql(request) ? graphiql : graphql;
    if (path?.startsWith(`${authPath}/`)) return auth;
    if (method !== 'GET' && method !== 'HEAD') return nothing;
    return pages.get(path) ?? nothing;
  }

  const withGraphqlErrors = (answer: Route['answer']): Route => ({
    answer,
    answerError: (error, scope) => answerError(describe(error, scope), scope.requestId),
  });
  const preflight = withGraphqlErrors(() => ({ status: 204, headers: [], body: null }));
  const graphiql = options.answerGraphiql && withGraphqlErrors(options.answerGraphiql);
  const graphql: Route = { answer: answerGraphql, answerError: answerGraphqlError };
  const auth: Route = {
    answer: options.answerAuth,
    answerError: (error, scope) => answerAuthError(describe(error, scope), scope.requestId),
  };
  const pages = new Map<string | null, Route>([
    [livePath, withGraphqlErrors(answerLive)],
    [readyPath, withGraphqlErrors(() => options.answerReady(isDraining))],
  ]);
  if (graphiql !== null) {
    pages.set(
      '/',
      withGraphqlErrors(() => ({ status: 302, headers: ['location', graphqlPath], body: null })),
    );
  }
  const nothing = withGraphqlErrors(({ path }) => {
    if (path === null) throw new ValidationError('url', 'The request target is not a URL.');
    throw new NotFoundError('path', `There is nothing at this path. GraphQL is at ${graphqlPath}.`);
  });

  // THE STEPS OF A GRAPHQL REQUEST

  async function answerGraphql(scope: RequestScope): Promise<Answer> {
    // Read.
    const body = scope.method === 'POST' ? await readBody(scope.request) : null;
    // Identify the principal: before anything else is judged, so that a wrong credential is 401 whatever else
    // is wrong.
    const context = await options.createContext(scope);
    const accepted = negotiateMediaTypes(scope.request.headers.accept);
    const params = readParams(scope, body);
    // Parse, validate and execute, with the hooks of plugins before and after.
    const result = await engine.runWithHooks(params, context, (hookParams, hookContext) =>
      runOperation(hookParams, hookContext, accepted),
    );
    // Present.
    return presentResult(result, accepted, (error) => describe(error, scope), scope.requestId);
  }

  async function runOperation(
    params: GraphQLParams,
    context: HookContext,
    accepted: AcceptedMediaTypes,
  ): Promise<OperationResult> {
    try {
      // After the hooks: those of plugins such as persisted operations replace the parameters.
      requireValidParams(params);
      context.params = params;
      const { query, operationName, variables } = params;
      const known = findPrepared(params, context);
      if (known !== null) return await known;
      const enveloped = engine.envelop(context);
      const { schema } = enveloped;
      // Parse and validate: documents are cached by their text, the errors of validation by document.
      const document = enveloped.parse(query);
      const errors = enveloped.validate(schema, document);
      if (errors.length > 0) return { errors };
      // Execute: operations such as verifyApiKey are compiled, see graphql/compiled/execute.ts.
      const contextValue = await enveloped.contextFactory();
      const args = { schema, document, contextValue, variableValues: variables, operationName };
      if (getOperationAST(document, operationName)?.operation !== 'subscription') {
        engine.prepared.add(query, document);
        return await enveloped.execute(args);
      }
      if (accepted.eventStream === null) throw new NotAcceptableError();
      return await enveloped.subscribe(args);
    } catch (error) {
      if (error instanceof ClientGoneError) throw error;
      return failedResult(error);
    }
  }

  /**
   * A document that was parsed and validated before is executed at once. Null for all others, and if a plugin
   * has hooks.
   */
  function findPrepared(params: ValidParams, context: HookContext): Promise<OperationResult> | null {
    const { query, operationName, variables } = params;
    const { prepared } = engine;
    const document = prepared.find(context, query);
    if (document === null || getOperationAST(document, operationName)?.operation === 'subscription') return null;
    return prepared.execute({
      schema: prepared.schema,
      document,
      contextValue: context,
      variableValues: variables,
      operationName,
    });
  }

  // ERRORS

  /** What the client learns of an error. The only place that logs unexpected errors of a request. */
  function describe(error: unknown, scope: RequestScope): PublicError {
    const shown = toPublicError(error, redact);
    if (shown.unexpected !== null) logFailure(shown.unexpected, scope);
    return applyProductWording(shown, scope.principal, products);
  }

  function answerGraphqlError(error: unknown, scope: RequestScope): Answer {
    const describeError = (each: unknown) => describe(each, scope);
    return presentResult(failedResult(error), acceptedOrJson(scope), describeError, scope.requestId);
  }

  /** The only place that turns an exception into a response, wherever it was thrown. */
  async function recover(
    error: unknown,
    response: ServerResponse,
    scope: RequestScope,
    answer: () => Promise<void> | undefined,
  ): Promise<void> {
    let failure = error;
    if (!response.headersSent) {
      try {
        return await answer();
      } catch (second) {
        failure = second;
      }
    }
    logFailure(failure, scope);
    if (response.headersSent) {
      // The client sees that the response is incomplete.
      response.destroy();
      return;
    }
    const { requestId } = scope;
    const body = JSON.stringify({
      errors: [{ message: 'Internal server error.', extensions: { code: 'INTERNAL_SERVER_ERROR', requestId } }],
    });
    response.writeHead(500, [
      'content-type',
      'application/json',
      'cache-control',
      'no-store',
      'x-request-id',
      requestId,
    ]);
    response.end(body);
  }

  // LOG

  function logFailure(error: unknown, { requestId }: RequestScope): void {
    log.error({ err: error, requestId }, 'A request failed unexpectedly.');
  }

  function logRequest({ requestId, method, path, principal, address, startedAt }: RequestScope, status: number): void {
    const level = path === livePath || path === readyPath ? 'debug' : 'info';
    if (!log.isLevelEnabled(level)) return;
    log[level](
      {
        requestId,
        method,
        path: path === null ? null : redact(path.slice(0, loggedPathLengthMax)),
        status,
        ms: Math.round((performance.now() - startedAt) * 10) / 10,
        principal: principal && principalRecord(principal),
        address,
      },
      'request',
    );
  }

  return {
    handle(request, response) {
      handle(request, response).catch((error: unknown) => {
        response.destroy();
        log.error({ err: error }, 'A request failed unexpectedly.');
      });
    },
    drain() {
      isDraining = true;
    },
  };
}

const loggedPathLengthMax = 200;
/** As nginx logs a request whose client went away before the response. */
const clientGoneStatus = 499;

/** Media types for the answer to an error, which may be that none is acceptable. */
function acceptedOrJson({ request }: RequestScope): AcceptedMediaTypes {
  try {
    return negotiateMediaTypes(request.headers.accept);
  } catch {
    return { json: 'application/json', eventStream: null };
  }
}
