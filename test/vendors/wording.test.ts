import { describe, expect, test } from 'vitest';
import { aPerson, aWorkspaceWith, createApiKey, verify } from '../factories.js';
import { allProducts, aServer, startServer } from '../harness.js';
import { refused, refusedOverHttp } from './answers.js';
import { ask, bearer, suspendWorkspace } from './calls.js';

describe('a refusal uses the wording of the requested product, not that of the first product of the server', () => {
  test('makepay, 401 Invalid MakePay API credentials: the product scope does not match', async () => {
    const server = await aServer({ products: allProducts });
    const owner = await aPerson(server);
    const { secret } = await createApiKey(owner.client, { name: 'mascot', product: 'masko' });
    const invalid = { status: 401, code: 'invalid_credentials', message: 'Invalid MakePay API credentials' };
    expect(await verify(server, secret, { product: 'makepay' })).toEqual(refused('INVALID_CREDENTIAL', invalid));
  });

  test('craftkit, 401 missing_authorization', async () => {
    const server = await aServer({ products: allProducts });
    const missing = {
      status: 401,
      code: 'missing_authorization',
      message: 'Add the header Authorization: Bearer <key>.',
    };
    expect(await verify(server, '', { product: 'craftkit' })).toEqual(refused('MISSING_CREDENTIAL', missing));
  });

  test('makistry, 401 invalid_api_key: a wrong format', async () => {
    const server = await aServer({ products: allProducts });
    const invalidApiKey = {
      status: 401,
      code: 'invalid_api_key',
      message: 'The API key is missing, malformed or revoked.',
    };
    expect(await verify(server, 'YOUR_KEY', { product: 'makistry' })).toEqual(
      refused('INVALID_CREDENTIAL', invalidApiKey),
    );
  });
});

describe('a refusal by this server uses the wording of the key’s product', () => {
  test('craftkit, 403 partner_suspended: its project is suspended', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'craftkit' });
    const { secret } = await createApiKey(owner.client, { name: 'sync path' });
    await suspendWorkspace(server, workspaceId);
    const suspended = {
      status: 403,
      code: 'partner_suspended',
      message: 'The embed partnership of the project is suspended. Contact support.',
    };
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('FORBIDDEN', suspended));
  });

  test('masko, 500: an internal error', async () => {
    const server = await startServer({ products: ['masko'] });
    const owner = await aPerson(server);
    const { secret } = await createApiKey(owner.client, { name: 'mascot' });
    server.services.limiter.take = () => Promise.reject(new Error('boom'));
    const words = { status: 500, code: '500', message: 'Internal server error: contact support if it persists.' };
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('INTERNAL_SERVER_ERROR', words));
  });

  test('makepay, 403: a browser on an origin that is not allowed', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'makepay' });
    const { apiKey, secret } = await createApiKey(owner.client, {
      name: 'backend',
      allowedOrigins: ['https://merchant.example'],
    });
    const headers = { 'x-makecrypto-key-id': apiKey.keyId ?? '', 'x-makecrypto-key-secret': secret };
    const forbidden = { status: 403, code: 'forbidden', message: 'Forbidden' };
    expect(await ask(server, { ...headers, origin: 'https://evil.example' })).toEqual(
      refusedOverHttp('FORBIDDEN', forbidden),
    );
  });
});
