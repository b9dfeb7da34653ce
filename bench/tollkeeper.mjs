import { randomBytes } from 'node:crypto';
import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { environment, failsAtExit, startProgram, stop, until } from './child.mjs';
import { readCpu } from './machine.mjs';
import { findFreePort } from './postgresql.mjs';
import { productPath, seed } from './seed.mjs';

const dist = new URL('../dist/', import.meta.url);
const { openDatabase } = await import(new URL('db/open.js', dist).href);
const { migrate } = await import(new URL('db/migrate.js', dist).href);

/** @typedef {{ name: string, keys: number, workspaces: number }} WantedPopulation */
/**
 * A migrated and filled database of Tollkeeper.
 * @typedef {object} Data
 * @property {Record<string, string>} environment variables that point a server to it
 * @property {Record<string, import('./load/generator.mjs').Population>} populations
 * @property {() => Promise<LedgerCheck | null>} checkLedger
 */
/** @typedef {{ charges: number, wrongBalances: number }} LedgerCheck */

/** The service token of the simulated backend. */
export const serviceToken = `tks_${randomBytes(24).toString('hex')}`;
const encryptionKey = randomBytes(32).toString('base64');

/**
 * @param {string} databaseUrl of an empty database
 * @param {WantedPopulation[]} wanted
 * @param {string} directory
 * @returns {Promise<Data>}
 */
export async function preparePostgresql(databaseUrl, wanted, directory) {
  const database = await openDatabase({ databaseUrl });
  await migrate(database);
  await database.close();
  const withClient = async (use) => {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  };
  const populations = await withClient(async (client) => {
    const seeded = await seedAll((text, values) => client.query(text, values), wanted, directory);
    await client.query('VACUUM ANALYZE');
    return seeded;
  });
  return {
    environment: { DATABASE_URL: databaseUrl },
    populations,
    checkLedger: () => withClient(async (client) => checkLedger(async (text) => (await client.query(text)).rows)),
  };
}

/** @param {WantedPopulation[]} wanted @param {string} directory @returns {Promise<Data>} */
export async function prepareEmbedded(wanted, directory) {
  const dataDir = join(directory, 'embedded');
  mkdirSync(dataDir, { mode: 0o700 });
  const withDatabase = async (use) => {
    const database = await openDatabase({ dataDir });
    try {
      return await use(database);
    } finally {
      await database.close();
    }
  };
  const populations = await withDatabase(async (database) => {
    await migrate(database);
    const seeded = await seedAll((text, values) => database.run({ name: '', text }, values), wanted, directory);
    await database.run({ name: '', text: 'ANALYZE' }, []);
    return seeded;
  });
  return {
    environment: { TOLLKEEPER_DATA_DIR: dataDir },
    populations,
    // Only after the server has ended: one process at a time can open the folder.
    checkLedger: () => withDatabase((database) => checkLedger((text) => database.run({ name: '', text }, []))),
  };
}

let populated = 0;

async function seedAll(query, wanted, directory) {
  const populations = {};
  for (const { name, ...population } of wanted) {
    populated += 1;
    populations[name] = await seed(query, population, join(directory, `secrets-${populated}`));
  }
  return populations;
}

/** Counts the charges, and the accounts whose balance differs from the sum of their ledger entries. */
async function checkLedger(query) {
  const [charges] = await query('SELECT count(*)::int AS "count" FROM "Charge"');
  const [wrong] = await query(
    `SELECT count(*)::int AS "count" FROM "CreditAccount" a
     LEFT JOIN (SELECT "workspaceId", sum("credits") AS "credits" FROM "LedgerEntry" GROUP BY "workspaceId") e
       ON e."workspaceId" = a."workspaceId"
     WHERE a."balance" IS DISTINCT FROM e."credits"`,
  );
  return { charges: charges.count, wrongBalances: wrong.count };
}

const idleCoresMax = 0.05;
const idleSecondsMin = 2;
const idleSecondsMax = 180;

/**
 * Waits until a process does nothing any more: after its start it fills its key cache in the background.
 * @param {number} pid
 */
async function untilIdle(pid) {
  const read = () => readCpu({ server: [pid], generator: [], postmaster: null }).server;
  let before = read();
  for (let seconds = 0, idleSeconds = 0; idleSeconds < idleSecondsMin && seconds < idleSecondsMax; seconds += 1) {
    await sleep(1_000);
    const now = read();
    idleSeconds = now - before < idleCoresMax ? idleSeconds + 1 : 0;
    before = now;
  }
}

let servers = 0;

/**
 * Starts one process of Tollkeeper, as `npm start` does, and waits until it is ready and has filled its key
 * cache.
 * @param {Data} data @param {string} directory @param {{ logLevel?: string, keyCacheMb?: number }} options
 */
export async function startTollkeeper(data, directory, { logLevel = 'warn', keyCacheMb } = {}) {
  servers += 1;
  const port = await findFreePort();
  const outputPath = join(directory, `tollkeeper-${servers}.log`);
  const flags = ['--enable-source-maps', '--heap-growing-percent=30'];
  const child = startProgram(process.execPath, [...flags, fileURLToPath(new URL('main.js', dist))], {
    cwd: directory,
    output: openSync(outputPath, 'a'),
    env: environment({
      PORT: String(port),
      LOG_LEVEL: logLevel,
      // The management figures come from one caller.
      TOLLKEEPER_QUERY_COST_PER_MINUTE: '9999999',
      TOLLKEEPER_PRODUCTS: productPath,
      TOLLKEEPER_SERVICE_TOKEN: serviceToken,
      TOLLKEEPER_ENCRYPTION_KEY: encryptionKey,
      ...(keyCacheMb === undefined ? {} : { TOLLKEEPER_KEY_CACHE_MB: String(keyCacheMb) }),
      ...data.environment,
    }),
  });
  const isReady = until(async () => {
    const { status } = await fetch(`http://127.0.0.1:${port}/health/ready`);
    if (status !== 200) throw new Error(`Tollkeeper is not ready: ${status}.`);
  });
  await Promise.race([isReady.then(() => untilIdle(child.pid)), failsAtExit(child, 'Tollkeeper', outputPath)]);
  return { port, pid: child.pid, stop: () => stop(child) };
}

/** The names of the fields of Mutation. @param {number} port @returns {Promise<string[]>} */
export async function listMutations(port) {
  const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${serviceToken}` },
    body: JSON.stringify({ query: '{ __type(name: "Mutation") { fields { name } } }' }),
  });
  const { data } = await response.json();
  return data.__type.fields.map(({ name }) => name);
}
