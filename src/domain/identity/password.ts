import { ValidationError } from '../../errors.js';
import { commonPasswords } from './common-passwords.js';

/** Minimum length of a password, in characters (NIST SP 800-63B, 3.1.1.2, asks for at least 8). */
export const passwordLengthMin = 10;
/** Maximum length of a password, in characters. */
export const passwordLengthMax = 128;

/**
 * Checks a new password: 10 to 128 characters, no control characters, none of the 10,000 most common.
 * Passwords that are already in use are not checked again.
 * @throws ValidationError with the rule that failed. It does not repeat the password.
 */
export function requireAcceptablePassword(field: string, password: string): void {
  const { length } = [...password];
  if (length < passwordLengthMin) {
    throw new ValidationError(field, `A password must have at least ${passwordLengthMin} characters.`);
  }
  if (length > passwordLengthMax) {
    throw new ValidationError(field, `A password must have at most ${passwordLengthMax} characters.`);
  }
  if (/\p{Cc}|\p{Cs}/u.test(password)) {
    throw new ValidationError(field, 'A password must not contain control characters.');
  }
  if (commonPasswords.has(password.trim().toLowerCase())) {
    throw new ValidationError(field, 'This password is one of the 10,000 most common ones. Choose another one.');
  }
}
