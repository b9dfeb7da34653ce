import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { describe, expect } from 'vitest';
import { aPerson, createApiKey } from '../factories.js';
import { aReceiver } from '../webhooks/receiver.js';
import { withToken } from './customer.js';
import { patience, test } from './server-process.js';

const token = `tks_${'Hooks1'.repeat(6)}`;
const variables = {
  TOLLKEEPER_SERVICE_TOKEN: token,
  TOLLKEEPER_WEBHOOKS_ALLOW_PRIVATE: 'true',
  TOLLKEEPER_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
};

/** A receiver that does not respond until `answer` is called. */
async function aSilentReceiver() {
  let answers = false;
  const { url, received } = await aReceiver((_request, response) => {
    if (answers) response.end('ok');
  });
  return {
    url: `${url}/`,
    arrivals: received,
    answer() {
      answers = true;
    },
  };
}

describe('pending webhooks of a server', patience, () => {
  test('that is killed are delivered by the next one within a minute, with the same ids', async ({ startServer }) => {
    const receiver = await aSilentReceiver();
    const killed = await startServer(variables);
    const { client: customer } = await aPerson(killed);
    const { apiKey, signingSecret } = await createApiKey(customer, { name: 'ci' });
    const { data } = await customer.send(
      'mutation ($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) { __typename } }',
      { input: { apiKeyId: apiKey.id, url: receiver.url } },
    );
    expect(data).toEqual({ createWebhookEndpoint: { __typename: 'CreateWebhookEndpointPayload' } });
    const jobs = [1, 2, 3].map(
      (job) =>
        `j${job}: publishEvent(input: { apiKeyId: "${apiKey.id}", type: "job.finished", data: { job: ${job} } }) { __typename }`,
    );
    await withToken(killed, token).send(`mutation { ${jobs.join(' ')} }`);
    while (receiver.arrivals.length < 3) await sleep(50);
    const underWay = receiver.arrivals.splice(0).map(({ headers }) => headers['webhook-id']);
    await killed.end('SIGKILL');
    receiver.answer();

    const begun = Date.now();
    await startServer(variables);
    while (receiver.arrivals.length < 3 && Date.now() - begun < 60_000) await sleep(50);
    expect(receiver.arrivals.map(({ headers }) => headers['webhook-id']).sort()).toEqual(underWay.sort());
    for (const { headers, body } of receiver.arrivals) {
      expect(new Webhook(signingSecret ?? '').verify(body, headers)).toMatchObject({ type: 'job.finished' });
    }
  });

  test('that ends on SIGTERM are released, so that the next one delivers them without waiting', async ({
    startServer,
  }) => {
    const receiver = await aSilentReceiver();
    const ending = await startServer(variables);
    const { client: customer } = await aPerson(ending);
    const { apiKey } = await createApiKey(customer, { name: 'ci' });
    await customer.send(
      'mutation ($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) { __typename } }',
      { input: { apiKeyId: apiKey.id, url: receiver.url } },
    );
    await withToken(ending, token).send(
      `mutation { publishEvent(input: { apiKeyId: "${apiKey.id}", type: "job.finished", data: {} }) { __typename } }`,
    );
    while (receiver.arrivals.length < 1) await sleep(50);
    expect(await ending.end('SIGTERM')).toMatchObject({ code: 0, stderr: '' });
    receiver.answer();
    await startServer(variables);
    const ready = Date.now();
    while (receiver.arrivals.length < 2 && Date.now() - ready < 15_000) await sleep(50);
    expect(receiver.arrivals).toHaveLength(2);
  });
});
