import { expect } from 'vitest';
import type { VerificationCode } from '../generated/graphql.js';

/** Complete responses, so that a test states only what is special about its own. */

/** A verification that accepts a key. */
export function allowed(apiKey: { id: string }, workspaceId: string, rest: Record<string, unknown> = {}) {
  return {
    valid: true,
    code: 'VALID',
    rejection: null,
    apiKey: { id: apiKey.id, name: expect.any(String) },
    workspace: { id: workspaceId },
    billable: true,
    watermark: false,
    charge: null,
    rateLimits: [],
    headers: [],
    ...rest,
  };
}

/** The first, not replayed, charge of a verification. */
export function charged(credits: number, balanceAfter: number, rest: Record<string, unknown> = {}) {
  return { id: expect.any(String), credits, balanceAfter, replayed: false, state: 'POSTED', ...rest };
}

export interface Words {
  readonly status: number;
  readonly code: string | null;
  readonly message: string;
}

/** A verification that refuses, with the wording of the product. */
export function refused(code: VerificationCode, rejection: Words, rest: Record<string, unknown> = {}) {
  return {
    valid: false,
    code,
    rejection,
    apiKey: null,
    workspace: null,
    billable: false,
    watermark: false,
    charge: null,
    rateLimits: [],
    headers: [],
    ...rest,
  };
}

/** An HTTP response that refuses the whole request, with the wording of the product. */
export function refusedOverHttp(code: string, words: Words, headers: Record<string, string> = {}) {
  return { status: words.status, body: { errors: [failure(code, words)] }, headers };
}

/** An HTTP response that refuses the only field of a request, and thereby the request. */
export function fieldRefusedOverHttp(code: string, words: Words, field: string) {
  return { status: words.status, body: { errors: [failure(code, words, field)] }, headers: {} };
}

/** An error of a response. With a field, it also has the location in a document of one line. */
export function failure(code: string, { code: productCode, message }: Words, field?: string) {
  return {
    message,
    ...(field !== undefined && { locations: [{ line: 1, column: expect.any(Number) }], path: [field] }),
    extensions: { code, ...(productCode !== null && { productCode }), requestId: expect.any(String) },
  };
}
