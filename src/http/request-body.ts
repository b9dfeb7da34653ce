import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { BodyTooLargeError, ValidationError } from '../errors.js';

/** The most bytes of a request's body. */
const bodyBytesMax = 1_000_000;

/**
 * Reads the whole body.
 * @throws BodyTooLargeError by the declared length before anything is read, otherwise by the bytes that
 * arrive
 * @throws ValidationError if the client breaks the body off
 */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) {
      reject(new BodyTooLargeError(bodyBytesMax));
      return;
    }
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length <= bodyBytesMax) {
        chunks.push(chunk);
        return;
      }
      // The stream is paused and not destroyed: that would end the connection before the refusal is sent.
      request.off('data', onData).pause();
      reject(new BodyTooLargeError(bodyBytesMax));
    };
    request.on('data', onData);
    request.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    request.on('close', () => {
      // Every request closes, and an error costs its stack trace.
      if (!request.readableEnded) reject(new ValidationError('body', 'The body of the request broke off.'));
    });
  });
}

const byteOrderMark = 0xfeff;

/** @throws ValidationError for a body that is not JSON in UTF-8 (RFC 8259, 8.1) */
export function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw new ValidationError('body', 'The body of the request is not JSON.');
  const text = body.toString();
  try {
    return JSON.parse(text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text);
  } catch {
    throw new ValidationError('body', 'The body of the request is not JSON.');
  }
}
