import { ValidationError } from '../../errors.js';
import type { Product, Products } from '../../products/product.js';
import type { Origins } from '../origins.js';
import { type RequestHead, readHeader, readMediaType } from '../request-scope.js';

/**
 * The credential of a request. `unusable`: present but malformed, with the product whose wording applies, if
 * it is known.
 */
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

/** Room for the tokens of an identity provider, which can contain a list of groups. Keys are far shorter. */
const authorizationLengthMax = 8_192;
const pairPartLengthMax = 512;
const cookieLengthMax = 4_096;

/** The scheme in any case (RFC 9110, 11.1), and a token. */
const schemePattern = /^bearer +(.+)$/i;
/**
 * RFC 6750, 2.1, and % as in a session token copied from a cookie. No comma: Node joins a second header with
 * one.
 */
const tokenPattern = /^[A-Za-z0-9._~+/%-]+=*$/;

/**
 * Reads the credential of a request, and checks only its form. A cookie counts only if there is no other
 * credential.
 * @throws ValidationError for two credentials at once: the client could not tell which one acted.
 */
export function readCredential(
  request: RequestHead,
  { products, origins, cookieName }: { products: Products; origins: Origins; cookieName: string },
): PresentedCredential {
  const bearer = readAuthorization(request);
  const pairs = readPairs(request, products);
  if (pairs.length + (bearer === null ? 0 : 1) > 1) {
    throw new ValidationError(
      'headers',
      'Send one credential: an Authorization header or the headers of a key, not both.',
    );
  }
  return bearer ?? pairs[0] ?? readCookie(request, origins, cookieName);
}

/**
 * Vendors that distinguish missing from invalid credentials treat a header without a bearer token as
 * missing.
 */
function readAuthorization(request: RequestHead): PresentedCredential | null {
  const value = readHeader(request, 'authorization');
  if (value === null) return null;
  const token = schemePattern.exec(value)?.[1];
  if (token === undefined) return { kind: 'unusable', product: null, code: 'MISSING_CREDENTIAL' };
  const isToken = value.length <= authorizationLengthMax && tokenPattern.test(token);
  return isToken ? { kind: 'bearer', token } : { kind: 'unusable', product: null, code: 'INVALID_CREDENTIAL' };
}

/** Products may share header names: these are read once, with the wording of the first product. */
function readPairs(request: RequestHead, products: Products): PresentedCredential[] {
  const presented: PresentedCredential[] = [];
  const namesRead: string[] = [];
  for (const product of products.all) {
    if (product.credential.transport !== 'headerPair') continue;
    const { keyIdHeader, secretHeader } = product.credential;
    const keyId = readHeader(request, keyIdHeader);
    const secret = readHeader(request, secretHeader);
    if (keyId === null && secret === null) continue;
    const names = `${keyIdHeader} ${secretHeader}`;
    if (namesRead.includes(names)) continue;
    namesRead.push(names);
    presented.push(readPair(product, keyId ?? '', secret ?? ''));
  }
  return presented;
}

/** Half a pair counts as a missing credential. */
function readPair(product: Product, keyId: string, secret: string): PresentedCredential {
  if (keyId === '' || secret === '') return { kind: 'unusable', product, code: 'MISSING_CREDENTIAL' };
  if (Math.max(keyId.length, secret.length) > pairPartLengthMax) {
    return { kind: 'unusable', product, code: 'INVALID_CREDENTIAL' };
  }
  return { kind: 'pair', keyId, secret };
}

/**
 * CSRF protection: browsers send cookies with requests of any site. In all other requests a cookie is
 * ignored.
 */
function readCookie(request: RequestHead, origins: Origins, cookieName: string): PresentedCredential {
  const cookie = readHeader(request, 'cookie');
  if (cookie === null || !hasCookie(cookie, cookieName)) return { kind: 'none' };
  // A form of any site can send a POST, but not JSON without a CORS preflight.
  const isReadOrJson = request.method === 'GET' || readMediaType(request) === 'application/json';
  if (!isReadOrJson || !isFromAllowedOrigin(request, origins)) return { kind: 'none' };
  return cookie.length > cookieLengthMax
    ? { kind: 'unusable', product: null, code: 'INVALID_CREDENTIAL' }
    : { kind: 'cookie', cookie };
}

/**
 * Whether a page of an allowed origin sent the request. Browsers send no `Origin` with a GET of the same
 * origin, but `Sec-Fetch-Site` (Fetch Metadata, 2.3), which pages cannot set. A GET changes nothing.
 */
export function isFromAllowedOrigin(request: RequestHead, origins: Origins): boolean {
  const origin = readHeader(request, 'origin');
  if (origin !== null) return origins.includes(origin);
  return request.method === 'GET' && readHeader(request, 'sec-fetch-site') === 'same-origin';
}

function hasCookie(cookie: string, name: string): boolean {
  return cookie.split(';').some((part) => part.trim().startsWith(`${name}=`));
}
