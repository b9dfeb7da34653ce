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

/** A client with a service token or the token of a session. */
export function withToken(server: ServerProcess, token: string): Client {
  return server.anonymous.with({ authorization: `Bearer ${token}` });
}

export async function viewerOf(client: Client) {
  return (await client.run(viewerDocument)).viewer;
}

/** A person with a key, and what the key came with. */
export async function aCustomerWithKey(server: ServerProcess) {
  const { client: customer, token: session, personalWorkspaceId: workspaceId } = await aPerson(server);
  const { secret } = await createApiKey(customer, { name: 'laptop' });
  return { customer, session, secret, workspaceId };
}

/** The balance, and the reasons of the last hundred entries. */
export async function creditsOf(customer: Client) {
  const { credits } = await customer.run(creditsDocument);
  if (!credits) throw new Error('A person sees their credits.');
  return { balance: credits.balance, reasons: credits.entries.nodes.map(({ reason }) => reason) };
}

/** Adds one credit; it is back once the server said so. */
export async function grantOne(backend: Client, workspaceId: string, reason: string): Promise<void> {
  const { grantCredits } = await backend.run(grantDocument, { input: { workspaceId, credits: 1, reason } });
  if (grantCredits.__typename !== 'GrantCreditsPayload') throw new Error(JSON.stringify(grantCredits));
}
