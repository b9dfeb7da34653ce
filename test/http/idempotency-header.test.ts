import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { aPerson } from '../factories.js';
import { aServer } from '../harness.js';
import { createKey, first, keysOf, refusal, rename, replayed, replayOf, under } from './idempotent-requests.js';

describe('the Idempotency-Key header', () => {
  const noKeys = [
    ['empty', ''],
    ['256 characters long', 'k'.repeat(256)],
    ['a list of two keys', 'one, two'],
    ['quoted on one side only', '"key'],
    ['quoted and empty', '""'],
    ['quoted with 256 characters', `"${'k'.repeat(256)}"`],
    ['not ASCII', 'schl\u00fcssel'],
  ] as const;

  test.each(noKeys)('is refused with 400 when it is %s', async (_what, key) => {
    const server = await aServer();
    const owner = await aPerson(server);
    const answer = await under(owner.client, key).send(createKey, { input: { name: 'ci' } });
    expect(refusal(answer)).toMatchObject({ status: 400, data: null, codes: ['BAD_USER_INPUT'] });
    expect(answer.errors[0]?.extensions?.field).toBe('Idempotency-Key');
    expect(await keysOf(server, owner.personalWorkspaceId)).toBe(0);
  });

  test.each([
    ['255 characters', 'k'.repeat(255), 'k'.repeat(255)],
    ['spaces and escaped quotes in a quoted string', '"a \\"b\\" c"', '"a \\"b\\" c"'],
    ['255 characters in quotes, which are equal to those without', `"${'k'.repeat(255)}"`, 'k'.repeat(255)],
  ])('accepts %s', async (_what, key, again) => {
    const server = await aServer();
    const owner = await aPerson(server);
    const { personalWorkspaceId: workspaceId } = owner;
    const ask = (sent: string) => under(owner.client, sent).send(rename, { input: { workspaceId, name: 'Renamed' } });
    expect(replayOf(await ask(key))).toEqual(first);
    expect(replayOf(await ask(again))).toEqual(replayed);
  });

  test.each([
    [
      'aliases',
      'mutation ($input: CreateApiKeyInput!) { one: createApiKey(input: $input) { __typename } two: createApiKey(input: $input) { __typename } }',
    ],
    [
      'a fragment',
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { __typename } ...Other } fragment Other on Mutation { two: createApiKey(input: $input) { __typename } }',
    ],
    [
      'an inline fragment',
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { __typename } ... on Mutation { ... { two: createApiKey(input: $input) { __typename } } } }',
    ],
  ])('is refused for a document with several mutations, by %s', async (_how, document) => {
    const server = await aServer();
    const owner = await aPerson(server);
    const answer = await under(owner.client, randomUUID()).send(document, { input: { name: 'ci' } });
    expect(refusal(answer)).toEqual({
      status: 400,
      data: null,
      codes: ['BAD_USER_INPUT'],
      messages: [
        'An Idempotency-Key covers one mutation, and this document has several. Send each in a request of its own, with its own key.',
      ],
    });
    expect(answer.errors[0]?.extensions?.field).toBe('Idempotency-Key');
    expect(await keysOf(server, owner.personalWorkspaceId)).toBe(0);
  });

  test('is accepted for a mutation that is selected twice or beside a skipped one', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const document = `mutation ($input: CreateApiKeyInput!) {
      __typename createApiKey(input: $input) { __typename } createApiKey(input: $input) { ... on Error { message } }
      other: createApiKey(input: $input) @skip(if: true) { __typename } }`;
    const answer = await under(owner.client, randomUUID()).send(document, { input: { name: 'ci' } });
    expect(answer.data).toEqual({ __typename: 'Mutation', createApiKey: { __typename: 'CreateApiKeyPayload' } });
  });

  test('is ignored for a query', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const keyed = under(owner.client, randomUUID());
    for (let times = 0; times < 2; times += 1) {
      const answer = await keyed.send('{ viewer { kind } products { slug } }');
      expect(answer).toMatchObject({ status: 200, errors: [] });
      expect(replayOf(answer)).toEqual(first);
    }
    const byGet = await server.fetch(`/graphql?query=${encodeURIComponent('{ viewer { kind } }')}`, {
      headers: { ...owner.client.headers, 'idempotency-key': '"no key', accept: 'application/json' },
    });
    expect(byGet.status).toBe(200);
  });
});

test('pages of allowed origins may send Idempotency-Key and read the replay headers', async () => {
  const server = await aServer();
  const origin = 'https://keys.example.com';
  const preflight = await server.fetch('/graphql', {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'idempotency-key' },
  });
  expect(preflight.headers.get('access-control-allow-headers')).toBe('idempotency-key');
  const answer = await server.fetch('/graphql', {
    method: 'POST',
    headers: { origin, 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ viewer { kind } }' }),
  });
  const exposed = answer.headers.get('access-control-expose-headers');
  for (const name of ['idempotency-replayed', 'idempotency-body-differs', 'retry-after'])
    expect(exposed).toContain(name);
});
