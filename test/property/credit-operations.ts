import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { ProductFile } from '../../src/products/product.js';
import type { CaptureChargeInput, GrantCreditsInput, RefundChargeInput } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { type ServerOptions, startServer, type TestServer } from '../harness.js';

const ledgerDocument = graphql(`
  query LedgerOfMovements($workspaceId: ID!, $after: String) {
    credits(workspaceId: $workspaceId) {
      balance
      held
      available
      entries(first: 100, after: $after) {
        nodes { id kind credits heldCredits balanceAfter heldAfter apiKeyId charge { id } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);

const grantDocument = graphql(`
  mutation GrantOfMovements($input: GrantCreditsInput!) {
    grantCredits(input: $input) {
      __typename
      ... on GrantCreditsPayload { replayed entry { id credits balanceAfter heldAfter } }
      ... on Error { code message }
      ... on ValidationError { field }
    }
  }
`);

const captureDocument = graphql(`
  mutation CaptureOfMovements($input: CaptureChargeInput!) {
    captureCharge(input: $input) {
      __typename
      ... on CaptureChargePayload { charge { id credits capturedCredits refundedCredits balanceAfter state } }
      ... on Error { code message }
      ... on ValidationError { field }
    }
  }
`);

const releaseDocument = graphql(`
  mutation ReleaseOfMovements($input: ReleaseChargeInput!) {
    releaseCharge(input: $input) {
      __typename
      ... on ReleaseChargePayload { charge { id credits capturedCredits refundedCredits balanceAfter state } }
      ... on Error { code message }
    }
  }
`);

const refundDocument = graphql(`
  mutation RefundOfMovements($input: RefundChargeInput!) {
    refundCharge(input: $input) {
      __typename
      ... on RefundChargePayload { charge { id credits capturedCredits refundedCredits balanceAfter state } }
      ... on Error { code message }
      ... on ValidationError { field }
    }
  }
`);

export type Ledger = Awaited<ReturnType<typeof readLedger>>;

/** The account of a workspace and its whole ledger, oldest entry first, as seen by the backend. */
export async function readLedger(server: TestServer, workspaceId: string) {
  const pages = [];
  let after: string | null = null;
  for (;;) {
    const page: Awaited<ReturnType<typeof readPage>> = await readPage(server, workspaceId, after);
    pages.push(page);
    after = page.entries.pageInfo.endCursor ?? null;
    if (!page.entries.pageInfo.hasNextPage) break;
  }
  const { balance, held, available } = pages[0] ?? { balance: 0, held: 0, available: 0 };
  return { balance, held, available, entries: pages.flatMap(({ entries }) => entries.nodes).reverse() };
}

async function readPage(server: TestServer, workspaceId: string, after: string | null) {
  const { credits } = await server.backend.run(ledgerDocument, { workspaceId, after });
  if (!credits) throw new Error('A service sees the credits of every workspace.');
  return credits;
}

/** Expects the invariants of a ledger. */
export function expectSoundLedger({ balance, held, available, entries }: Ledger): void {
  let running = { balance: 0, held: 0 };
  for (const entry of entries) {
    running = { balance: running.balance + entry.credits, held: running.held + entry.heldCredits };
    expect({ balance: entry.balanceAfter, held: entry.heldAfter }, `after ${JSON.stringify(entry)}`).toEqual(running);
    expect(running.held).toBeGreaterThanOrEqual(0);
    expect(running.balance).toBeGreaterThanOrEqual(running.held);
  }
  expect({ balance, held, available }).toEqual({ ...running, available: running.balance - running.held });
}

export async function tryGrant(server: TestServer, input: GrantCreditsInput) {
  return (await server.backend.run(grantDocument, { input })).grantCredits;
}

export async function tryCapture(server: TestServer, input: CaptureChargeInput) {
  return (await server.backend.run(captureDocument, { input })).captureCharge;
}

export async function tryRelease(server: TestServer, chargeId: string) {
  return (await server.backend.run(releaseDocument, { input: { chargeId } })).releaseCharge;
}

export async function tryRefund(server: TestServer, input: RefundChargeInput) {
  return (await server.backend.run(refundDocument, { input })).refundCharge;
}

/** A separate server with the given products instead of presets. */
export async function aServerSelling(
  files: readonly ProductFile[],
  options: Omit<ServerOptions, 'products'> = {},
): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tollkeeper-selling-'));
  try {
    const products = files.map(({ slug }, index) => join(folder, `${index}-${slug}.json`));
    await Promise.all(products.map((path, index) => writeFile(path, JSON.stringify(files[index]))));
    return await startServer({ ...options, products });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Counts items by name. */
export function countBy<T>(items: readonly T[], name: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[name(item)] = (counts[name(item)] ?? 0) + 1;
  return counts;
}

/** Runs a function `count` times concurrently. */
export function atOnce<T>(count: number, run: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => run(index)));
}
