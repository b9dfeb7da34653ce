import { expect } from 'vitest';
import type { Ended } from './server-process.js';

/** The error message: a single sentence without a stack trace, with exit code 1 and no other output. */
export function refusalOf({ code, stdout, stderr }: Ended): string {
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^[A-Z][^\n]*\.\n$/);
  expect(stderr).not.toMatch(/\bat (async )?\S+ \(|node:internal|\.js:\d+/);
  return stderr.trimEnd();
}
