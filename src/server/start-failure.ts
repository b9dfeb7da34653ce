import { StartError } from '../errors.js';

/**
 * Ends a process that could not start, with exit code 1. If the operator can fix the cause, the message says
 * how in one or two sentences.
 */
export function endWith(error: unknown): never {
  const message =
    error instanceof StartError ? error.message : `Tollkeeper failed with an unexpected error: ${describe(error)}`;
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
