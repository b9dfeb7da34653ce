import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import type { Product } from '../products/product.js';
import { createRedact, type Redact } from './redact.js';

export interface LogOptions {
  /** One of pino's levels, or `silent`. */
  readonly level: string;
  /** Whose secrets to know by their form, and whose header names to keep out. */
  readonly products?: readonly Product[];
  /** Standard output unless told. */
  readonly destination?: DestinationStream;
}

/** Whatever stands under these names is a secret or may hold one. */
const secretNames = [
  'authorization',
  'cookie',
  'set-cookie',
  'set-auth-token',
  'password',
  'newPassword',
  'currentPassword',
  'token',
  'secret',
  'signingSecret',
  'bearer',
  'credential',
  'encryptionKey',
];

/** A cause of a cause of a cause says enough. */
const causeDepthMax = 3;

/** The server's log: JSON lines with ISO times. What bears the name of a secret, or the form of one in an error's text, is masked. */
export function createLog({ level, products = [], destination }: LogOptions): Logger {
  const redact = createRedact(products);
  const headerNames = products.flatMap(({ credential }) =>
    credential.transport === 'headerPair' ? [credential.secretHeader] : [],
  );
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: [...new Set([...secretNames, ...headerNames])].flatMap(pathsOf), censor: '[redacted]' },
    serializers: { err: (error: unknown) => describeError(error, redact) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** pino's wildcard stands for one level. */
function pathsOf(name: string): string[] {
  return [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`];
}

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
