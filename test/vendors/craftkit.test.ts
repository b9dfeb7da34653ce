import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  aKeyOf,
  aMember,
  anOrganization,
  aPerson,
  aWorkspaceWith,
  charge,
  createApiKey,
  grantCredits,
  revokeApiKey,
  verify,
} from '../factories.js';
import { aServer, startServer } from '../harness.js';
import { allowed, charged, failure, fieldRefusedOverHttp, refused, refusedOverHttp } from './answers.js';
import {
  ask,
  askForKey,
  bearer,
  creditsOf,
  disableFeature,
  enableFeature,
  keyOf,
  keysOf,
  ledgerOf,
  productsOf,
  resumeWorkspace,
  suspendWorkspace,
  updateApiKey,
} from './calls.js';

// A project of the document is a workspace here. Not testable on a key server: the dashboard, which is a
// client of this API; the worker pool that renders, and the watermark on its output, except for the flag
// that requests one; the tokens of inbound webhooks and the key pair for embedding, which are other
// credentials of the product; where customers store a key.

const missing = { status: 401, code: 'missing_authorization', message: 'Add the header Authorization: Bearer <key>.' };
const invalid = { status: 401, code: 'invalid_credentials', message: 'The API key is unknown or revoked.' };
const suspended = {
  status: 403,
  code: 'partner_suspended',
  message: 'The embed partnership of the project is suspended. Contact support.',
};
const forbidden = {
  status: 403,
  code: 'forbidden',
  message: 'The API key does not hold the required permission.',
};

/** An unknown key in the document’s format. Hex is a subset of base62. */
const anUnknownKey = () => `ck_live_${randomBytes(16).toString('hex')}`;

/** The key and its workspace, as in a refusal of a known key. */
function known(apiKey: { id: string }, workspaceId: string) {
  return { apiKey: { id: apiKey.id, name: expect.any(String) }, workspace: { id: workspaceId } };
}

async function aKey(environment: 'LIVE' | 'TEST' = 'LIVE') {
  const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'craftkit' });
  return { server, owner, workspaceId, ...(await createApiKey(owner.client, { name: 'sync path', environment })) };
}

describe('Authentication', () => {
  test('the products query returns the format and the capabilities of CraftKit keys without a credential', async () => {
    expect(await productsOf(await aServer({ products: ['craftkit'] }))).toEqual([
      {
        slug: 'craftkit',
        headers: ['authorization'],
        keyFormats: [
          { environment: 'LIVE', prefix: 'ck_live_', length: 32, alphabet: 'base62', checksum: false },
          { environment: 'TEST', prefix: 'ck_test_', length: 32, alphabet: 'base62', checksum: false },
        ],
        permissions: [
          { name: 'render:create', grantable: true, feature: null },
          { name: 'render:read', grantable: true, feature: null },
          { name: 'webhook:trigger', grantable: true, feature: null },
          { name: 'embed_session:create', grantable: true, feature: 'embed' },
          { name: 'embed_catalog:create', grantable: true, feature: 'embed' },
          { name: 'template:update', grantable: false, feature: null },
          { name: 'project:update', grantable: false, feature: null },
          { name: 'webhook:update', grantable: false, feature: null },
          { name: 'partner_embed_session:create', grantable: false, feature: null },
        ],
        features: [{ name: 'embed', customerSwitches: true }],
        prices: [{ action: 'render', credits: 1, unit: 'render' }],
        freeCredits: 0,
        rateLimits: [],
        activeKeysMax: null,
        signingSecrets: false,
      },
    ]);
  });

  test('a key is scoped to one project and cannot read another', async () => {
    const { server, owner, workspaceId, secret } = await aKey();
    const otherId = await anOrganization(owner, 'another project');
    const query = `{ own: workspace(id: "${workspaceId}") { id } other: workspace(id: "${otherId}") { id } }`;
    expect(await ask(server, bearer(secret), query)).toEqual({
      status: 200,
      body: { data: { own: { id: workspaceId }, other: null } },
      headers: {},
    });
  });
});

