import { ValidationError } from '../../errors.js';
import type { Product, Products } from '../../products/product.js';
import { mediaType } from '../body.js';
import type { Origins } from '../origins.js';
import type { RequestHead } from '../request-head.js';

/** What a request presents of whoever makes it. `unusable` is present and cannot be right, in the words of a product where one is known. */
export type PresentedCredential =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'pair'; readonly keyId: string; readonly secret: string }
  | { readonly kind: 'cookie'; readonly cookie: string }
  | {
      readonly kind: 'unusable';
      readonly product: Product | null;
      readonly code: 'MISSING_CREDENTIAL' | 'INVALID_CREDENTIAL';
    };

/** Room for the tokens of an identity provider, which carry a list of groups; keys are far shorter. */
const authorizationLengthMax = 8_192;
const pairPartLengthMax = 512;
const cookieLengthMax = 4_096;

/** The scheme in any case (RFC 9110, 11.1), and something after it. */
const schemePattern = /^bearer +(.+)$/i;
/** RFC 6750, 2.1, and the % of a session token that was copied out of a cookie. One token: a second header arrives joined by a comma. */
const tokenPattern = /^[A-Za-z0-9._~+/%-]+=*$/;

/**
 * Reads what the request presents, and judges only its form. A cookie counts where nothing else is presented.
 * @throws ValidationError for two credentials at once: whoever sends both cannot tell which one acted.
 */
export function readCredential(
  request: RequestHead,
  { products, origins, cookieName }: { products: Products; origins: Origins; cookieName: string },
): PresentedCredential {
  const bearer = readAuthorization(request.headers);
  const pairs = readPairs(request.headers, products);
  if (pairs.length + (bearer === null ? 0 : 1) > 1) {
    throw new ValidationError(
      'headers',
      'Send one credential: an Authorization header or the headers of a key, not both.',
    );
  }
  return bearer ?? pairs[0] ?? readCookie(request, origins, cookieName);
}

/** A header without a bearer token is as good as none to the vendors that tell the two apart: they ask for `Authorization: Bearer`. */
function readAuthorization(headers: RequestHead['headers']): PresentedCredential | null {
  const value = headers.get('authorization');
  if (value === null) return null;
  const token = schemePattern.exec(value)?.[1];
  if (token === undefined) return { kind: 'unusable', product: null, code: 'MISSING_CREDENTIAL' };
  const isToken = value.length <= authorizationLengthMax && tokenPattern.test(token);
  return isToken ? { kind: 'bearer', token } : { kind: 'unusable', product: null, code: 'INVALID_CREDENTIAL' };
}

/** Products may share the names of their headers: those are read once, and the first of the products lends its words. */
function readPairs(headers: RequestHead['headers'], products: Products): PresentedCredential[] {
  const presented: PresentedCredential[] = [];
  const namesRead: string[] = [];
  for (const product of products.all) {
    if (product.credential.transport !== 'headerPair') continue;
    const { keyIdHeader, secretHeader } = product.credential;
    if (!headers.has(keyIdHeader) && !headers.has(secretHeader)) continue;
    const names = `${keyIdHeader} ${secretHeader}`;
    if (namesRead.includes(names)) continue;
    namesRead.push(names);
    presented.push(readPair(product, headers.get(keyIdHeader) ?? '', headers.get(secretHeader) ?? ''));
  }
  return presented;
}

/** Half a pair is no pair. */
function readPair(product: Product, keyId: string, secret: string): PresentedCredential {
  if (keyId === '' || secret === '') return { kind: 'unusable', product, code: 'MISSING_CREDENTIAL' };
  if (Math.max(keyId.length, secret.length) > pairPartLengthMax) {
    return { kind: 'unusable', product, code: 'INVALID_CREDENTIAL' };
  }
  return { kind: 'pair', keyId, secret };
}

/**
 * A browser sends cookies along with whatever any site makes it send. So a cookie counts only for what another site
 * cannot send without being asked first: JSON in a POST, from an origin that is allowed. Else it is as if it were not there.
 */
function readCookie(request: RequestHead, origins: Origins, cookieName: string): PresentedCredential {
  const cookie = request.headers.get('cookie');
  if (cookie === null || !hasCookie(cookie, cookieName)) return { kind: 'none' };
  const isOwn =
    request.method === 'POST' &&
    mediaType(request) === 'application/json' &&
    origins.includes(request.headers.get('origin'));
  if (!isOwn) return { kind: 'none' };
  return cookie.length > cookieLengthMax
    ? { kind: 'unusable', product: null, code: 'INVALID_CREDENTIAL' }
    : { kind: 'cookie', cookie };
}

function hasCookie(cookie: string, name: string): boolean {
  return cookie.split(';').some((part) => part.trim().startsWith(`${name}=`));
}
