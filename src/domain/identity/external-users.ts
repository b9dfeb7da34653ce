import { newId } from '../../db/ids.js';
import { type Db, isUniqueViolation } from '../../db/transaction.js';
import { deceptiveCharacter, nameLengthMax } from '../access/input.js';

/** A user with a session or an external identity. */
export interface SignedInUser {
  readonly id: string;
  readonly name: string;
  readonly email: string;
}

/** A user of an external identity provider. */
export interface ExternalIdentity {
  readonly issuer: string;
  readonly subject: string;
  readonly name: string | null;
  readonly email: string | null;
  readonly emailVerified: boolean;
}

/**
 * Finds the user of an external identity, or creates it. Issuer and subject identify the user. If another
 * user has the same e-mail address, the new user gets a placeholder address, because the same address at
 * another provider may belong to another person. A user without an address gets a placeholder too.
 */
export async function findOrCreateExternalUser(db: Db, identity: ExternalIdentity): Promise<SignedInUser> {
  return (
    (await findExternalUser(db, identity)) ??
    (await tryCreate(db, identity, identity.email)) ??
    // The address is in use, or a concurrent request created this user.
    (await findExternalUser(db, identity)) ??
    (await tryCreate(db, identity, null)) ??
    (await getExternalUser(db, identity))
  );
}

async function findExternalUser(db: Db, { issuer, subject }: ExternalIdentity): Promise<SignedInUser | null> {
  const account = await db.authAccount.findUnique({
    where: { providerId_accountId: { providerId: issuer, accountId: subject } },
    select: { user: { select: { id: true, name: true, email: true } } },
  });
  return account?.user ?? null;
}

async function getExternalUser(db: Db, identity: ExternalIdentity): Promise<SignedInUser> {
  const user = await findExternalUser(db, identity);
  if (user === null) throw new Error('The user of an external identity was neither found nor created.');
  return user;
}

/**
 * Creates user and account in one transaction.
 * @returns null if a unique index refuses: the address or the identity is in use
 */
async function tryCreate(
  db: Db,
  { issuer, subject, name, emailVerified }: ExternalIdentity,
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

/** Reads the standard claims of OpenID Connect Core 1.0, 5.1. An invalid name or address is ignored. */
export function readExternalIdentity(
  issuer: string,
  subject: string,
  claims: Readonly<Record<string, unknown>>,
): ExternalIdentity {
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
  const name = [...claim.replaceAll(new RegExp(deceptiveCharacter, 'gu'), ' ').trim()].slice(0, nameLengthMax).join('');
  return name === '' ? null : name;
}