describe('Quick Start', () => {
  test('a GET with the key in the Authorization header is authenticated', async () => {
    const { server, apiKey, secret } = await aKey();
    const query = encodeURIComponent('{ viewer { apiKey { id } } }');
    const response = await server.fetch(`/graphql?query=${query}`, { headers: { Authorization: `Bearer ${secret}` } });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ data: { viewer: { apiKey: { id: apiKey.id } } } });
  });
});

describe('Header format', () => {
  test('a production key is ck_live_ and 32 characters, and its renders are billable', async () => {
    const { server, workspaceId, apiKey, secret } = await aKey('LIVE');
    expect(secret).toMatch(/^ck_live_[0-9A-Za-z]{32}$/);
    await grantCredits(server, workspaceId, 2);
    expect(await charge(server, secret, { action: 'render' })).toEqual(
      allowed(apiKey, workspaceId, { charge: charged(1, 1), billable: true, watermark: false }),
    );
    expect(await creditsOf(server.backend, workspaceId)).toEqual({ balance: 1, held: 0, available: 1 });
  });

  test('a test key is ck_test_ and 32 characters, and its renders are free and watermarked', async () => {
    const { server, workspaceId, apiKey, secret } = await aKey('TEST');
    expect(secret).toMatch(/^ck_test_[0-9A-Za-z]{32}$/);
    expect(await charge(server, secret, { action: 'render', quantity: 100 })).toEqual(
      allowed(apiKey, workspaceId, { charge: charged(0, 0), billable: false, watermark: true }),
    );
    expect(await creditsOf(server.backend, workspaceId)).toEqual({ balance: 0, held: 0, available: 0 });
  });

  test('a production render without credits is refused, and no credits are taken', async () => {
    const { server, workspaceId, apiKey, secret } = await aKey('LIVE');
    // The document names no error for this case, so the code is the server’s default.
    const insufficient = { status: 402, code: 'insufficient_credits', message: 'Not enough credits.' };
    expect(await charge(server, secret, { action: 'render' })).toEqual(
      refused('INSUFFICIENT_CREDITS', insufficient, known(apiKey, workspaceId)),
    );
    expect(await creditsOf(server.backend, workspaceId)).toEqual({ balance: 0, held: 0, available: 0 });
  });
});

describe('Creating a key', () => {
  test('a customer creates a key with a name; the secret is returned once and cannot be read again', async () => {
    const { owner, apiKey, secret } = await aKey();
    expect(await keysOf(owner.client)).toEqual([
      { id: apiKey.id, name: 'sync path', preview: secret.slice(-4), status: 'ACTIVE' },
    ]);
    expect(JSON.stringify(await keyOf(owner.client, apiKey.id))).not.toContain(secret);
  });

  test('only the SHA-256 hash of a key is stored', async () => {
    const { server, apiKey, secret } = await aKey();
    const stored = await server.services.db.keySecret.findMany({ where: { apiKeyId: apiKey.id } });
    expect(stored.map(({ hash }) => Buffer.from(hash).toString('hex'))).toEqual([
      createHash('sha256').update(secret).digest('hex'),
    ]);
    expect(JSON.stringify(stored)).not.toContain(secret);
  });

  test.each(['OWNER', 'ADMIN'] as const)('%s of an organization can create keys of its project', async (role) => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'craftkit', kind: 'ORGANIZATION' });
    const person = await aMember(server, owner, workspaceId, role);
    expect(await askForKey(person.client, { name: 'ours', workspaceId })).toEqual({
      __typename: 'CreateApiKeyPayload',
      apiKey: { name: 'ours', product: 'craftkit', createdBy: { id: person.id }, workspace: { id: workspaceId } },
    });
  });

  test('MEMBER of an organization cannot create keys', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'craftkit', kind: 'ORGANIZATION' });
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    expect(await askForKey(member.client, { name: 'ours', workspaceId })).toEqual({
      __typename: 'ForbiddenError',
      code: 'FORBIDDEN',
      permission: 'apiKey:create',
      message: 'You may not create keys of craftkit in this workspace.',
    });
  });

  test('a project can have several keys, and revoking one does not affect the others', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    const worker = await createApiKey(owner.client, { name: 'background jobs' });
    const webhook = await createApiKey(owner.client, { name: 'inbound webhook' });
    await revokeApiKey(owner.client, worker.apiKey.id);
    expect(await verify(server, worker.secret)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId));
    expect(await verify(server, webhook.secret)).toEqual(allowed(webhook.apiKey, workspaceId));
  });
});

