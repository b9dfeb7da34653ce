import { newId } from '../../db/ids.js';
import { type Db, isUniqueViolation } from '../../db/transaction.js';
import { deceptiveCharacter, nameLengthMax } from '../access/input.js';

/** A user with a session or an external identity. */
export interface SignedInUser {
  readonly id: string;
  readonly name: string;
  /** The address for which the user can accept invitations. Null: the identity provider vouches for none. */
  readonly email: string | null;
}

/** A user of an external identity provider. */
export interface ExternalIdentity {
  readonly issuer: string;
  readonly subject: string;
  readonly name: string | null;
  /** The address that the provider vouches for now, in lower case; null: none. */
  readonly verifiedEmail: string | null;
}

interface ExternalUser {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly emailVerified: boolean;
}

const shown = { id: true, name: true, email: true, emailVerified: true } as const;

/**
 * Finds the user of an external identity, or creates it. Issuer and subject identify the user.
 *
 * The user's unique address is one that the provider vouched for and that no other user has, else a
 * placeholder. An address without proof would keep its owner from signing up. Users are never linked by
 * address, because the same address at another provider may belong to another person.
 */
export async function findOrCreateExternalUser(db: Db, identity: ExternalIdentity): Promise<SignedInUser> {
  const { verifiedEmail } = identity;
  const user =
    (await findExternalUser(db, identity)) ??
    (await tryCreate(db, identity, verifiedEmail)) ??
    // The address is in use, or a concurrent request created this user.
    (await findExternalUser(db, identity)) ??
    (await tryCreate(db, identity, null)) ??
    (await getExternalUser(db, identity));
  await updateEmail(db, user, verifiedEmail);
  return { id: user.id, name: user.name, email: verifiedEmail };
}

async function findExternalUser(db: Db, { issuer, subject }: ExternalIdentity): Promise<ExternalUser | null> {
  const account = await db.authAccount.findUnique({
    where: { providerId_accountId: { providerId: issuer, accountId: subject } },
    select: { user: { select: shown } },
  });
  return account?.user ?? null;
}

async function getExternalUser(db: Db, identity: ExternalIdentity): Promise<ExternalUser> {
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
  { issuer, subject, name }: ExternalIdentity,
  email: string | null,
): Promise<ExternalUser | null> {
  const id = newId('user');
  try {
    return await db.user.create({
      data: {
        id,
        name: name ?? 'Unnamed',
        email: email ?? placeholderOf(id),
        emailVerified: email !== null,
        accounts: { create: { id: newId('authAccount'), providerId: issuer, accountId: subject } },
      },
      select: shown,
    });
  } catch (error) {
    if (isUniqueViolation(error)) return null;
    throw error;
  }
}

function placeholderOf(userId: string): string {
  return `${userId}@identity.invalid`;
}

/**
 * Stores the address that the provider vouches for, unless another user has it. Without one, an address that
 * was vouched for before stays, and one that never was is replaced by the placeholder: processes of an
 * earlier release stored such addresses.
 */
async function updateEmail(
  db: Db,
  { id, email, emailVerified }: ExternalUser,
  verifiedEmail: string | null,
): Promise<void> {
  if (verifiedEmail !== null && (email !== verifiedEmail || !emailVerified)) await storeEmail(db, id, verifiedEmail);
  if (verifiedEmail === null && !emailVerified && email !== placeholderOf(id)) {
    await db.user.update({ where: { id }, data: { email: placeholderOf(id) }, select: { id: true } });
  }
}

async function storeEmail(db: Db, userId: string, email: string): Promise<void> {
  try {
    // The condition saves the failed write in each request of a user whose address another user has.
    await db.$executeRaw`
      UPDATE "User" SET "email" = ${email}, "emailVerified" = true, "updatedAt" = now()
      WHERE "id" = ${userId} AND NOT EXISTS (SELECT 1 FROM "User" o WHERE o."email" = ${email} AND o."id" <> ${userId})`;
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
  }
}

const emailPattern = /^[^\s@\p{Cc}]{1,64}@[^\s@\p{Cc}]{1,255}$/u;

/**
 * Reads the standard claims of OpenID Connect Core 1.0, 5.1. An invalid name or address is ignored, and so is
 * an address without `email_verified: true`.
 */
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
    verifiedEmail: claims.email_verified === true && emailPattern.test(email) ? email : null,
  };
}

function readName(claim: unknown): string | null {
  if (typeof claim !== 'string') return null;
  const name = [...claim.replaceAll(new RegExp(deceptiveCharacter, 'gu'), ' ').trim()].slice(0, nameLengthMax).join('');
  return name === '' ? null : name;
}
