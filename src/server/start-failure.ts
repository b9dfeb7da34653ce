import { StartError } from '../errors.js';

/** Ends a process that could not start: says why in one or two sentences where the operator can mend it, and exits with 1. */
export function endWith(error: unknown): never {
  const message =
    error instanceof StartError
      ? error.message
      : `Tollkeeper failed in a way that it did not expect: ${describe(error)}`;
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
