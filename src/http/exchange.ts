import { newId } from '../db/ids.js';
import type { Principal } from '../domain/access/principal.js';
import type { RequestHead } from './request-head.js';

/** One request and what becomes of it: made when it arrives, logged when it is answered. */
export class Exchange {
  /** Known once the credentials were looked at; null before, and where nobody asked. */
  principal: Principal | null = null;
  #responseHeaders: Headers | null = null;

  /** @param address of whoever is at the other end of the connection. */
  constructor(
    readonly requestId: string,
    readonly address: string | null,
  ) {}

  /** What stands on the answer beside what the answer itself says. */
  get responseHeaders(): Headers {
    this.#responseHeaders ??= new Headers();
    return this.#responseHeaders;
  }

  /** Calls back with each of them. Most answers have none, and then none are made. */
  forEachResponseHeader(visit: (value: string, name: string) => void): void {
    this.#responseHeaders?.forEach(visit);
  }
}

/** Room for a UUID or a trace id. It is logged and stored, so what may be a credential is none: those are longer, or look like these. */
const requestIdPattern = /^(?!tks_)(?!(?=.*[A-Zg-z])[A-Za-z0-9]{32}$)[A-Za-z0-9_.-]{1,36}$/;

/** Takes the caller's `x-request-id` where it is one, so that one id follows a request through several servers. */
export function openExchange(request: RequestHead, address: string | null): Exchange {
  const given = request.headers.get('x-request-id');
  return new Exchange(given !== null && requestIdPattern.test(given) ? given : newId('request'), address);
}
