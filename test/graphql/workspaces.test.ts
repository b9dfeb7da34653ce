import { describe, expect, test } from 'vitest';
import { aMember, anOrganization, aPerson, createApiKey, tryCreateApiKey, verify } from '../factories.js';
import { graphql } from '../generated/index.js';
import { aServer } from '../harness.js';

const createDocument = graphql(`
  mutation CreateOfWorkspaces($input: CreateWorkspaceInput!) {
    createWorkspace(input: $input) {
      __typename
      ... on CreateWorkspacePayload {
        workspace {
          id name kind createdAt suspendedAt suspensionReason
          features { feature }
          members { nodes { role user { id } } }
          credits { balance held available }
        }
      }
      ... on Error { code message }
      ... on LimitReachedError { limit }
    }
  }
`);

const updateDocument = graphql(`
  mutation UpdateOfWorkspaces($input: UpdateWorkspaceInput!) {
    updateWorkspace(input: $input) {
      __typename
      ... on UpdateWorkspacePayload { workspace { id name } }
      ... on Error { code message }
      ... on ForbiddenError { permission }
    }
  }
`);

const listDocument = graphql(`
  query ListOfWorkspaces { workspaces { nodes { id kind name } } viewer { kind user { id name email } workspace { id } apiKey { id } } }
`);

const suspendDocument = graphql(`
  mutation SuspendOfWorkspaces($input: SuspendWorkspaceInput!) {
    suspendWorkspace(input: $input) {
      __typename
      ... on SuspendWorkspacePayload { workspace { id suspendedAt suspensionReason } }
      ... on Error { code message }
    }
  }
`);

const resumeDocument = graphql(`
  mutation ResumeOfWorkspaces($input: ResumeWorkspaceInput!) {
    resumeWorkspace(input: $input) {
      __typename
      ... on ResumeWorkspacePayload { workspace { id suspendedAt suspensionReason } }
      ... on Error { code message }
    }
  }
`);

const enableDocument = graphql(`
  mutation EnableOfWorkspaces($input: EnableFeatureInput!) {
    enableFeature(input: $input) {
      __typename
      ... on EnableFeaturePayload { workspace { features { product feature enabledAt } } }
      ... on Error { code message }
      ... on ForbiddenError { permission }
    }
  }
`);

const disableDocument = graphql(`
  mutation DisableOfWorkspaces($input: DisableFeatureInput!) {
    disableFeature(input: $input) {
      __typename
      ... on DisableFeaturePayload { workspace { features { feature } } }
      ... on Error { code message }
    }
  }
`);

describe('creating and renaming', () => {
  test('a person becomes the owner of an organization that they create, which starts without credits', async () => {
    const person = await aPerson(await aServer());
    expect(await person.client.run(createDocument, { input: { name: '  Acme & Söhne 🔑 ' } })).toEqual({
      createWorkspace: {
        __typename: 'CreateWorkspacePayload',
        workspace: {
          id: expect.stringMatching(/^wsp_[0-9a-f]{32}$/),
          name: 'Acme & Söhne 🔑',
          kind: 'ORGANIZATION',
          createdAt: expect.any(String),
          suspendedAt: null,
          suspensionReason: null,
          features: [],
          members: { nodes: [{ role: 'OWNER', user: { id: person.id } }] },
          credits: { balance: 0, held: 0, available: 0 },
        },
      },
    });
  });

  test('a new person has a personal workspace, and lists their workspaces newest first', async () => {
    const server = await aServer();
    const person = await aPerson(server, 'Ada');
    const other = await aPerson(server);
    await anOrganization(other, 'Not mine');
    const acme = await anOrganization(person, 'Acme');
    expect(await person.client.run(listDocument)).toEqual({
      workspaces: {
        nodes: [
          { id: acme, kind: 'ORGANIZATION', name: 'Acme' },
          { id: person.personalWorkspaceId, kind: 'PERSONAL', name: 'Ada' },
        ],
      },
      viewer: {
        kind: 'USER',
        user: { id: person.id, name: 'Ada', email: person.email },
        workspace: { id: person.personalWorkspaceId },
        apiKey: null,
      },
    });
  });

  test('a key lists only its own workspace', async () => {
    const server = await aServer();
    const person = await aPerson(server, 'Ada');
    const acme = await anOrganization(person, 'Acme');
    const { apiKey, secret } = await createApiKey(person.client, { workspaceId: acme, name: 'ci' });
    expect(await server.anonymous.with({ authorization: `Bearer ${secret}` }).run(listDocument)).toEqual({
      workspaces: { nodes: [{ id: acme, kind: 'ORGANIZATION', name: 'Acme' }] },
      viewer: { kind: 'API_KEY', user: null, workspace: { id: acme }, apiKey: { id: apiKey.id } },
    });
  });

  test('a name can have 100 characters, counted in code points', async () => {
    const person = await aPerson(await aServer());
    const workspaceId = await anOrganization(person);
    const name = '🔑'.repeat(100);
    expect(await person.client.run(updateDocument, { input: { workspaceId, name } })).toEqual({
      updateWorkspace: { __typename: 'UpdateWorkspacePayload', workspace: { id: workspaceId, name } },
    });
  });

  test('a person can own at most 100 organizations', async () => {
    const person = await aPerson(await aServer());
    const made = Array.from(
      { length: 100 },
      (_, index) => `a${index}: createWorkspace(input: { name: "a" }) { __typename }`,
    );
    expect((await person.client.send(`mutation { ${made.join(' ')} }`)).errors).toEqual([]);
    expect(await person.client.run(createDocument, { input: { name: 'one more' } })).toEqual({
      createWorkspace: {
        __typename: 'LimitReachedError',
        code: 'LIMIT_REACHED',
        limit: 100,
        message: 'A user can own at most 100 organizations. Make another member the owner of one first.',
      },
    });
  });
});