describe('Revoking a key', () => {
  test('calls with a revoked key are 401 invalid_credentials immediately, without a grace period', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId));
    expect(await revokeApiKey(owner.client, apiKey.id)).toEqual({ id: apiKey.id, status: 'REVOKED' });
    expect(await verify(server, secret)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
  });

  test('a replacement and the old key are both valid until the old one is revoked', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    const next = await createApiKey(owner.client, { name: 'sync path, next' });
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId));
    expect(await verify(server, next.secret)).toEqual(allowed(next.apiKey, workspaceId));
    await revokeApiKey(owner.client, apiKey.id);
    expect(await verify(server, secret)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await verify(server, next.secret)).toEqual(allowed(next.apiKey, workspaceId));
  });
});

describe('Scope', () => {
  test('keys can render any template, read renders and trigger inbound webhooks of their project', async () => {
    const { server, workspaceId, apiKey, secret } = await aKey();
    for (const permission of ['render:create', 'render:read', 'webhook:trigger']) {
      expect(await verify(server, secret, { requires: [permission] })).toEqual(allowed(apiKey, workspaceId));
    }
  });

  test('the project’s ledger contains the id of the key that rendered', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    await grantCredits(server, workspaceId, 1);
    await charge(server, secret, { action: 'render' });
    expect(await ledgerOf(owner.client, workspaceId)).toEqual([
      { kind: 'CHARGE', credits: -1, balanceAfter: 0, action: 'render', apiKeyId: apiKey.id },
      { kind: 'GRANT', credits: 1, balanceAfter: 1, action: null, apiKeyId: null },
    ]);
  });

  test.each(['template:update', 'project:update', 'webhook:update', 'partner_embed_session:create'])(
    'keys cannot perform actions of the dashboard or of the embed key pair: %s',
    async (permission) => {
      const { server, owner, workspaceId, apiKey, secret } = await aKey();
      expect(await verify(server, secret, { requires: [permission] })).toEqual(
        refused('FORBIDDEN', forbidden, known(apiKey, workspaceId)),
      );
      expect(await askForKey(owner.client, { name: 'sly', permissions: [permission] })).toMatchObject({
        __typename: 'ValidationError',
        code: 'BAD_USER_INPUT',
        field: 'input.permissions.0',
      });
    },
  );

  test('a key created with fewer actions can perform only those', async () => {
    const { server, owner, workspaceId } = await aKey();
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'reader', permissions: ['render:read'] });
    expect(await verify(server, secret, { requires: ['render:read'] })).toEqual(allowed(apiKey, workspaceId));
    expect(await verify(server, secret, { requires: ['render:create'] })).toEqual(
      refused('FORBIDDEN', forbidden, known(apiKey, workspaceId)),
    );
  });

  test('keys cannot modify their project through this API', async () => {
    const { server, workspaceId, secret } = await aKey();
    const rename = `mutation { updateWorkspace(input: { workspaceId: "${workspaceId}", name: "mine" }) { __typename } }`;
    expect(await ask(server, bearer(secret), rename)).toEqual({
      // An error of one field is returned beside the data, with status 200 and the code FORBIDDEN.
      status: 200,
      body: { data: null, errors: [failure('FORBIDDEN', forbidden, 'updateWorkspace')] },
      headers: {},
    });
  });

  test('keys cannot read the data of other projects, which returns null as for unknown ids', async () => {
    const { server, secret } = await aKey();
    const other = await aKey();
    const query = `{ workspace(id: "${other.workspaceId}") { id } apiKey(id: "${other.apiKey.id}") { id }
      credits(workspaceId: "${other.workspaceId}") { balance } }`;
    expect(await ask(server, bearer(secret), query)).toEqual({
      status: 200,
      body: { data: { workspace: null, apiKey: null, credits: null } },
      headers: {},
    });
  });
});

