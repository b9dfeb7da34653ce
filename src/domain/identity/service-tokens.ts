import { randomInt } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.js';
import { newId } from '../../db/ids.js';
import { type Db, type Tx, transaction } from '../../db/transaction.js';
import { NotFoundError, ValidationError } from '../../errors.js';
import type { ServiceToken } from '../../generated/prisma/client.js';
import { parseName } from '../access/input.js';
import { type Permission, servicePermissions } from '../access/permissions.js';
import type { ServicePrincipal } from '../access/principal.js';
import { hashSecret, hashSecretHex, previewSecret } from '../access/secret-hash.js';
import { type AuditActor, recordAudit, systemActor } from '../audit/record.js';

const tokenPattern = /^tks_[A-Za-z0-9]{32,200}$/;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const generatedLength = 43;

/** Whether a token has the format of a service token: `tks_` and 32 to 200 letters and digits. */
export function hasServiceTokenFormat(token: string): boolean {
  return tokenPattern.test(token);
}

/** How long a valid token is cached. A revocation takes effect after this time at the latest. */
const cacheMs = 1_000;
const cachedTokensMax = 1_000;

type Found = ServicePrincipal | null;

/** Finds the principal of a service token; null: unknown or revoked. Synchronous for a cached token. */
export type FindService = (token: string) => Found | Promise<Found>;

/**
 * Creates the function that finds services. A backend sends the same token with thousands of requests per
 * second, so a look-up is cached for a second and shared by concurrent requests. Unknown tokens are not
 * cached.
 */
export function createServiceFinder(db: Db): FindService {
  const cached = new LRUCache<string, ServicePrincipal>({
    max: cachedTokensMax,
    ttl: cacheMs,
    // A token that is evicted during its look-up still gets the result.
    ignoreFetchAbort: true,
    async fetchMethod(hash, _stale, { options }) {
      const startedAt = performance.now();
      const principal = await findByHash(db, Buffer.from(hash, 'hex'));
      // The result is at most as fresh as the start of the look-up.
      options.ttl = Math.max(1, cacheMs - (performance.now() - startedAt));
      return principal ?? undefined;
    },
  });
  return (token) => {
    if (!hasServiceTokenFormat(token)) return null;
    const hash = hashSecretHex(token);
    return cached.get(hash) ?? cached.fetch(hash).then((principal) => principal ?? null);
  };
}

async function findByHash(db: Db, hash: Uint8Array<ArrayBuffer>): Promise<Found> {
  const found = await db.serviceToken.findUnique({ where: { hash } });
  if (found === null || found.revokedAt !== null) return null;
  return { kind: 'service', serviceTokenId: found.id, permissions: permissionsOf(found) };
}

function permissionsOf({ permissions }: Pick<ServiceToken, 'permissions'>): ReadonlySet<Permission> {
  return permissions.length === 0 ? servicePermissions : new Set(permissions as Permission[]);
}

/** @throws ValidationError for a permission that no service holds */
function parsePermissions(permissions: readonly string[]): string[] {
  for (const permission of permissions) {
    if (servicePermissions.has(permission as Permission)) continue;
    const known = [...servicePermissions].join(', ');
    throw new ValidationError(
      'permissions',
      `A service cannot hold the permission ${permission}. Use one of: ${known}.`,
    );
  }
  return [...new Set(permissions)].sort();
}

export interface ServiceTokenOptions {
  /** Default: the server itself. */
  readonly actor?: AuditActor;
  /** What the token may do. Default, and if empty: everything that a service may do. */
  readonly permissions?: readonly string[];
}

/** Creates a token. The plaintext is returned once and not stored. @throws ValidationError */
export function createServiceToken(
  db: Db,
  name: string,
  options: ServiceTokenOptions = {},
): Promise<{ serviceToken: ServiceToken; token: string }> {
  return transaction(db, (tx) => generateServiceToken(tx, name, options));
}

async function generateServiceToken(
  tx: Tx,
  name: string,
  options: ServiceTokenOptions,
): Promise<{ serviceToken: ServiceToken; token: string }> {
  const token = `tks_${Array.from({ length: generatedLength }, () => alphabet[randomInt(alphabet.length)]).join('')}`;
  return { serviceToken: await insertServiceToken(tx, name, token, options), token };
}

/**
 * Creates a token if no usable token exists, so that a new server has one. Of several processes that start
 * concurrently, only one creates it.
 * @returns the plaintext; null: a usable token exists
 */
export function createFirstServiceToken(db: Db, name: string): Promise<string | null> {
  return transaction(
    db,
    async (tx) => {
      const usable = await tx.serviceToken.findFirst({ where: { revokedAt: null }, select: { id: true } });
      return usable === null ? (await generateServiceToken(tx, name, {})).token : null;
    },
    // Two concurrent transactions could both find no token. PostgreSQL aborts one of them, and it is
    // retried.
    { isolationLevel: 'Serializable' },
  );
}

/**
 * Registers a given token. Registering it again changes nothing; a revoked token stays revoked.
 * @throws ValidationError
 */
export function registerServiceToken(db: Db, name: string, token: string): Promise<ServiceToken> {
  return transaction(db, (tx) => insertServiceToken(tx, name, token, {}));
}

async function insertServiceToken(
  tx: Tx,
  name: string,
  token: string,
  { actor = systemActor, permissions: given = [] }: ServiceTokenOptions,
): Promise<ServiceToken> {
  if (!hasServiceTokenFormat(token)) {
    throw new ValidationError('token', 'A service token must be tks_ followed by 32 to 200 letters and digits.');
  }
  const hash = hashSecret(token);
  const permissions = parsePermissions(given);
  const { count } = await tx.serviceToken.createMany({
    data: [
      { id: newId('serviceToken'), name: parseName('name', name), hash, preview: previewSecret(token), permissions },
    ],
    skipDuplicates: true,
  });
  const serviceToken = await tx.serviceToken.findUniqueOrThrow({ where: { hash } });
  if (count > 0) {
    await recordAudit(tx, actor, {
      workspaceId: null,
      action: 'serviceToken.created',
      subjectId: serviceToken.id,
      after: { name: serviceToken.name, preview: serviceToken.preview, permissions },
    });
  }
  return serviceToken;
}

/** Revokes a token. Revoking it again is not an error: the first revocation counts. @throws NotFoundError */
export function revokeServiceToken(
  db: Db,
  clock: Clock,
  actor: AuditActor,
  serviceTokenId: string,
): Promise<ServiceToken> {
  return transaction(db, async (tx) => {
    const revokedAt = clock();
    const { count } = await tx.serviceToken.updateMany({
      where: { id: serviceTokenId, revokedAt: null },
      data: { revokedAt },
    });
    const serviceToken = await tx.serviceToken.findUnique({ where: { id: serviceTokenId } });
    if (serviceToken === null) throw new NotFoundError('serviceTokenId', 'Service token not found.');
    if (count > 0) {
      const { name, preview } = serviceToken;
      await recordAudit(tx, actor, {
        workspaceId: null,
        action: 'serviceToken.revoked',
        subjectId: serviceTokenId,
        before: { name, preview, revokedAt: null },
        after: { name, preview, revokedAt: revokedAt.toISOString() },
      });
    }
    return serviceToken;
  });
}
