import { ValidationError } from '../../errors.js';

/** Maximum length of a name, in characters. */
export const nameLengthMax = 100;
/** Maximum length of a reason, in characters. A reason is a note for people. */
export const reasonLengthMax = 500;
/** Maximum length of an idempotency key, in characters. */
export const idempotencyKeyLengthMax = 255;
/** Maximum number of credits: GraphQL `Int` and PostgreSQL `integer` have 32 bits. */
export const creditsMax = 2_147_483_647;

/**
 * Characters by which one name can be made to look like another: control characters, those that change the
 * direction of text, and invisible ones (Unicode, Bidi_Control and Default_Ignorable_Code_Point; UTS 39).
 */
export const deceptiveCharacter =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]|(?!\u200c|\u200d|[\ufe00-\ufe0f])\p{Default_Ignorable_Code_Point}/u;

/** Emoji and some scripts need joiners and variation selectors, within a word and one at a time. */
const misplacedJoiner = /(?<!\S)(?:\u200c|\u200d|[\ufe00-\ufe0f])|(?:\u200c|\u200d)(?:\u200c|\u200d|(?!\S))/u;

/**
 * Parses a display name: trimmed, 1 to 100 characters, no control, invisible or direction-changing
 * characters.
 * @throws ValidationError
 */
export function parseName(field: string, value: string): string {
  const name = value.trim();
  if (name.length === 0) throw new ValidationError(field, 'A name must not be empty.');
  if ([...name].length > nameLengthMax) {
    throw new ValidationError(field, `A name must have at most ${nameLengthMax} characters.`);
  }
  if (deceptiveCharacter.test(name) || misplacedJoiner.test(name)) {
    throw new ValidationError(
      field,
      'A name must not contain control characters, invisible characters, or characters that change the direction of text.',
    );
  }
  return name;
}

/**
 * Parses a reason: trimmed, at most 500 characters. An empty reason becomes null.
 * @throws ValidationError
 */
export function parseReason(field: string, value: string | null | undefined): string | null {
  const reason = value?.trim() ?? '';
  if (reason.length > reasonLengthMax) {
    throw new ValidationError(field, `A reason must have at most ${reasonLengthMax} characters.`);
  }
  if (reason.includes('\0') || /\p{Cs}/u.test(reason)) {
    throw new ValidationError(field, 'A reason must not contain the NUL character or half of a surrogate pair.');
  }
  return reason === '' ? null : reason;
}

/** Parses an idempotency key: 1 to 255 printable ASCII characters without spaces. @throws ValidationError */
export function parseIdempotencyKey(field: string, value: string | null | undefined): string | null {
  if (value === null || value === undefined) return null;
  if (!/^[\x21-\x7e]{1,255}$/.test(value)) {
    throw new ValidationError(
      field,
      `An idempotency key must have 1 to ${idempotencyKeyLengthMax} printable ASCII characters without spaces, such as a UUID.`,
    );
  }
  return value;
}

/** Parses a number of credits: an integer of at least 1. @throws ValidationError */
export function parseCredits(field: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > creditsMax) {
    throw new ValidationError(field, `Credits must be a whole number from 1 to ${creditsMax}.`);
  }
  return value;
}

/** Parses a time in the future, before the year 10000. @throws ValidationError */
export function parseFutureTime(field: string, value: Date, now: Date): Date {
  if (Number.isNaN(value.getTime()) || value <= now) {
    throw new ValidationError(field, 'The time must be in the future.');
  }
  if (value.getUTCFullYear() > 9999) throw new ValidationError(field, 'The time must be before the year 10000.');
  return value;
}

/** Maximum length of a list of permissions: more than exist. */
const permissionsMax = 100;

/** Limits the length of a list of permissions, before each of them is checked. @throws ValidationError */
export function requirePermissionCount(field: string, permissions: readonly string[]): void {
  if (permissions.length > permissionsMax) {
    throw new ValidationError(field, `A list of permissions must have at most ${permissionsMax} items.`);
  }
}

const emailPattern = /^[^\s@"(),:;<>[\]\\\p{Cc}]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/u;

/** Parses an e-mail address, and converts it to lower case. @throws ValidationError */
export function parseEmail(field: string, value: string): string {
  const email = value.trim().toLowerCase();
  if (!emailPattern.test(email) || email.length > 254) {
    throw new ValidationError(field, 'This is not a valid e-mail address. Use the form name@example.com.');
  }
  return email;
}

/** Maximum number of allowed origins of one key. */
export const allowedOriginsMax = 50;

/**
 * Parses origins as RFC 6454 serialises them: scheme, host and port, no path. Removes duplicates.
 * @throws ValidationError
 */
export function parseOrigins(field: string, values: readonly string[]): string[] {
  if (values.length > allowedOriginsMax) {
    throw new ValidationError(field, `A key must have at most ${allowedOriginsMax} allowed origins.`);
  }
  return [...new Set(values.map((value, index) => parseOrigin(`${field}.${index}`, value)))];
}

/**
 * Parses one origin, `scheme://host[:port]`.
 * @throws ValidationError, also for patterns with `*`, which would match no origin
 */
export function parseOrigin(field: string, value: string): string {
  if (value.length > 255 || !/^https?:\/\/[^\s/?#@\\*]+\/?$/i.test(value) || !URL.canParse(value)) {
    throw new ValidationError(field, 'An origin must have the form https://host or https://host:port, without a path.');
  }
  return new URL(value).origin;
}
