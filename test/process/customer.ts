import { aPerson, createApiKey } from '../factories.js';
import { graphql } from '../generated/index.js';
import type { Client } from '../harness.js';
import type { ServerProcess } from './server-process.js';

const creditsDocument = graphql(`
  query CreditsOfProcess {
    credits { balance entries(first: 100) { nodes { reason } } }
  }
`);

const grantDocument = graphql(`
  mutation GrantOfProcess($input: GrantCreditsInput!) {
    grantCredits(input: $input) { __typename ... on GrantCreditsPayload { entry { id } } ... on Error { message } }
  }
`);

const viewerDocument = graphql(`
  query ViewerOfProcess {
    viewer { kind user { name } workspace { id } }
  }
`);

/** A client with a service token or a session token. */
export function withToken(server: ServerProcess, token: string): Client {
  return server.anonymous.with({ authorization: `Bearer ${token}` });
}

export async function viewerOf(client: Client) {
  return (await client.run(viewerDocument)).viewer;
}

/** A person with an API key and its secret. */
export async function aCustomerWithKey(server: ServerProcess) {
  const { client: customer, token: session, personalWorkspaceId: workspaceId } = await aPerson(server);
  const { secret } = await createApiKey(customer, { name: 'laptop' });
  return { customer, session, secret, workspaceId };
}

/** The balance and the reasons of the latest 100 ledger entries. */
export async function creditsOf(customer: Client) {
  const { credits } = await customer.run(creditsDocument);
  if (!credits) throw new Error('A person sees their credits.');
  return { balance: credits.balance, reasons: credits.entries.nodes.map(({ reason }) => reason) };
}

/** Grants one credit. Resolves once the server has acknowledged it. */
export async function grantOne(backend: Client, workspaceId: string, reason: string): Promise<void> {
  const { grantCredits } = await backend.run(grantDocument, { input: { workspaceId, credits: 1, reason } });
  if (grantCredits.__typename !== 'GrantCreditsPayload') throw new Error(JSON.stringify(grantCredits));
}
