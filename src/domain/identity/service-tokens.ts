import { randomInt } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.js';
import { newId } from '../../db/ids.js';
import { type Db, type Tx, transaction } from '../../db/transaction.js';
import { NotFoundError, ValidationError } from '../../errors.js';
import type { ServiceToken } from '../../generated/prisma/client.js';
import { parseName } from '../access/input.js';
import type { ServicePrincipal } from '../access/principal.js';
import { hashSecret, hashSecretHex, previewSecret } from '../access/secret-hash.js';
import { type AuditActor, recordAudit, systemActor } from '../audit/record.js';

const tokenPattern = /^tks_[A-Za-z0-9]{32,200}$/;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const generatedLength = 43;

/** Whether a token has the form of a service token: `tks_` and at least 32 letters and digits. */
export function looksLikeServiceToken(token: string): boolean {
  return tokenPattern.test(token);
}

/** For how long a valid token is trusted without a look-up: a revocation takes effect after this time at the latest. */
const trustMs = 1_000;
const trustedMax = 1_000;

type Found = ServicePrincipal | null;

/** Finds the service that holds a token, or null for an unknown or revoked one; synchronously where the token is still trusted. */
export type FindService = (token: string) => Found | Promise<Found>;

/**
 * Makes the function that finds services. A backend sends the same token with every request, thousands of them a second, so one
 * look-up serves a second of them, and concurrent requests share it. Unknown tokens are not remembered.
 */
export function createServiceFinder(db: Db): FindService {
  const trusted = new LRUCache<string, ServicePrincipal>({
    max: trustedMax,
    ttl: trustMs,
    // A token that makes room for others while it is looked up is answered all the same.
    ignoreFetchAbort: true,
    async fetchMethod(hash, _stale, { options }) {
      const startedAt = performance.now();
      const principal = await findByHash(db, Buffer.from(hash, 'hex'));
      // The answer is as old as the question.
      options.ttl = Math.max(1, trustMs - (performance.now() - startedAt));
      return principal ?? undefined;
    },
  });
  return (token) => {
    if (!looksLikeServiceToken(token)) return null;
    const hash = hashSecretHex(token);
    return trusted.get(hash) ?? trusted.fetch(hash).then((principal) => principal ?? null);
  };
}

async function findByHash(db: Db, hash: Uint8Array<ArrayBuffer>): Promise<Found> {
  const found = await db.serviceToken.findUnique({ where: { hash } });
  return found === null || found.revokedAt !== null ? null : { kind: 'service', serviceTokenId: found.id };
}

/** Makes a token. The plaintext is returned once and not stored. */
export function createServiceToken(
  db: Db,
  name: string,
  actor: AuditActor = systemActor,
): Promise<{ serviceToken: ServiceToken; token: string }> {
  return transaction(db, (tx) => makeServiceToken(tx, name, actor));
}

async function makeServiceToken(
  tx: Tx,
  name: string,
  actor: AuditActor,
): Promise<{ serviceToken: ServiceToken; token: string }> {
  const token = `tks_${Array.from({ length: generatedLength }, () => alphabet[randomInt(alphabet.length)]).join('')}`;
  return { serviceToken: await insertServiceToken(tx, name, token, actor), token };
}

/** Makes a token where no token can be used, so that a new server has one. Of several processes that start at once, one makes it. @returns its plaintext, or null where none was needed */
export function createFirstServiceToken(db: Db, name: string): Promise<string | null> {
  return transaction(
    db,
    async (tx) => {
      const usable = await tx.serviceToken.findFirst({ where: { revokedAt: null }, select: { id: true } });
      return usable === null ? (await makeServiceToken(tx, name, systemActor)).token : null;
    },
    // Two that find none would both make one; so one of them is undone, and looks again.
    { isolationLevel: 'Serializable' },
  );
}

/** Makes a given token known. Registering it again changes nothing; a revoked one stays revoked. @throws ValidationError */
export function registerServiceToken(db: Db, name: string, token: string): Promise<ServiceToken> {
  return transaction(db, (tx) => insertServiceToken(tx, name, token, systemActor));
}

async function insertServiceToken(tx: Tx, name: string, token: string, actor: AuditActor): Promise<ServiceToken> {
  if (!looksLikeServiceToken(token)) {
    throw new ValidationError('token', 'A service token is tks_ and at least 32 letters and digits.');
  }
  const hash = hashSecret(token);
  const { count } = await tx.serviceToken.createMany({
    data: [{ id: newId('serviceToken'), name: parseName('name', name), hash, preview: previewSecret(token) }],
    skipDuplicates: true,
  });
  const serviceToken = await tx.serviceToken.findUniqueOrThrow({ where: { hash } });
  if (count > 0) {
    await recordAudit(tx, actor, {
      workspaceId: null,
      action: 'serviceToken.created',
      subjectId: serviceToken.id,
      after: { name: serviceToken.name, preview: serviceToken.preview },
    });
  }
  return serviceToken;
}

/** Ends a token. Ending it twice is not an error: the first time stands. @throws NotFoundError */
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
