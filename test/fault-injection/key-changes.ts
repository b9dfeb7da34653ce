import { expect } from 'vitest';
import { revokeApiKey, verify } from '../factories.js';
import { graphql } from '../generated/index.js';
import { type Client, expectMember } from '../harness.js';
import type { Customer } from './customers.js';

const switchDocument = graphql(`
  mutation SwitchOfFaults($input: UpdateApiKeyInput!) {
    updateApiKey(input: $input) { __typename ... on UpdateApiKeyPayload { apiKey { id } } ... on Error { message } }
  }
`);

const suspendDocument = graphql(`
  mutation SuspendOfFaults($input: SuspendWorkspaceInput!) {
    suspendWorkspace(input: $input) { __typename ... on SuspendWorkspacePayload { workspace { id } } ... on Error { message } }
  }
`);

const resumeDocument = graphql(`
  mutation ResumeOfFaults($input: ResumeWorkspaceInput!) {
    resumeWorkspace(input: $input) { __typename ... on ResumeWorkspacePayload { workspace { id } } ... on Error { message } }
  }
`);

/** The clients of a process. */
export interface Process {
  readonly backend: Client;
  /** The owner of all workspaces. */
  readonly owner: Client;
}

/** A change of a key or its workspace, and the result code of verifications after it. */
export interface Change {
  readonly code: 'VALID' | 'DISABLED' | 'WORKSPACE_SUSPENDED' | 'INVALID_CREDENTIAL';
  /** Resolves once the process has acknowledged the change. */
  make(process: Process, subject: Customer): Promise<unknown>;
}

async function switchKey({ owner }: Process, { apiKeyId }: Customer, enabled: boolean): Promise<void> {
  expectMember((await owner.run(switchDocument, { input: { apiKeyId, enabled } })).updateApiKey, 'UpdateApiKeyPayload');
}

const disable: Change = { code: 'DISABLED', make: (process, subject) => switchKey(process, subject, false) };
const enable: Change = { code: 'VALID', make: (process, subject) => switchKey(process, subject, true) };
const suspend: Change = {
  code: 'WORKSPACE_SUSPENDED',
  async make({ backend }, { workspaceId }) {
    expectMember(
      (await backend.run(suspendDocument, { input: { workspaceId } })).suspendWorkspace,
      'SuspendWorkspacePayload',
    );
  },
};
const resume: Change = {
  code: 'VALID',
  async make({ backend }, { workspaceId }) {
    expectMember(
      (await backend.run(resumeDocument, { input: { workspaceId } })).resumeWorkspace,
      'ResumeWorkspacePayload',
    );
  },
};
const revoke: Change = { code: 'INVALID_CREDENTIAL', make: ({ owner }, { apiKeyId }) => revokeApiKey(owner, apiKeyId) };

/** Sequences of changes over the life of a key. */
export const courses: readonly (readonly Change[])[] = [
  [disable, enable, suspend, resume, revoke],
  [suspend, resume, disable, enable, revoke],
  [revoke],
];

/**
 * Makes a change through one process while both verify the key, with and without a charge. Each verification
 * that is sent to the other process after the acknowledgement has the new code; those in flight may have
 * either.
 */
export async function expectSeenAtOnce(
  change: Change,
  subject: Customer,
  { before, through, elsewhere }: { before: Change['code']; through: Process; elsewhere: Process },
): Promise<void> {
  let isAcknowledged = false;
  async function keepVerifying({ backend }: Process, isCharged: boolean) {
    for (let isLast = false; !isLast; ) {
      isLast = isAcknowledged;
      const { code } = await verify({ backend }, subject.secret, isCharged ? { charge: { action: 'call' } } : {});
      if (isLast) expect(code, 'after the change').toBe(change.code);
      else expect([before, change.code]).toContain(code);
    }
  }
  const verifying = [elsewhere, elsewhere, through].map((process, index) => keepVerifying(process, index % 2 === 0));
  const changing = change.make(through, subject).then(async () => {
    isAcknowledged = true;
    // Sent immediately after the acknowledgement.
    const { code } = await verify(elsewhere, subject.secret);
    expect(code, 'the very next verification').toBe(change.code);
  });
  await Promise.all([changing, ...verifying]);
}
