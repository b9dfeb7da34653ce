import type { IncomingMessage, ServerResponse } from 'node:http';
import { newId } from '../db/ids.js';
import type { Principal } from '../domain/access/principal.js';

export const graphqlPath = '/graphql';

/** State of one request, from its arrival to its log line. */
export class RequestScope {
  readonly startedAt = performance.now();
  readonly requestId: string;
  /** Null until the credentials are read, and for requests that need none. */
  principal: Principal | null = null;
  #responseHeaders: Headers | null = null;
  #url: URL | null | undefined;

  /**
   * @param origin of this server, as clients see it: the base of the request's URL, whatever its `Host`
   * header says
   * @param address of the client. Limits, the audit trail and the log use it. Null: the connection is closed
   */
  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly origin: string,
    readonly address: string | null = request.socket.remoteAddress ?? null,
  ) {
    const given = readHeader(request, 'x-request-id');
    this.requestId = given !== null && requestIdPattern.test(given) ? given : newId('request');
  }

  get method(): string {
    return this.request.method ?? '';
  }

  /** Null if the request target is not a URL. */
  get url(): URL | null {
    this.#url ??= parseTarget(this.request.url ?? '', this.origin);
    return this.#url;
  }

  /** The path of the URL, without the query, which can contain a document and its variables. */
  get path(): string | null {
    return this.request.url === graphqlPath ? graphqlPath : (this.url?.pathname ?? null);
  }

  /** Headers of the response that steps of the pipeline and resolvers add. Most requests have none. */
  get responseHeaders(): Headers {
    this.#responseHeaders ??= new Headers();
    return this.#responseHeaders;
  }

  forEachResponseHeader(visit: (value: string, name: string) => void): void {
    this.#responseHeaders?.forEach(visit);
  }
}

/**
 * Room for a UUID or a trace id. Request ids are logged and stored, so text that may be a credential is
 * refused: most credentials are longer, the others begin or look like these.
 */
const requestIdPattern = /^(?!tks_)(?!(?=.*[A-Zg-z])[A-Za-z0-9]{32}$)[A-Za-z0-9_.-]{1,36}$/;

/**
 * The request target is a path or, for proxies, an absolute URL (RFC 9112, 3.2), of which only path and query
 * count.
 */
function parseTarget(target: string, origin: string): URL | null {
  try {
    if (target.startsWith('/')) return new URL(origin + target);
    const { pathname, search } = new URL(target);
    return new URL(origin + pathname + search);
  } catch {
    return null;
  }
}

/** What reading a header needs of a request. */
export type RequestHead = Pick<IncomingMessage, 'method' | 'headers'>;

/** @param name in lower case. Node has joined the values of a header that is sent twice. */
export function readHeader({ headers }: Pick<RequestHead, 'headers'>, name: string): string | null {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : (value ?? null);
}

/** The media type of the body in lower case, without parameters. */
export function readMediaType(request: Pick<RequestHead, 'headers'>): string {
  const contentType = request.headers['content-type'] ?? '';
  return contentType === 'application/json' ? contentType : contentType.split(';', 1).join('').trim().toLowerCase();
}
