import { expect, test } from 'vitest';
import { aPerson, createApiKey } from '../factories.js';
import { aServer } from '../harness.js';

const document = `mutation Many($inputs: [VerifyApiKeyInput!]!) {
  verifyApiKeys(inputs: $inputs) { code charge { credits balanceAfter replayed } }
}`;

test('each of several verifications is answered at its index, and an invalid input fails only its own item', async () => {
  const server = await aServer();
  const owner = await aPerson(server);
  const { secret } = await createApiKey(owner.client, { name: 'ci' });
  const credential = { bearer: secret };
  const { data, errors } = await server.backend.send(document, {
    inputs: [
      { credential, charge: { action: 'request', quantity: 60 } },
      { credential, charge: { action: 'request', quantity: 60 } },
      { credential, charge: { action: 'nonsense' } },
      { credential, charge: { action: 'request', quantity: 40 } },
      { credential: { bearer: 'tk_live_nonsense' } },
    ],
  });
  expect(data).toEqual({
    verifyApiKeys: [
      { code: 'VALID', charge: { credits: 60, balanceAfter: 40, replayed: false } },
      { code: 'INSUFFICIENT_CREDITS', charge: null },
      null,
      { code: 'VALID', charge: { credits: 40, balanceAfter: 0, replayed: false } },
      { code: 'INVALID_CREDENTIAL', charge: null },
    ],
  });
  expect(errors).toEqual([
    expect.objectContaining({
      path: ['verifyApiKeys', 2],
      extensions: expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'inputs.2.charge.action' }),
    }),
  ]);
});

test('a batch of more than 100 is refused as a whole', async () => {
  const server = await aServer();
  const inputs = Array.from({ length: 101 }, () => ({ credential: { bearer: '' } }));
  const { data, errors } = await server.backend.send(document, { inputs });
  expect(data).toBeNull();
  expect(errors[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT', field: 'inputs' } });
});
