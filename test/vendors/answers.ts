import { expect } from 'vitest';
import type { VerificationCode } from '../generated/graphql.js';

/** Whole answers of this server, so that a test states only what is special about one. */

/** A verification that lets a key through. */
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

/** A charge as a verification shows it the first time. */
export function charged(credits: number, balanceAfter: number, rest: Record<string, unknown> = {}) {
  return { id: expect.any(String), credits, balanceAfter, replayed: false, state: 'POSTED', ...rest };
}

export interface Words {
  readonly status: number;
  readonly code: string | null;
  readonly message: string;
}

/** A verification that refuses, in the product's words. */
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

/** An answer over HTTP that refuses the whole request, in the product's words. */
export function refusedOverHttp(code: string, words: Words, headers: Record<string, string> = {}) {
  return { status: words.status, body: { errors: [failure(code, words)] }, headers };
}

/** An answer over HTTP that refuses one field, and with it the whole request, since nothing else was asked for. */
export function fieldRefusedOverHttp(code: string, words: Words, field: string) {
  return { status: words.status, body: { errors: [failure(code, words, field)] }, headers: {} };
}

/** An error of an answer, with its place in a document of one line where it is about a field. */
export function failure(code: string, { code: productCode, message }: Words, field?: string) {
  return {
    message,
    ...(field !== undefined && { locations: [{ line: 1, column: expect.any(Number) }], path: [field] }),
    extensions: { code, ...(productCode !== null && { productCode }), requestId: expect.any(String) },
  };
}
