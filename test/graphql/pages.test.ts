import { describe, expect, test } from 'vitest';
import { anOrganization, aPerson, createApiKey, grantCredits, join, type Person } from '../factories.js';
import { aServer, type Client, type TestServer } from '../harness.js';
import { readStatements } from './read-statements.js';

/** More than one page of 100. */
const itemCount = 104;

interface Page {
  readonly edges: readonly { readonly cursor: string; readonly node: { readonly id: string } }[];
  readonly nodes: readonly { readonly id: string }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

interface PageArgs {
  readonly first?: number;
  readonly last?: number;
  readonly after?: string | null;
  readonly before?: string | null;
}

const page =
  '{ edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }';
const declared = '($workspaceId: ID!, $first: Int, $last: Int, $after: String, $before: String)';
const given = 'first: $first, last: $last, after: $after, before: $before';

/** The paged fields, and the documents that request them. */
const connections = {
  'Query.apiKeys': `query ${declared} { page: apiKeys(workspaceId: $workspaceId, ${given}) ${page} }`,
  'Query.auditEvents': `query ${declared} { page: auditEvents(workspaceId: $workspaceId, filter: { action: "apiKey.created" }, ${given}) ${page} }`,
  'Workspace.apiKeys': `query ${declared} { parent: workspace(id: $workspaceId) { page: apiKeys(${given}) ${page} } }`,
  'Credits.entries': `query ${declared} { parent: credits(workspaceId: $workspaceId) { page: entries(${given}) ${page} } }`,
} as const;
type ConnectionName = keyof typeof connections;
const names = Object.keys(connections) as ConnectionName[];

async function ask(name: ConnectionName, client: Client, workspaceId: string, args: PageArgs): Promise<Page> {
  const { data, errors } = await client.send<{ page?: Page; parent?: { page: Page } }>(connections[name], {
    workspaceId,
    ...args,
  });
  const found = data?.parent?.page ?? data?.page;
  if (found === undefined) throw new Error(JSON.stringify(errors));
  return found;
}

/** A person whose personal workspace has `itemCount` keys and, with the grants, as many ledger entries. */
async function aPersonWithMany(server: TestServer): Promise<Person> {
  const person = await aPerson(server);
  const perRequest = 26;
  const aliases = (field: (index: number) => string) =>
    Array.from({ length: perRequest }, (_, index) => `a${index}: ${field(index)}`).join(' ');
  const workspaceId = person.personalWorkspaceId;
  for (let made = 0; made < itemCount; made += perRequest) {
    const keys = aliases(
      (index) => `createApiKey(input: { name: "${made + index}", product: "craftkit" }) { __typename }`,
    );
    const grants = aliases(() => `grantCredits(input: { workspaceId: "${workspaceId}", credits: 1 }) { __typename }`);
    expect((await person.client.send(`mutation { ${keys} }`)).errors).toEqual([]);
    expect((await server.backend.send(`mutation { ${grants} }`)).errors).toEqual([]);
  }
  return person;
}

const idsOf = ({ nodes }: Page) => nodes.map(({ id }) => id);

describe(`a list of ${itemCount}`, () => {
  test.each([1, 7, 100])('can be paged in both directions by %i without gaps or duplicates', async (size) => {
    const { client, personalWorkspaceId: workspaceId } = await theOneWithMany();
    for (const name of names) {
      const forwards: string[] = [];
      for (let after: string | null = null, more = true; more && forwards.length < limitOf(size); ) {
        const found: Page = await ask(name, client, workspaceId, { first: size, after });
        expect(found.pageInfo.hasPreviousPage, name).toBe(after !== null);
        expect(found.edges.map(({ node }) => node.id)).toEqual(idsOf(found));
        expect(found.pageInfo.startCursor).toBe(found.edges[0]?.cursor);
        expect(found.pageInfo.endCursor).toBe(found.edges.at(-1)?.cursor);
        forwards.push(...idsOf(found));
        after = found.pageInfo.endCursor;
        more = found.pageInfo.hasNextPage;
      }
      const backwards: string[] = [];
      for (let before: string | null = null, more = true; more && backwards.length < limitOf(size); ) {
        const found: Page = await ask(name, client, workspaceId, { last: size, before });
        expect(found.pageInfo.hasNextPage, name).toBe(before !== null);
        backwards.unshift(...idsOf(found));
        before = found.pageInfo.startCursor;
        more = found.pageInfo.hasPreviousPage;
      }
      const newestFirst = [...forwards].sort().reverse();
      expect(new Set(forwards).size, name).toBe(Math.min(itemCount, limitOf(size)));
      expect(forwards, name).toEqual(newestFirst);
      if (size > 1) expect(backwards, name).toEqual(forwards);
    }
  });

  test('has 20 items per page by default', async () => {
    const { client, personalWorkspaceId: workspaceId } = await theOneWithMany();
    for (const name of names) {
      const { nodes, pageInfo } = await ask(name, client, workspaceId, {});
      expect(nodes.length, name).toBe(20);
      expect(pageInfo, name).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
    }
  });

  test('ends with an empty page and hasNextPage: false', async () => {
    const { client, personalWorkspaceId: workspaceId } = await theOneWithMany();
    for (const name of names) {
      const { pageInfo } = await ask(name, client, workspaceId, { last: 1 });
      expect(await ask(name, client, workspaceId, { first: 5, after: pageInfo.endCursor }), name).toEqual({
        edges: [],
        nodes: [],
        pageInfo: { hasNextPage: false, hasPreviousPage: true, startCursor: null, endCursor: null },
      });
    }
  });

  test.each(['Query.apiKeys', 'Workspace.apiKeys'] as const)(
    'continues after the cursor while items are added and removed, even if its own item is removed (%s)',
    async (name) => {
      const { client, personalWorkspaceId: workspaceId } = await aPerson(await aServer());
      const made: string[] = [];
      for (const each of ['first', 'second', 'third', 'fourth'])
        made.push((await createApiKey(client, { name: each })).apiKey.id);
      const [first = '', second = '', third = '', fourth = ''] = made;
      const page = await ask(name, client, workspaceId, { first: 2 });
      expect(idsOf(page)).toEqual([fourth, third]);
      await createApiKey(client, { name: 'fifth' });
      await client.send('mutation ($id: ID!) { deleteApiKey(input: { apiKeyId: $id }) { __typename } }', { id: third });
      const next = await ask(name, client, workspaceId, { first: 2, after: page.pageInfo.endCursor });
      expect(idsOf(next)).toEqual([second, first]);
    },
  );

  test('uses the same cursors in top-level and nested fields', async () => {
    const { client, personalWorkspaceId: workspaceId } = await theOneWithMany();
    const top = await ask('Query.apiKeys', client, workspaceId, { first: 3 });
    const nested = await ask('Workspace.apiKeys', client, workspaceId, { first: 3 });
    expect(nested).toEqual(top);
  });
});

/** Twenty pages of one item show as much as all of them. */
const limitOf = (size: number) => (size === 1 ? 20 : itemCount);

let many: Promise<Person> | undefined;
function theOneWithMany(): Promise<Person> {
  many ??= aServer().then(aPersonWithMany);
  return many;
}

describe('invalid page arguments', () => {
  const cursor = 'R1BDOlM6a2V5XzAxYTFmOWY1N2Q0OTc0M2M5NGIyMmM0ZDQ4NTE5ZjY5';
  test.each<[string, string, Record<string, unknown>]>([
    ['first', 'no item', { first: 0 }],
    ['first', 'fewer than none', { first: -1 }],
    ['first', 'more than 100', { first: 101 }],
    ['first', 'as many as an Int holds', { first: 2_147_483_647 }],
    ['last', 'no item', { last: 0 }],
    ['last', 'fewer than none', { last: -1 }],
    ['last', 'more than 100', { last: 101 }],
    ['last', 'both ends at once', { first: 1, last: 1 }],
    ['before', 'both sides at once', { after: cursor, before: cursor }],
    ['before', 'the start of what is before', { first: 1, before: cursor }],
    ['after', 'the end of what is after', { last: 1, after: cursor }],
    ['after', 'a word', { after: 'nonsense' }],
    ['after', 'an empty text', { after: '' }],
    ['before', 'a bare id', { before: 'key_01a1f9f57d49743c94b22c4d48519f69' }],
    ['after', 'another kind of cursor', { after: Buffer.from('GPC:N:1').toString('base64') }],
    ['after', 'a cursor of what is no id', { after: Buffer.from('GPC:S:nonsense').toString('base64') }],
    ['after', 'a NUL', { after: 'R1BD\0' }],
    ['before', 'a NUL in base64', { before: Buffer.from('GPC:S:\0').toString('base64') }],
    ['before', 'half of a surrogate pair', { before: '\ud800' }],
    ['after', '10,000 characters', { after: 'A'.repeat(10_000) }],
  ])('%s is refused with its name: %s', async (field, _what, args) => {
    const { client, personalWorkspaceId: workspaceId } = await theOneWithMany();
    for (const name of names) {
      const { status, data, errors } = await client.send(connections[name], { workspaceId, ...args });
      expect(status, name).toBe(200);
      expect(data?.page ?? data?.parent ?? null, name).toBeNull();
      expect(errors, name).toEqual([
        expect.objectContaining({
          message: expect.any(String),
          extensions: { code: 'BAD_USER_INPUT', field, requestId: expect.stringMatching(/^req_/) },
        }),
      ]);
    }
  });

  test('a cursor of an item that does not exist returns an empty page', async () => {
    const { client, personalWorkspaceId: workspaceId } = await theOneWithMany();
    for (const name of ['Query.apiKeys', 'Workspace.apiKeys'] as const) {
      const { nodes, pageInfo } = await ask(name, client, workspaceId, { first: 100, after: cursor });
      expect({ nodes, pageInfo }, name).toEqual({
        nodes: [],
        pageInfo: { hasNextPage: false, hasPreviousPage: true, startCursor: null, endCursor: null },
      });
    }
  });
});

describe('nested pages take the same number of statements, however many parents and items there are', () => {
  /** An owner of organizations, each with two members, an invitation, two keys, two ledger entries. */
  async function anOwnerOf(server: TestServer, organizations: number): Promise<Client> {
    const owner = await aPerson(server);
    const other = await aPerson(server);
    for (let made = 0; made < organizations; made += 1) {
      const workspaceId = await anOrganization(owner);
      await join(owner, workspaceId, other, 'ADMIN');
      for (const { client } of [owner, other]) await createApiKey(client, { workspaceId, name: 'one each' });
      await grantCredits(server, workspaceId, 1);
      await owner.client.send(
        'mutation ($id: ID!) { inviteMember(input: { workspaceId: $id, email: "a@example.com", role: MEMBER }) { __typename } }',
        { id: workspaceId },
      );
      await server.backend.send(
        'mutation ($id: ID!) { enableFeature(input: { workspaceId: $id, product: "default", feature: "exports" }) { __typename } }',
        { id: workspaceId },
      );
    }
    return owner.client;
  }

  const selections = {
    members: 'members { nodes { user { email } workspace { name features { feature } } } }',
    invitations: 'invitations { nodes { invitedBy { email } workspace { name } } }',
    apiKeys: 'apiKeys { nodes { preview signingSecretPreview createdBy { name } workspace { name } } }',
    credits: 'credits { balance entries { nodes { credits charge { state } } } }',
    features: 'features { feature }',
  };

  test('for every relation of a workspace', async () => {
    const server = await aServer();
    const few = await anOwnerOf(server, 1);
    const several = await anOwnerOf(server, 5);
    const counts: Record<string, [few: number, several: number]> = {};
    for (const [name, selection] of Object.entries(selections)) {
      const document = `{ workspaces { nodes { id ${selection} } } }`;
      const count = async (client: Client) =>
        (await readStatements(async () => expect((await client.send(document)).errors).toEqual([]))).length;
      counts[name] = [await count(few), await count(several)];
    }
    expect(counts).toEqual(Object.fromEntries(Object.entries(counts).map(([name, [least]]) => [name, [least, least]])));
  });

  test('for a top-level list', async () => {
    const server = await aServer();
    const clients = [await anOwnerOf(server, 1), await anOwnerOf(server, 5)];
    const document =
      '{ apiKeys { nodes { preview signingSecretPreview createdBy { name } workspace { name members { nodes { user { name } } } } } } }';
    const counts: number[] = [];
    for (const client of clients) counts.push((await readStatements(() => client.send(document))).length);
    expect(counts[1]).toBe(counts[0]);
  });
});
