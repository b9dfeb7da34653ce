import { GraphQLError } from 'graphql';
import type { GraphQLParams } from 'graphql-yoga';
import { MethodNotAllowedError, UnsupportedMediaTypeError, ValidationError } from '../errors.js';
import { parseJson } from './request-body.js';
import { type RequestScope, readMediaType } from './request-scope.js';

/**
 * Reads the parameters of GraphQL over HTTP (6.2, 6.3), which {@link requireValidParams} has yet to check. A
 * body has to be declared as JSON: other media types can be sent by a form of any site.
 * @param body null for a request without one
 * @throws MethodNotAllowedError, UnsupportedMediaTypeError, ValidationError, GraphQLError
 */
export function readParams(scope: RequestScope, body: Buffer | null): GraphQLParams {
  if (scope.method === 'GET') return readQueryString(scope.url?.searchParams ?? new URLSearchParams());
  if (scope.method !== 'POST' || body === null) throw new MethodNotAllowedError(['GET', 'POST']);
  if (readMediaType(scope.request) !== 'application/json') throw new UnsupportedMediaTypeError();
  const params = parseJson(body);
  if (Array.isArray(params)) throw badRequest('Batches are not supported. Send one operation per request.');
  if (!isRecord(params)) throw badRequest('The body of the request must be a JSON object.');
  return params;
}

function readQueryString(query: URLSearchParams): GraphQLParams {
  const params: Record<string, unknown> = {};
  for (const name of ['query', 'operationName']) {
    const value = query.get(name);
    if (value !== null) params[name] = value;
  }
  for (const name of ['variables', 'extensions']) {
    const value = query.get(name);
    if (value !== null && value !== '') params[name] = parseParameter(name, value);
  }
  return params;
}

function parseParameter(name: string, value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    throw new ValidationError(name, `The parameter ${name} is not JSON.`);
  }
}

export type ValidParams = GraphQLParams & { readonly query: string };

/**
 * Checks the types of the parameters, after plugins may have changed them.
 * @throws ValidationError, GraphQLError
 */
export function requireValidParams(params: GraphQLParams): asserts params is ValidParams {
  for (const name in params) {
    const value = params[name as keyof GraphQLParams];
    switch (name) {
      case 'query':
        break;
      case 'variables':
      case 'extensions':
        if (value != null && !isRecord(value))
          throw new ValidationError(name, `The parameter ${name} must be an object.`);
        break;
      case 'operationName':
        if (value != null && typeof value !== 'string') {
          throw new ValidationError(name, 'The parameter operationName must be a string.');
        }
        break;
      default:
        if (value != null) {
          throw badRequest('A request has only the parameters query, variables, operationName and extensions.');
        }
    }
  }
  if (params.query == null) throw new ValidationError('query', 'The parameter query is missing.');
  if (typeof params.query !== 'string') throw new ValidationError('query', 'The parameter query must be a string.');
}

function badRequest(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } } });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