describe('suspension', () => {
  test('the keys of a suspended workspace are refused and none can be created, until it is resumed', async () => {
    const server = await aServer();
    const person = await aPerson(server);
    const { personalWorkspaceId: workspaceId } = person;
    const { secret } = await createApiKey(person.client, { name: 'ci' });
    const { suspendWorkspace } = await server.backend.run(suspendDocument, {
      input: { workspaceId, reason: ' Unpaid ' },
    });
    expect(suspendWorkspace).toEqual({
      __typename: 'SuspendWorkspacePayload',
      workspace: { id: workspaceId, suspendedAt: expect.any(String), suspensionReason: 'Unpaid' },
    });
    // The second suspension keeps the first time.
    const again = await server.backend.run(suspendDocument, { input: { workspaceId, reason: 'Again' } });
    expect(again.suspendWorkspace).toEqual(suspendWorkspace);

    expect(await verify(server, secret)).toMatchObject({
      valid: false,
      code: 'WORKSPACE_SUSPENDED',
      rejection: { status: 403, code: 'workspace_suspended', message: 'The workspace is suspended.' },
    });
    expect(await tryCreateApiKey(person.client, { name: 'another' })).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'The workspace is suspended. Ask the operator to resume it.',
    });

    for (const _time of ['once', 'twice']) {
      expect(await server.backend.run(resumeDocument, { input: { workspaceId } })).toEqual({
        resumeWorkspace: {
          __typename: 'ResumeWorkspacePayload',
          workspace: { id: workspaceId, suspendedAt: null, suspensionReason: null },
        },
      });
    }
    expect(await verify(server, secret)).toMatchObject({ valid: true, code: 'VALID' });
  });
});

describe('features', () => {
  test('an admin enables and disables features of customers, and repeating either changes nothing', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const admin = await aMember(server, owner, workspaceId, 'ADMIN');
    const input = { workspaceId, product: 'default', feature: 'exports' };
    const enabled = await admin.client.run(enableDocument, { input });
    expect(enabled).toEqual({
      enableFeature: {
        __typename: 'EnableFeaturePayload',
        workspace: { features: [{ product: 'default', feature: 'exports', enabledAt: expect.any(String) }] },
      },
    });
    expect(await owner.client.run(enableDocument, { input })).toEqual(enabled);
    for (const client of [admin.client, owner.client]) {
      expect(await client.run(disableDocument, { input })).toEqual({
        disableFeature: { __typename: 'DisableFeaturePayload', workspace: { features: [] } },
      });
    }
  });

  test('a feature of the operator can be enabled only by the operator', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const input = { workspaceId, product: 'default', feature: 'preview' };
    expect(await owner.client.run(enableDocument, { input })).toEqual({
      enableFeature: {
        __typename: 'ForbiddenError',
        code: 'FORBIDDEN',
        permission: 'feature:update',
        message: 'Only the operator can enable or disable this feature.',
      },
    });
    expect(await server.backend.run(enableDocument, { input })).toMatchObject({
      enableFeature: { workspace: { features: [{ product: 'default', feature: 'preview' }] } },
    });
  });
});
