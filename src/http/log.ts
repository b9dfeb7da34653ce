import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import type { Product } from '../products/product.js';
import { createRedact, mask, type Redact } from './redact.js';

export interface LogOptions {
  /** One of pino's levels, or `silent`. */
  readonly level: string;
  /** Whose secrets to know by their form. */
  readonly products?: readonly Product[];
  /** Standard output unless told. */
  readonly destination?: DestinationStream;
}

/** The server's log: JSON lines with ISO times. What bears the name of a secret, or its form in the text of an error, is masked. */
export function createLog({ level, products = [], destination }: LogOptions): Logger {
  const redact = createRedact(products);
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // pino's own `redact` wants each path, and its wildcards cost more than all else that a line costs.
    formatters: { log: maskSecrets },
    serializers: { err: (error: unknown) => describeError(error, redact) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** Names that end like this hold secrets: `authorization`, `signingSecret`, `set-cookie`, `x-vendor-key-secret`; not `secretId`. */
const secretNamePattern =
  /(?:authorization|cookie|password|secret|token|bearer|credential|(?:encryption|private)[-_]?key)s?$/i;

/** Deeper than this, nothing is logged at all. */
const depthMax = 5;

function maskSecrets(fields: Record<string, unknown>): Record<string, unknown> {
  return maskFields(fields, 0);
}

function maskFields(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      secretNamePattern.test(name) ? mask : maskValue(value, depth),
    ]),
  );
}

function maskValue(value: unknown, depth: number): unknown {
  if (Array.isArray(value)) return depth < depthMax ? value.map((item) => maskValue(item, depth + 1)) : mask;
  if (!isPlainObject(value)) return value;
  return depth < depthMax ? maskFields(value, depth + 1) : mask;
}

/** Errors and dates know how to be written. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** A cause of a cause of a cause says enough. */
const causeDepthMax = 3;

interface ErrorDescription {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: ErrorDescription;
}

/** What is logged of an error. Only these parts: libraries hang whole requests on their errors. */
function describeError(error: unknown, redact: Redact, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { type: typeof error, message: redact(String(error)) };
  return {
    type: error.name,
    message: redact(error.message),
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...(error.stack === undefined ? {} : { stack: redact(error.stack) }),
    ...(error.cause === undefined || depth >= causeDepthMax
      ? {}
      : { cause: describeError(error.cause, redact, depth + 1) }),
  };
}