describe('Errors', () => {
  test('401 missing_authorization: a request has no Authorization: Bearer header', async () => {
    const server = await aServer({ products: ['craftkit'] });
    expect(await verify(server, '')).toEqual(refused('MISSING_CREDENTIAL', missing));
    expect(await ask(server, {}, '{ credits { balance } }')).toEqual(
      fieldRefusedOverHttp('UNAUTHENTICATED', missing, 'credits'),
    );
  });

  test.each([
    ['another scheme', (key: string) => `Basic ${key}`],
    ['no scheme', (key: string) => key],
    ['no token', () => 'Bearer'],
  ])('401 missing_authorization: the Authorization header has no Bearer token: %s', async (_name, write) => {
    const { server, secret } = await aKey();
    expect(await ask(server, { authorization: write(secret) })).toEqual(refusedOverHttp('UNAUTHENTICATED', missing));
  });

  test.each([
    ['unknown', anUnknownKey()],
    ['cut short', anUnknownKey().slice(0, -1)],
    ['of another environment than there is', `ck_prod_${'0'.repeat(32)}`],
    ['of no form at all', '<random>'],
  ])('401 invalid_credentials: the key is unknown or malformed: %s', async (_name, key) => {
    const server = await aServer({ products: ['craftkit'] });
    expect(await verify(server, key)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(server, bearer(key))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
  });

  test('401 invalid_credentials: the key is disabled, and it is valid again when enabled', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    await updateApiKey(owner.client, { apiKeyId: apiKey.id, enabled: false });
    expect(await verify(server, secret)).toEqual(refused('DISABLED', invalid, known(apiKey, workspaceId)));
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
    await updateApiKey(owner.client, { apiKeyId: apiKey.id, enabled: true });
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId));
  });

  test('403 partner_suspended: the project is suspended, until the operator resumes it', async () => {
    const { server, workspaceId, apiKey, secret } = await aKey();
    await suspendWorkspace(server, workspaceId);
    expect(await verify(server, secret)).toEqual(refused('WORKSPACE_SUSPENDED', suspended, known(apiKey, workspaceId)));
    await resumeWorkspace(server, workspaceId);
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId));
  });
});

describe('Best practices', () => {
  test('staging and production have separate keys, and each key has its environment', async () => {
    const { owner } = await aWorkspaceWith({ product: 'craftkit' });
    const live = await createApiKey(owner.client, { name: 'production', environment: 'LIVE' });
    const staging = await createApiKey(owner.client, { name: 'staging', environment: 'TEST' });
    expect([live.apiKey.environment, staging.apiKey.environment]).toEqual(['LIVE', 'TEST']);
  });

  test('a key with the prefix of the other environment is unknown', async () => {
    const { server, secret } = await aKey('TEST');
    expect(await verify(server, secret.replace('ck_test_', 'ck_live_'))).toEqual(
      refused('INVALID_CREDENTIAL', invalid),
    );
  });

  test('the last use of a key can be read before the key is revoked', async () => {
    const { server, owner, apiKey, secret } = await aKey();
    expect((await keyOf(owner.client, apiKey.id))?.lastUsedAt).toBeNull();
    const before = Date.now();
    await verify(server, secret);
    await server.services.uses.flush();
    const lastUsedAt = Date.parse((await keyOf(owner.client, apiKey.id))?.lastUsedAt ?? '');
    expect(lastUsedAt).toBeGreaterThanOrEqual(before);
    expect(lastUsedAt).toBeLessThanOrEqual(Date.now());
  });
});

