// One statement per charge over pg, without HTTP: a guarded UPDATE of the balance, and an INSERT of the
// entry. It generates its own load, and answers the messages of load/client.mjs.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { summarize } from '../load/summary.mjs';
import { settings } from './settings.mjs';

const walletsMax = 1_000;
const charge = {
  name: 'charge',
  text: `
    WITH taken AS (
      UPDATE wallet SET balance = balance - $2 WHERE id = $1 AND balance >= $2 RETURNING id, balance
    )
    INSERT INTO entry (wallet_id, credits, balance_after) SELECT id, -$2, balance FROM taken RETURNING id, balance_after`,
};

const pool = new pg.Pool({ connectionString: settings.databaseUrl, max: settings.poolSize });
await pool.query(`
  CREATE TABLE wallet (id integer PRIMARY KEY, balance integer NOT NULL CHECK (balance >= 0));
  CREATE TABLE entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, wallet_id integer NOT NULL REFERENCES wallet, credits integer NOT NULL,
    balance_after integer NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE INDEX ON entry (wallet_id, id);
  INSERT INTO wallet SELECT n, 2000000000 FROM generate_series(1, ${walletsMax}) AS n`);
await pool.query('VACUUM ANALYZE');

process.on('message', (order) => {
  run(order).then(
    (result) => process.send({ kind: 'result', result }),
    (error) => process.send({ kind: 'failure', message: String(error?.stack ?? error) }),
  );
});
process.send({ ready: true });

/** @param {{ wallets: number, connections: number, rampSeconds: number, seconds: number }} order */
async function run({ wallets, connections, rampSeconds, seconds }) {
  const latencies = [];
  const problems = [];
  let acknowledged = 0;
  let errors = 0;
  let beginAt = Number.POSITIVE_INFINITY;
  let endAt = Number.POSITIVE_INFINITY;
  const chargeInLoop = async () => {
    while (endAt === Number.POSITIVE_INFINITY) {
      const startedAt = performance.now();
      try {
        const { rowCount } = await pool.query({ ...charge, values: [1 + Math.floor(Math.random() * wallets), 1] });
        if (rowCount !== 1) throw new Error('The charge was refused.');
        acknowledged += 1;
      } catch (error) {
        errors += 1;
        if (problems.length < 3) problems.push(String(error));
      }
      const at = performance.now();
      if (at >= beginAt && at < endAt) latencies.push(at - startedAt);
    }
  };
  const loops = Array.from({ length: connections }, chargeInLoop);
  await sleep(rampSeconds * 1_000);
  process.send({ kind: 'begin' });
  beginAt = performance.now();
  await sleep(seconds * 1_000);
  endAt = performance.now();
  process.send({ kind: 'end' });
  await Promise.all(loops);
  return {
    ...summarize({ latencies, completed: latencies.length, seconds: (endAt - beginAt) / 1_000 }),
    acknowledged,
    errors,
    problems,
    generatorCpuSeconds: 0,
  };
}
