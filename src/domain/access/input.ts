import { ValidationError } from '../../errors.js';

/** The most characters of a name. */
export const nameLengthMax = 100;
/** The most characters of a reason, a note for people. */
export const reasonLengthMax = 500;
/** The most characters of an idempotency key. */
export const idempotencyKeyLengthMax = 255;
/** Credits are GraphQL Ints and PostgreSQL integers. */
export const creditsMax = 2_147_483_647;

/** A name for people: trimmed, 1 to 100 characters, none of them a control character. @throws ValidationError */
export function parseName(field: string, value: string): string {
  const name = value.trim();
  if (name.length === 0) throw new ValidationError(field, 'A name must not be empty.');
  if ([...name].length > nameLengthMax) {
    throw new ValidationError(field, `A name must have at most ${nameLengthMax} characters.`);
  }
  if (/\p{Cc}|\p{Cs}/u.test(name)) throw new ValidationError(field, 'A name must not contain control characters.');
  return name;
}

/** A reason for the record: trimmed, at most 500 characters; an empty one counts as none. @throws ValidationError */
export function parseReason(field: string, value: string | null | undefined): string | null {
  const reason = value?.trim() ?? '';
  if (reason.length > reasonLengthMax) {
    throw new ValidationError(field, `A reason must have at most ${reasonLengthMax} characters.`);
  }
  if (reason.includes('\0') || /\p{Cs}/u.test(reason)) throw new ValidationError(field, 'A reason must be plain text.');
  return reason === '' ? null : reason;
}

/** A key chosen by the client: 1 to 255 printable ASCII characters. @throws ValidationError */
export function parseIdempotencyKey(field: string, value: string | null | undefined): string | null {
  if (value === null || value === undefined) return null;
  if (!/^[\x21-\x7e]{1,255}$/.test(value)) {
    throw new ValidationError(
      field,
      `An idempotency key must have 1 to ${idempotencyKeyLengthMax} printable characters without spaces; a UUID is best.`,
    );
  }
  return value;
}

/** A whole number of credits of at least one. @throws ValidationError */
export function parseCredits(field: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > creditsMax) {
    throw new ValidationError(field, `Credits must be a whole number from 1 to ${creditsMax}.`);
  }
  return value;
}

/** A time that has not come yet. @throws ValidationError */
export function parseFutureTime(field: string, value: Date, now: Date): Date {
  if (Number.isNaN(value.getTime()) || value <= now) {
    throw new ValidationError(field, 'This must be a time in the future.');
  }
  if (value.getUTCFullYear() > 9999) throw new ValidationError(field, 'This must be before the year 10000.');
  return value;
}

/** The most permissions that one list names: more than there are. */
const permissionsMax = 100;

/** Refuses a list of permissions that is longer than any that means something. @throws ValidationError */
export function requireFewPermissions(field: string, permissions: readonly string[]): void {
  if (permissions.length > permissionsMax) {
    throw new ValidationError(field, `At most ${permissionsMax} permissions can be named at once.`);
  }
}

const emailPattern = /^[^\s@"(),:;<>[\]\\\p{Cc}]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/u;

/** An e-mail address in lower case. @throws ValidationError */
export function parseEmail(field: string, value: string): string {
  const email = value.trim().toLowerCase();
  if (!emailPattern.test(email) || email.length > 254) {
    throw new ValidationError(field, 'This is not an e-mail address.');
  }
  return email;
}

/** The most origins that one key is restricted to. */
export const allowedOriginsMax = 50;

/** Origins as RFC 6454 serialises them: scheme, host and port, no path. Duplicates collapse. @throws ValidationError */
export function parseOrigins(field: string, values: readonly string[]): string[] {
  if (values.length > allowedOriginsMax) {
    throw new ValidationError(field, `At most ${allowedOriginsMax} origins can be allowed.`);
  }
  return [...new Set(values.map((value, index) => parseOrigin(`${field}.${index}`, value)))];
}

/** One origin. @throws ValidationError for anything but scheme://host[:port]; a pattern with * is no origin, and would match none. */
export function parseOrigin(field: string, value: string): string {
  if (value.length > 255 || !/^https?:\/\/[^\s/?#@\\*]+\/?$/i.test(value) || !URL.canParse(value)) {
    throw new ValidationError(field, 'An origin has the form https://host or https://host:port, without a path.');
  }
  return new URL(value).origin;
}
