import { aPerson, createApiKey } from '../factories.js';
import { graphql } from '../generated/index.js';
import { type Client, expectMember } from '../harness.js';
import type { ServerProcess } from '../process/server-process.js';
import { backendAt } from './request.js';

const createWorkspaceDocument = graphql(`
  mutation CreateWorkspaceOfFaults($input: CreateWorkspaceInput!) {
    createWorkspace(input: $input) { __typename ... on CreateWorkspacePayload { workspace { id } } ... on Error { message } }
  }
`);

const firstGrantDocument = graphql(`
  mutation FirstGrantOfFaults($input: GrantCreditsInput!) {
    grantCredits(input: $input) { __typename ... on GrantCreditsPayload { entry { id } } ... on Error { message } }
  }
`);

/** A workspace with an API key. */
export interface Customer {
  readonly workspaceId: string;
  readonly apiKeyId: string;
  readonly secret: string;
}

/** More than any test spends. */
const firstCredits = 100_000_000;

/** A factory of customers on a server. */
export async function openShop(server: ServerProcess) {
  const { client: owner, token: session } = await aPerson(server);
  const backend = backendAt(server.url);
  return {
    owner,
    /** The session token of the owner, which every server accepts. */
    session,
    backend,
    async aCustomer(product: string): Promise<Customer> {
      const { createWorkspace } = await owner.run(createWorkspaceDocument, { input: { name: product } });
      const { workspace } = expectMember(createWorkspace, 'CreateWorkspacePayload');
      const key = await aKey(owner, workspace.id, product);
      const input = { workspaceId: workspace.id, credits: firstCredits, reason: 'to begin with' };
      expectMember((await backend.run(firstGrantDocument, { input })).grantCredits, 'GrantCreditsPayload');
      return { workspaceId: workspace.id, ...key };
    },
  };
}

/** Creates a key of a workspace. Returns its id and secret. */
export async function aKey(owner: Client, workspaceId: string, product: string) {
  const { apiKey, secret } = await createApiKey(owner, { workspaceId, name: 'ci', product });
  return { apiKeyId: apiKey.id, secret };
}

/** Creates `count` customers of a product. */
export function customersOf(
  shop: Awaited<ReturnType<typeof openShop>>,
  count: number,
  product: string,
): Promise<Customer[]> {
  return Promise.all(Array.from({ length: count }, () => shop.aCustomer(product)));
}
