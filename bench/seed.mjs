import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';

const dist = new URL('../dist/', import.meta.url);
const { newId } = await import(new URL('db/ids.js', dist).href);
const { hashSecret, previewSecret } = await import(new URL('domain/access/secret-hash.js', dist).href);
const { generateSecret, secretLength } = await import(new URL('products/secret-format.js', dist).href);
const { loadProducts } = await import(new URL('products/load.js', dist).href);

export const productPath = new URL('./product.yaml', import.meta.url).pathname;
const { primary: product } = await loadProducts([productPath]);
const format = product.credential.secrets.LIVE;

/** Credits of each workspace: close to the maximum, so that no charge of a run is refused. */
const credits = 2_000_000_000;
const rowsPerStatement = 10_000;

/**
 * Fills a migrated database with workspaces and keys, and writes the keys' secrets to a file, one after the
 * other. The rows are the same as those that the server writes.
 * @param {(text: string, values: unknown[]) => Promise<unknown>} query
 * @param {{ keys: number, workspaces: number }} wanted
 * @param {string} file for the secrets
 * @returns {Promise<import('./load/generator.mjs').Population>}
 */
export async function seed(query, { keys, workspaces }, file) {
  const workspaceIds = Array.from({ length: workspaces }, () => newId('workspace'));
  for (const ids of chunks(workspaceIds)) {
    await query(
      `INSERT INTO "Workspace" ("id", "kind", "name") SELECT id, 'ORGANIZATION', 'Bench' FROM unnest($1::text[]) AS i(id)`,
      [ids],
    );
    await query(
      `INSERT INTO "CreditAccount" ("workspaceId", "balance") SELECT id, $2 FROM unnest($1::text[]) AS i(id)`,
      [ids, credits],
    );
    await query(
      `INSERT INTO "LedgerEntry" ("workspaceId", "kind", "credits", "balanceAfter", "heldAfter", "reason")
       SELECT id, 'GRANT', $2, $2, 0, 'for the bench' FROM unnest($1::text[]) AS i(id)`,
      [ids, credits],
    );
  }
  const secretsFile = createWriteStream(file, { mode: 0o600 });
  for (const indexes of chunks(Array.from({ length: keys }, (_, index) => index))) {
    const secrets = indexes.map(() => generateSecret(format, pooledBytes));
    const keyIds = indexes.map(() => newId('apiKey'));
    const owners = indexes.map((index) => workspaceIds[index % workspaces]);
    await query(
      `INSERT INTO "ApiKey" ("id", "workspaceId", "product", "environment", "name", "permissions", "allowedOrigins", "createdByKind")
       SELECT id, owner, $3, 'LIVE', 'Bench', $4::text[], '{}', 'SERVICE' FROM unnest($1::text[], $2::text[]) AS i(id, owner)`,
      [keyIds, owners, product.slug, Object.keys(product.permissions)],
    );
    await query(
      `INSERT INTO "KeySecret" ("id", "workspaceId", "apiKeyId", "hash", "preview")
       SELECT id, owner, key, decode(hash, 'hex'), preview
       FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS i(id, owner, key, hash, preview)`,
      [
        indexes.map(() => newId('keySecret')),
        owners,
        keyIds,
        secrets.map((secret) => Buffer.from(hashSecret(secret)).toString('hex')),
        secrets.map(previewSecret),
      ],
    );
    secretsFile.write(secrets.join(''));
  }
  secretsFile.end();
  await finished(secretsFile);
  return { file, secretLength: secretLength(format) };
}

/** @template T @param {T[]} items */
function* chunks(items) {
  for (let at = 0; at < items.length; at += rowsPerStatement) yield items.slice(at, at + rowsPerStatement);
}

let pool = randomBytes(65_536);
let used = 0;

/** Random bytes from a pool: a million keys need them two million times. @param {number} size */
function pooledBytes(size) {
  if (used + size > pool.length) {
    pool = randomBytes(pool.length);
    used = 0;
  }
  used += size;
  return pool.subarray(used - size, used);
}