describe('Troubleshooting invalid_credentials', () => {
  test('a key created in one deployment is unknown in another', async () => {
    const local = await startServer({ products: ['craftkit'], database: 'own' });
    const { secret } = await aKeyOf(local, 'craftkit');
    expect((await ask(local, bearer(secret))).status).toBe(200);
    await local.close();

    const production = await aServer({ products: ['craftkit'] });
    expect(await verify(production, secret)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(production, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
  });

  describe('embed is not enabled for the project', () => {
    test.each(['embed_session:create', 'embed_catalog:create'])(
      'a valid key returns invalid_credentials while embed is disabled, and works while it is enabled: %s',
      async (permission) => {
        const { server, owner, workspaceId, apiKey, secret } = await aKey();
        const embed = { workspaceId, product: 'craftkit', feature: 'embed' };
        const off = refused('FEATURE_DISABLED', invalid, known(apiKey, workspaceId));
        expect(await verify(server, secret, { requires: [permission] })).toEqual(off);

        expect(await enableFeature(owner.client, embed)).toEqual({
          __typename: 'EnableFeaturePayload',
          workspace: { id: workspaceId, features: [{ product: 'craftkit', feature: 'embed' }] },
        });
        expect(await verify(server, secret, { requires: [permission] })).toEqual(allowed(apiKey, workspaceId));

        expect(await disableFeature(owner.client, embed)).toEqual({
          __typename: 'DisableFeaturePayload',
          workspace: { id: workspaceId, features: [] },
        });
        expect(await verify(server, secret, { requires: [permission] })).toEqual(off);
      },
    );

    test('the same key can still perform renders', async () => {
      const { server, workspaceId, apiKey, secret } = await aKey();
      expect(await verify(server, secret, { requires: ['render:read'] })).toEqual(allowed(apiKey, workspaceId));
    });

    test('enabling embed for one project does not enable it for another', async () => {
      const { owner, workspaceId } = await aKey();
      const other = await aKey();
      await enableFeature(owner.client, { workspaceId, product: 'craftkit', feature: 'embed' });
      expect(await verify(other.server, other.secret, { requires: ['embed_session:create'] })).toEqual(
        refused('FEATURE_DISABLED', invalid, known(other.apiKey, other.workspaceId)),
      );
    });

    test('a MEMBER cannot enable embed', async () => {
      const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'craftkit', kind: 'ORGANIZATION' });
      const member = await aMember(server, owner, workspaceId, 'MEMBER');
      expect(await enableFeature(member.client, { workspaceId, product: 'craftkit', feature: 'embed' })).toEqual({
        __typename: 'ForbiddenError',
        code: 'FORBIDDEN',
        permission: 'feature:update',
        message: 'This needs the permission feature:update.',
      });
    });
  });

  describe('Checklist', () => {
    test('a revoked key has the status REVOKED, the time and the reason', async () => {
      const { owner, apiKey } = await aKey();
      await revokeApiKey(owner.client, apiKey.id, 'quarterly rotation');
      expect(await keyOf(owner.client, apiKey.id)).toMatchObject({
        status: 'REVOKED',
        revokedAt: expect.any(String),
        revocationReason: 'quarterly rotation',
      });
    });
  });
});

describe('several products on one server', () => {
  test('a feature of one product cannot be enabled for another', async () => {
    const server = await aServer({ products: ['craftkit', 'default'] });
    const owner = await aPerson(server);
    expect(
      await enableFeature(owner.client, {
        workspaceId: owner.personalWorkspaceId,
        product: 'default',
        feature: 'embed',
      }),
    ).toEqual({
      __typename: 'ValidationError',
      code: 'BAD_USER_INPUT',
      message: 'The product default has no feature of this name.',
    });
  });
});
