import { newId } from '../../db/ids.js';
import { isUniqueViolation } from '../../db/transaction.js';
import type { SignedInUser } from '../../http/principals/session.js';
import { nameLengthMax } from '../access/input.js';
import type { Deps } from '../deps.js';

/** Whom an identity provider vouches for. */
export interface OutsideIdentity {
  readonly issuer: string;
  readonly subject: string;
  readonly name: string | null;
  readonly email: string | null;
  readonly emailVerified: boolean;
}

/**
 * The person behind an outside identity, made on first sight. Issuer and subject alone decide who it is: an address that
 * somebody else already has is not taken over, since whoever controls an address at one place need not be whom it names
 * at another. Such a person gets a placeholder, as does one without an address.
 */
export async function findOrCreateOutsideUser(
  { db }: Pick<Deps, 'db'>,
  identity: OutsideIdentity,
): Promise<SignedInUser> {
  return (
    (await findOutsideUser({ db }, identity)) ??
    (await tryCreate({ db }, identity, identity.email)) ??
    // Somebody has the address, or made this very user a moment ago.
    (await findOutsideUser({ db }, identity)) ??
    (await tryCreate({ db }, identity, null)) ??
    (await getOutsideUser({ db }, identity))
  );
}

async function findOutsideUser(
  { db }: Pick<Deps, 'db'>,
  { issuer, subject }: OutsideIdentity,
): Promise<SignedInUser | null> {
  const account = await db.authAccount.findUnique({
    where: { providerId_accountId: { providerId: issuer, accountId: subject } },
    select: { user: { select: { id: true, name: true, email: true } } },
  });
  return account?.user ?? null;
}

async function getOutsideUser(deps: Pick<Deps, 'db'>, identity: OutsideIdentity): Promise<SignedInUser> {
  const user = await findOutsideUser(deps, identity);
  if (user === null) throw new Error('An outside identity could neither be found nor made.');
  return user;
}

/** Makes user and account in one statement's transaction. Null where a unique index refuses: the address or the identity is taken. */
async function tryCreate(
  { db }: Pick<Deps, 'db'>,
  { issuer, subject, name, emailVerified }: OutsideIdentity,
  email: string | null,
): Promise<SignedInUser | null> {
  const id = newId('user');
  try {
    return await db.user.create({
      data: {
        id,
        name: name ?? 'Unnamed',
        email: email ?? `${id}@identity.invalid`,
        emailVerified: email !== null && emailVerified,
        accounts: { create: { id: newId('authAccount'), providerId: issuer, accountId: subject } },
      },
      select: { id: true, name: true, email: true },
    });
  } catch (error) {
    if (isUniqueViolation(error)) return null;
    throw error;
  }
}

const emailPattern = /^[^\s@\p{Cc}]{1,64}@[^\s@\p{Cc}]{1,255}$/u;

/** Reads the claims of OpenID Connect Core, 5.1. What is no name or no address counts as absent. */
export function readOutsideIdentity(
  issuer: string,
  subject: string,
  claims: Readonly<Record<string, unknown>>,
): OutsideIdentity {
  const email = typeof claims.email === 'string' ? claims.email.trim().toLowerCase() : '';
  return {
    issuer,
    subject,
    name: readName(claims.name) ?? readName(claims.preferred_username),
    email: emailPattern.test(email) ? email : null,
    emailVerified: claims.email_verified === true,
  };
}

function readName(claim: unknown): string | null {
  if (typeof claim !== 'string') return null;
  const name = [...claim.replaceAll(/[\p{Cc}\p{Cs}]/gu, ' ').trim()].slice(0, nameLengthMax).join('');
  return name === '' ? null : name;
}
