import { isIP } from 'node:net';
import { ValidationError } from '../../errors.js';
import { type AddressPolicy, describeAddress } from './address.js';

const urlLengthMax = 2_000;

/**
 * Validates and normalizes the URL of an endpoint. The URL standard turns decimal, octal and hexadecimal
 * hosts into addresses. A host name is checked when it is called, on the addresses that it then resolves to.
 * @throws ValidationError unless it is https without credentials and, if the host is an address, an allowed
 *   one
 */
export function parseEndpointUrl(field: string, text: string, addresses: AddressPolicy): string {
  if (text.length > urlLengthMax)
    throw new ValidationError(field, `The URL of an endpoint must have at most ${urlLengthMax} characters.`);
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !(url.protocol === 'https:' || (addresses.allowsPrivate && url.protocol === 'http:'))) {
    throw new ValidationError(field, 'The URL of an endpoint must begin with https://.');
  }
  if (url.username !== '' || url.password !== '') {
    throw new ValidationError(
      field,
      'The URL of an endpoint must not contain a user name or password. Verify the signature of deliveries instead.',
    );
  }
  if (url.href.length > urlLengthMax)
    throw new ValidationError(field, `The URL of an endpoint must have at most ${urlLengthMax} characters.`);
  const address = addressOf(url);
  if (address !== null && !addresses.isAllowed(address)) {
    throw new ValidationError(
      field,
      `The URL of an endpoint must have a public address, and this one is ${describeAddress(address)}. The operator can allow networks with TOLLKEEPER_WEBHOOKS_ALLOW.`,
    );
  }
  url.hash = '';
  return url.href;
}

/** The address if the host is an address; null if it is a name. */
export function addressOf({ hostname }: URL): string | null {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? null : bare;
}
