import { readFile } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { aCustomerWithKey } from '../process/customer.js';
import { type ServerProcess, test } from '../process/server-process.js';
import { type HostileRequest, hostileRequests } from './requests.js';

/** The longest that another client may wait while a hostile request is answered. */
const waitMsMax = 100;
const memoryGrowthMbMax = 50;
const probeEveryMs = 5;
/** Garbage of a request is collected by then. */
const settleMs = 50;

const serviceToken = `tks_${'Measure1'.repeat(5)}`;

/** What other clients saw while one hostile request was answered. */
interface Measured {
  readonly kind: string;
  readonly name: string;
  readonly principal: string;
  readonly status: number;
  readonly answerMs: number;
  readonly healthMs: number;
  readonly verifyMs: number;
  readonly memoryMb: number;
}

const agents = { hostile: new Agent({ keepAlive: true }), probe: new Agent({ keepAlive: true }) };

function send(
  url: string,
  agent: Agent,
  { method, headers, body }: { method: string; headers: Record<string, string>; body: Buffer | string },
): Promise<number> {
  return new Promise((resolve) => {
    const sending = httpRequest(url, { method, headers, agent }, (response) => {
      response.resume().once('close', () => resolve(response.statusCode ?? 0));
    });
    sending.once('error', () => resolve(0));
    sending.end(body);
  });
}

/** Sends requests one after the other until `isOver`. @returns the longest that one took, in milliseconds */
async function probe(sendOne: () => Promise<unknown>, isOver: () => boolean): Promise<number> {
  let longestMs = 0;
  while (!isOver()) {
    const startedAt = performance.now();
    await sendOne();
    longestMs = Math.max(longestMs, performance.now() - startedAt);
    await sleep(probeEveryMs);
  }
  return longestMs;
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1_000;
}

function worst(measured: readonly Measured[], of: 'answerMs' | 'healthMs' | 'verifyMs' | 'memoryMb'): Measured {
  return measured.reduce((one, other) => (other[of] > one[of] ? other : one));
}

test('other clients wait at most 100 ms, and memory grows by less than 50 MB, for every hostile request', {
  timeout: 1_800_000,
}, async ({ embeddedDatabase: _, startProcess }) => {
  const server: ServerProcess = await startProcess({
    TOLLKEEPER_SERVICE_TOKEN: serviceToken,
    // So that the requests are measured, and not their refusal.
    TOLLKEEPER_QUERY_COST_PER_MINUTE: '9999999',
  });
  const { session, secret } = await aCustomerWithKey(server);
  const principals = { anonymous: null, key: secret, user: session, service: serviceToken };
  const json = { 'content-type': 'application/json' };
  const verification = JSON.stringify({
    query: 'mutation ($s: String!) { verifyApiKey(input: { credential: { bearer: $s } }) { code } }',
    variables: { s: secret },
  });
  const probes = {
    health: () => send(`${server.url}/health/live`, agents.probe, { method: 'GET', headers: {}, body: '' }),
    verify: () =>
      send(`${server.url}/graphql`, agents.probe, {
        method: 'POST',
        headers: { ...json, authorization: `Bearer ${serviceToken}` },
        body: verification,
      }),
  };
  for (let count = 0; count < 200; count += 1) await probes.verify();

  const measureOne = async (request: HostileRequest, principal: string, token: string | null): Promise<Measured> => {
    const { kind, name, method, search, contentType, body } = request;
    const headers = {
      ...(method === 'POST' ? { 'content-type': contentType } : {}),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    };
    const before = await residentMb(server.pid);
    let isOver = false;
    const probing = Promise.all([probe(probes.health, () => isOver), probe(probes.verify, () => isOver)]);
    const startedAt = performance.now();
    const status = await send(`${server.url}/graphql${search}`, agents.hostile, { method, headers, body });
    const answerMs = performance.now() - startedAt;
    await sleep(settleMs);
    isOver = true;
    const [healthMs, verifyMs] = await probing;
    const memoryMb = (await residentMb(server.pid)) - before;
    return { kind, name, principal, status, answerMs, healthMs, verifyMs, memoryMb };
  };

  const measured: Measured[] = [];
  for (const [principal, token] of Object.entries(principals)) {
    for (const request of hostileRequests) measured.push(await measureOne(request, principal, token));
  }
  for (const agent of Object.values(agents)) agent.destroy();

  console.log('kind | answer ms | /health/live ms | verifyApiKey ms | memory MB | worst request');
  for (const kind of new Set(measured.map((each) => each.kind))) {
    const own = measured.filter((each) => each.kind === kind);
    const slowest = worst(own, 'verifyMs');
    const figures = (['answerMs', 'healthMs', 'verifyMs', 'memoryMb'] as const).map((of) =>
      worst(own, of)[of].toFixed(0),
    );
    console.log(`${kind} | ${figures.join(' | ')} | ${slowest.name}, ${slowest.principal}, ${slowest.status}`);
  }
  const tooMuch = measured.filter(
    ({ healthMs, verifyMs, memoryMb, status }) =>
      healthMs > waitMsMax || verifyMs > waitMsMax || memoryMb > memoryGrowthMbMax || status === 0 || status >= 500,
  );
  expect(tooMuch).toEqual([]);
});
