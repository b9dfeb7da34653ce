// Other load generators, for compare-generators.mjs: each sends the same POST over the same number of
// connections, and checks the response as this bench's generator does.
import { Agent, request as httpRequest } from 'node:http';
import autocannon from 'autocannon';
import { Pool } from 'undici';

const { generator, port, connections, seconds, path, body, expected } = JSON.parse(process.env.BENCH_SETTINGS ?? '{}');
const origin = `http://127.0.0.1:${port}`;
const headers = { 'content-type': 'application/json' };

/** Keeps every connection busy until the time is over. @param {() => Promise<void>} send */
async function closedLoop(send) {
  const endAt = performance.now() + seconds * 1_000;
  let requests = 0;
  const loop = async () => {
    while (performance.now() < endAt) {
      await send();
      requests += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, loop));
  return requests;
}

/** @param {number} status @param {string} text */
function check(status, text) {
  if (status !== 200 || !text.includes(expected) || text.includes('"errors":')) throw new Error(text);
}

const generators = {
  async autocannon() {
    const result = await autocannon({
      url: `${origin}${path}`,
      method: 'POST',
      headers,
      body,
      connections,
      duration: seconds,
      verifyBody: (text) => text.includes(expected),
    });
    if (result.errors + result.non2xx + result.mismatches > 0) throw new Error('autocannon saw errors.');
    return result.requests.total;
  },
  undici() {
    const pool = new Pool(origin, { connections, pipelining: 1 });
    return closedLoop(async () => {
      const answer = await pool.request({ method: 'POST', path, headers, body });
      check(answer.statusCode, await answer.body.text());
    });
  },
  'node:http'() {
    const agent = new Agent({ keepAlive: true, maxSockets: connections });
    return closedLoop(
      () =>
        new Promise((resolve, reject) => {
          const request = httpRequest(`${origin}${path}`, { method: 'POST', agent, headers }, (response) => {
            let text = '';
            response.setEncoding('utf8');
            response.on('data', (chunk) => {
              text += chunk;
            });
            response.on('end', () => {
              check(response.statusCode ?? 0, text);
              resolve();
            });
          });
          request.on('error', reject);
          request.end(body);
        }),
    );
  },
};

const before = process.cpuUsage();
const startedAt = performance.now();
const requests = await generators[generator]();
const { user, system } = process.cpuUsage(before);
process.send({ requests, seconds: (performance.now() - startedAt) / 1_000, cpuSeconds: (user + system) / 1e6 });
process.exit();
