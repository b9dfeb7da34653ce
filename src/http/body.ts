import { BodyTooLargeError, ValidationError } from '../errors.js';
import type { RequestHead } from './request-head.js';

/** The most bytes of a request's body. */
export const bodyBytesMax = 1_000_000;

/**
 * Reads a body whole. The length that the request declares is believed where it is too large; the bytes are counted anyway.
 * @throws BodyTooLargeError, ValidationError where the client breaks it off
 */
export async function readBody(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  if (declaresTooMuch(request)) throw new BodyTooLargeError(bodyBytesMax);
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(brokenOff);
    if (done) break;
    length += value.byteLength;
    // The reader is not cancelled: that would end the connection before the refusal is on its way.
    if (length > bodyBytesMax) throw new BodyTooLargeError(bodyBytesMax);
    chunks.push(value);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** The client has gone, and nobody will read this; it is not a failure of the server's. */
function brokenOff(): never {
  throw new ValidationError('body', 'The body of the request broke off.');
}

/** Whether a body can be refused before any of it is read. */
export function declaresTooMuch(request: RequestHead): boolean {
  return Number(request.headers.get('content-length') ?? 0) > bodyBytesMax;
}

/** @throws ValidationError for what is not JSON in UTF-8 (RFC 8259, 8.1). */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new ValidationError('body', 'The body of the request is not JSON.');
  }
}

/** The media type alone, in lower case, without parameters. */
export function mediaType(request: RequestHead): string {
  return (request.headers.get('content-type') ?? '').split(';', 1).join('').trim().toLowerCase();
}
