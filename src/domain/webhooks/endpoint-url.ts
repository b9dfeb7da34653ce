import { isIP } from 'node:net';
import { ValidationError } from '../../errors.js';
import { isPublicAddress } from './address.js';

const urlLengthMax = 2_000;

/**
 * The address of an endpoint, written as it is called: the URL standard turns decimal, octal and hexadecimal hosts into the addresses
 * that they are. A name is judged when it is called, on what it then resolves to.
 * @throws ValidationError for anything but https without credentials, and for an address that is not public
 */
export function parseEndpointUrl(field: string, text: string, allowsPrivate: boolean): string {
  if (text.length > urlLengthMax) throw new ValidationError(field, `A URL has at most ${urlLengthMax} characters.`);
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !(url.protocol === 'https:' || (allowsPrivate && url.protocol === 'http:'))) {
    throw new ValidationError(field, 'An endpoint is a URL that begins with https://.');
  }
  if (url.username !== '' || url.password !== '') {
    throw new ValidationError(
      field,
      'A URL must not contain a name or a password. Deliveries are signed: verify the signature.',
    );
  }
  if (url.href.length > urlLengthMax) throw new ValidationError(field, `A URL has at most ${urlLengthMax} characters.`);
  const address = addressOf(url);
  if (!allowsPrivate && address !== null && !isPublicAddress(address)) {
    throw new ValidationError(field, 'An endpoint must have a public address.');
  }
  url.hash = '';
  return url.href;
}

/** The address that stands in the place of a name; null for a name. */
export function addressOf({ hostname }: URL): string | null {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? null : bare;
}
