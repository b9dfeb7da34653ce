// Compares the processor time per request of this load generator and of others: `npm run compare-generators
// --prefix bench`. The generator shares the machine with the server, so the server gets the processor time
// that the generator saves.
import { startScript, stop } from './child.mjs';
import { startGenerator } from './load/client.mjs';
import { median } from './load/summary.mjs';
import { createTemplate } from './load/template.mjs';

const connections = 64;
const seconds = 3;
const rounds = 3;
const body = JSON.stringify({ query: 'mutation', variables: { message: 'a trivial mutation' } });
const expected = '"a trivial mutation"';
const path = '/graphql';

const server = await startScript(new URL('./peers/bare-http.mjs', import.meta.url));
const { port } = server.ready;
const own = await startGenerator();

const generators = {
  "this bench's generator": async () => {
    const { completed, errors, generatorCpuSeconds, perSecond } = await own.run(
      {
        template: createTemplate({ path, body, secretLength: 0 }),
        population: null,
        expect: [{ text: expected, count: 1 }],
        ports: [port],
        connections,
        rampSeconds: 0.5,
        seconds,
        ratePerSecond: null,
      },
      { onBegin: () => undefined, onEnd: () => undefined },
    );
    if (errors > 0) throw new Error(`${errors} errors.`);
    return { perSecond, micros: (generatorCpuSeconds / completed) * 1e6 };
  },
  ...Object.fromEntries(
    ['autocannon', 'undici', 'node:http'].map((generator) => [generator, () => runOther(generator)]),
  ),
};

async function runOther(generator) {
  const settings = { generator, port, connections, seconds, path, body, expected };
  const { ready } = await startScript(new URL('./load/other-generators.mjs', import.meta.url), settings);
  return { perSecond: ready.requests / ready.seconds, micros: (ready.cpuSeconds / ready.requests) * 1e6 };
}

const found = new Map(Object.keys(generators).map((name) => [name, []]));
for (let round = 0; round < rounds; round += 1) {
  for (const [name, run] of Object.entries(generators)) found.get(name).push(await run());
}
process.stdout.write('| generator | its processor time per request | requests/s of bare node:http |\n|---|--:|--:|\n');
for (const [name, results] of found) {
  const micros = median(results.map((result) => result.micros)).toFixed(0);
  const perSecond = median(results.map((result) => result.perSecond)).toFixed(0);
  process.stdout.write(`| ${name} | ${micros} µs | ${perSecond} |\n`);
}
await own.stop();
await stop(server.child);
