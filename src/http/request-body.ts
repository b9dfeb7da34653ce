import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { BodyTooLargeError, ValidationError } from '../errors.js';

/** The most bytes of a request's body. */
const bodyBytesMax = 1_000_000;

/** The most levels of lists and objects. Inputs have five, and JSON in them at most 20. */
const bodyDepthMax = 100;

/** The most values of lists and objects: more than the largest event has. */
const bodyValuesMax = 40_000;

/** Shorter bodies cost little, whatever they contain. */
const countedBytesMin = 10_000;

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

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openings: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const closings: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/**
 * Bounds what a long body costs after this: parsing it, and looking at each of its values. It reads only
 * strings, commas and brackets, and leaves all errors of the syntax to the parser.
 */
function requireFewValues(body: Buffer): void {
  let depth = 0;
  let values = 1;
  for (let index = 0; index < body.length; index += 1) {
    const byte = body[index] ?? 0;
    if (byte === quote) {
      index = findEndOfString(body, index + 1);
    } else if (byte === comma) {
      values += 1;
    } else if (openings.has(byte)) {
      depth += 1;
      values += 1;
      if (depth > bodyDepthMax) {
        throw new ValidationError('body', `The body of a request must be at most ${bodyDepthMax} levels deep.`);
      }
    } else if (closings.has(byte)) {
      depth -= 1;
    }
    if (values > bodyValuesMax) {
      throw new ValidationError('body', `The body of a request must have at most ${bodyValuesMax} values.`);
    }
  }
}

/** The position of the quote that ends a string, or the end of the body. */
function findEndOfString(body: Buffer, start: number): number {
  let end = body.indexOf(quote, start);
  while (end !== -1 && isEscaped(body, end)) end = body.indexOf(quote, end + 1);
  return end === -1 ? body.length : end;
}

/** Whether an odd number of backslashes precedes a position. */
function isEscaped(body: Buffer, position: number): boolean {
  let first = position;
  while (body[first - 1] === backslash) first -= 1;
  return (position - first) % 2 === 1;
}

/** @throws ValidationError for a body that is not JSON in UTF-8 (RFC 8259, 8.1), or has too many values */
export function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw new ValidationError('body', 'The body of the request is not JSON.');
  if (body.length >= countedBytesMin) requireFewValues(body);
  const text = body.toString();
  try {
    return JSON.parse(text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text);
  } catch {
    throw new ValidationError('body', 'The body of the request is not JSON.');
  }
}
