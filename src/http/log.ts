import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import type { Product } from '../products/product.js';
import { createRedact, mask, type Redact } from './redact.js';

export interface LogOptions {
  /** One of pino's levels, or `silent`. */
  readonly level: string;
  /** Products whose secrets are recognised by their form. */
  readonly products?: readonly Product[];
  /** Default: standard output. */
  readonly destination?: DestinationStream;
}

/**
 * The server's log: JSON lines with ISO times. Fields with the name of a secret, and secrets in the text of
 * an error, are masked.
 */
export function createLog({ level, products = [], destination }: LogOptions): Logger {
  const redact = createRedact(products);
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // pino's own `redact` needs the path of each field, and its wildcards cost more than the rest of a log
    // line.
    formatters: { log: maskSecrets },
    serializers: { err: (error: unknown) => describeError(error, redact) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/**
 * Field names that end like this contain secrets: `authorization`, `signingSecret`, `set-cookie`,
 * `x-vendor-key-secret`; not `secretId`.
 */
const secretNamePattern =
  /(?:authorization|cookie|password|secret|token|bearer|credential|(?:encryption|private)[-_]?key)s?$/i;

/** Deeper values are masked. */
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

/** Errors and dates have their own serialization. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** How many causes of an error are logged. */
const causeDepthMax = 3;

interface ErrorDescription {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: ErrorDescription;
}

/** The logged parts of an error. No others: libraries attach whole requests to their errors. */
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
