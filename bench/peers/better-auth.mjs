// better-auth's API-key plugin: verifies a key and takes one of its remaining uses. The plugin's endpoint can
// only be called in process, so this file adds a minimal HTTP server.

import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { apiKey } from '@better-auth/api-key';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import pg from 'pg';
import { listen, readJson, sendJson, settings } from './settings.mjs';

const remaining = 2_000_000_000;
const database = new pg.Pool({ connectionString: settings.databaseUrl, max: settings.poolSize });
const auth = betterAuth({
  baseURL: 'http://127.0.0.1',
  secret: 'used by the bench only: it creates no sessions',
  database,
  telemetry: { enabled: false },
  logger: { disabled: true },
  emailAndPassword: { enabled: true },
  // Tollkeeper's product in the bench has no rate limits either.
  plugins: [apiKey({ rateLimit: { enabled: false } })],
});

const { runMigrations } = await getMigrations(auth.options);
await runMigrations();
await seed(readFileSync(settings.population.file, 'latin1'), settings.population.secretLength);

await listen(
  createServer((request, response) => {
    readJson(request, ({ key }) =>
      auth.api.verifyApiKey({ body: { key } }).then(
        (result) => sendJson(response, result),
        (error) => sendJson(response, { errors: [String(error)] }, 500),
      ),
    );
  }),
);

/** The plugin creates one key. The others are copies of its row, with their own secrets. */
async function seed(secrets, length) {
  const { user } = await auth.api.signUpEmail({
    body: { email: 'bench@example.com', name: 'Bench', password: randomUUID() },
  });
  const { id } = await auth.api.createApiKey({ body: { userId: user.id, name: 'bench', remaining } });
  const hashes = Array.from({ length: secrets.length / length }, (_, index) =>
    createHash('sha256')
      .update(secrets.slice(index * length, (index + 1) * length))
      .digest('base64url'),
  );
  await database.query(
    `INSERT INTO apikey SELECT (jsonb_populate_record(t, jsonb_build_object('id', i.id, 'key', i.hash))).*
     FROM apikey t, unnest($1::text[], $2::text[]) AS i(id, hash) WHERE t.id = $3`,
    [hashes.map(() => randomUUID()), hashes, id],
  );
  await database.query('VACUUM ANALYZE');
}
