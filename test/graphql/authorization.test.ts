import { GraphQLID, getNamedType, isInputObjectType, isNonNullType } from 'graphql';
import { beforeAll, describe, expect, test } from 'vitest';
import { findIdKind, newId } from '../../src/db/ids.js';
import { type Answer, aServer } from '../harness.js';
import { readDatabaseState } from './database-state.js';
import {
  aPopulatedWorkspace,
  type People,
  type PopulatedWorkspace,
  principalNames,
  somePeople,
} from './populated-workspace.js';
import {
  documentOf,
  rootFields,
  sampleVariables,
  sampleVariablesOf,
  schema,
  type Variables,
} from './sample-operations.js';

/**
 * The result of each root field for each kind of principal, on one organization. `key` is a key of the
 * organization, `foreignKey` a key of another workspace; owner, admin, member and stranger are people.
 *
 * ok: served · null, empty, unknown: same result as for something that does not exist
 * 401: no credential · 403: the kind of credential may not call the field
 * forbidden: ForbiddenError · not-found: NotFoundError
 */
const table = `
                       anonymous  key   foreignKey  owner      admin      member     stranger   service
  viewer               null       ok    ok          ok         ok         ok         ok         ok
  budget               ok         ok    ok          ok         ok         ok         ok         ok
  authenticationFailures 401      403   403         403        403        403        403        ok
  products             ok         ok    ok          ok         ok         ok         ok         ok
  node                 null       ok    null        ok         ok         ok         null       ok
  nodes                empty      ok    empty       ok         ok         ok         empty      ok
  workspaces           401        ok    empty       ok         ok         ok         empty      ok
  workspace            401        ok    null        ok         ok         ok         null       ok
  apiKeys              401        ok    empty       ok         ok         ok         empty      ok
  apiKey               401        ok    null        ok         ok         ok         null       ok
  auditEvents          401        403   403         ok         ok         empty      empty      ok
  credits              401        ok    null        ok         ok         ok         null       ok
  explainVerification  401        403   403         ok         ok         unknown    unknown    ok
  webhookEndpoints     401        403   403         ok         ok         empty      empty      ok
  webhookEndpoint      401        403   403         ok         ok         null       null       ok
  webhookDeliveries    401        403   403         ok         ok         empty      empty      ok
  webhookDelivery      401        403   403         ok         ok         null       null       ok

  createWorkspace      401        403   403         ok         ok         ok         ok         403
  updateWorkspace      401        403   403         ok         ok         forbidden  not-found  ok
  suspendWorkspace     401        403   403         403        403        403        403        ok
  resumeWorkspace      401        403   403         403        403        403        403        ok
  enableFeature        401        403   403         ok         ok         forbidden  not-found  ok
  disableFeature       401        403   403         ok         ok         forbidden  not-found  ok

  inviteMember         401        403   403         ok         ok         forbidden  not-found  ok
  revokeInvitation     401        403   403         ok         ok         forbidden  not-found  ok
  acceptInvitation     401        403   403         ok         not-found  not-found  not-found  403
  updateMember         401        403   403         ok         ok         forbidden  not-found  ok
  removeMember         401        403   403         ok         ok         forbidden  not-found  ok

  createApiKey         401        403   403         ok         ok         forbidden  not-found  ok
  updateApiKey         401        403   403         ok         ok         forbidden  not-found  ok
  rotateApiKey         401        403   403         ok         ok         forbidden  not-found  ok
  retireSecret         401        403   403         ok         ok         forbidden  not-found  ok
  revokeApiKey         401        403   403         ok         ok         forbidden  not-found  ok
  deleteApiKey         401        403   403         ok         ok         forbidden  not-found  ok
  rotateSigningSecret  401        403   403         ok         ok         forbidden  not-found  ok

  createWebhookEndpoint 401       403   403         ok         ok         forbidden  not-found  ok
  updateWebhookEndpoint 401       403   403         ok         ok         not-found  not-found  ok
  deleteWebhookEndpoint 401       403   403         ok         ok         not-found  not-found  ok
  sendTestWebhook      401        403   403         ok         ok         not-found  not-found  ok
  redeliverWebhook     401        403   403         ok         ok         not-found  not-found  ok
  publishEvent         401        403   403         403        403        403        403        ok

  setCreditsLowAt      401        403   403         ok         ok         forbidden  not-found  ok
  grantCredits         401        403   403         403        403        403        403        ok
  captureCharge        401        403   403         403        403        403        403        ok
  releaseCharge        401        403   403         403        403        403        403        ok
  refundCharge         401        403   403         403        403        403        403        ok
  verifyApiKey         401        403   403         403        403        403        403        ok
  verifyApiKeys        401        403   403         403        403        403        403        ok
`;

const [columns = [], ...rows] = table
  .split('\n')
  .map((line) => line.trim())
  .filter((line) => line !== '')
  .map((line) => line.split(/\s+/));

test('the table has one row per root field and one column per kind of principal', () => {
  expect(rows.map(([name]) => name).sort()).toEqual(Object.keys(rootFields).sort());
  expect(columns).toEqual(principalNames);
  expect(Object.keys(sampleVariables).sort()).toEqual(Object.keys(rootFields).sort());
});

let people: People;
/** A populated workspace that no test of this file changes. */
let unchanged: PopulatedWorkspace;
beforeAll(async () => {
  people = await somePeople(await aServer());
  unchanged = await aPopulatedWorkspace(people);
});

/** Samples of webhooks and mutations create keys, and the number of keys per organization is limited. */
function isReadOnly(name: string): boolean {
  return schema.getQueryType()?.getFields()[name] !== undefined && !name.startsWith('webhook');
}

test.each(rows)('%s returns the result in the table to each kind of principal', async (name = '', ...outcomes) => {
  const world = isReadOnly(name) ? unchanged : await aPopulatedWorkspace(people);
  const attempts = principalNames.map((principal, index) => ({
    principal,
    outcome: outcomes[index] ?? 'ok',
    requestId: newId('request'),
  }));
  const send = async ({ principal, outcome, requestId }: (typeof attempts)[number], variables: Variables) => {
    const client = world.clients[principal].with({ ...world.clients[principal].headers, 'x-request-id': requestId });
    const answer = await client.send(documentOf(name), variables);
    expect.soft(shown(answer), `${name} for ${principal}`).toEqual(expected(outcome, name, world));
  };

  const refused = attempts.filter(({ outcome }) => outcome !== 'ok');
  const variables = await sampleVariablesOf(name, world);
  const before = refused.length === 0 ? null : await readDatabaseState();
  for (const attempt of refused) await send(attempt, variables);
  if (before !== null) expect.soft(await readDatabaseState(), name).toEqual(before);
  for (const attempt of attempts)
    if (attempt.outcome === 'ok') await send(attempt, await sampleVariablesOf(name, world));

  const recorded = await recordedOf(
    world,
    attempts.map(({ requestId }) => requestId),
  );
  for (const { principal, outcome, requestId } of attempts) {
    const count = recorded.filter((id) => id === requestId).length;
    expect.soft(count, `${name} for ${principal}`).toBe(isRecorded(outcome, name) ? 1 : 0);
  }
});

/** Those of the request ids for which the audit trail contains a refused attempt, after a flush. */
async function recordedOf(
  { server: { services } }: PopulatedWorkspace,
  requestIds: string[],
): Promise<(string | null)[]> {
  await services.refusals.flush();
  const events = await services.db.auditEvent.findMany({ where: { refused: true, requestId: { in: requestIds } } });
  return events.map(({ requestId }) => requestId);
}

/** A refused mutation of a known principal is recorded, unless its target does not exist. */
function isRecorded(outcome: string, name: string): boolean {
  const isRefused = ['403', 'forbidden', 'not-found'].includes(outcome);
  const isChange = schema.getMutationType()?.getFields()[name] !== undefined;
  const isOnNothing =
    ['verifyApiKey', 'verifyApiKeys'].includes(name) || (name === 'acceptInvitation' && outcome === 'not-found');
  return isRefused && isChange && !isOnNothing;
}

function shown({ status, data, errors }: Answer<Variables>) {
  return { status, data, errors: errors.map(({ message, extensions }) => ({ message, extensions })) };
}

function expected(outcome: string, name: string, world: PopulatedWorkspace) {
  const served = (value: unknown) => ({ status: 200, data: { [name]: value }, errors: [] });
  const refused = (status: number, code: string, data: unknown = null) => ({
    status,
    data,
    errors: [
      {
        message: expect.any(String),
        extensions: expect.objectContaining({ code, requestId: expect.stringMatching(/^req_/) }),
      },
    ],
  });
  switch (outcome) {
    case 'ok':
      return served(visible(name, world));
    case 'null':
      return served(null);
    case 'empty':
      return served(name === 'nodes' ? [null] : { nodes: expect.not.arrayContaining(listed(name, world)) });
    case 'unknown':
      return served({ code: 'INVALID_CREDENTIAL' });
    case '401':
      return refused(401, 'UNAUTHENTICATED');
    case '403':
      // A nullable field becomes null; a non-null field makes the whole data null.
      return refused(200, 'FORBIDDEN', isNonNullType(rootFields[name]?.type) ? null : { [name]: null });
    case 'forbidden':
      return served({
        __typename: 'ForbiddenError',
        code: 'FORBIDDEN',
        message: expect.any(String),
        permission: expect.stringMatching(/^[a-zA-Z]+:[a-z]+$/),
      });
    case 'not-found':
      return served({
        __typename: 'NotFoundError',
        code: 'NOT_FOUND',
        message: expect.stringMatching(/not found/i),
        field: expect.stringMatching(/^input\./),
      });
    default:
      throw new Error(`The table has no outcome ${outcome}.`);
  }
}

const anEndpointId = expect.stringMatching(/^whe_/);
const aDeliveryId = expect.stringMatching(/^whd_/);

/** The result of a root field for a principal with permission. */
function visible(name: string, { organizationId, key, server }: PopulatedWorkspace): unknown {
  const queries: Readonly<Record<string, unknown>> = {
    viewer: { kind: expect.stringMatching(/^(API_KEY|USER|SERVICE)$/) },
    budget: { __typename: 'QueryBudget' },
    products: server.services.products.all.map(({ slug }) => ({ slug })),
    node: { id: organizationId },
    nodes: [{ id: organizationId }],
    workspaces: { nodes: expect.arrayContaining([{ id: organizationId }]) },
    workspace: { id: organizationId },
    apiKeys: { nodes: [{ id: key.id }] },
    apiKey: { id: key.id },
    auditEvents: { nodes: [{ id: expect.stringMatching(/^aud_/) }] },
    authenticationFailures: expect.any(Array),
    credits: { balance: 100 },
    explainVerification: { code: 'VALID' },
    webhookEndpoints: { nodes: [{ id: anEndpointId }] },
    webhookEndpoint: { id: anEndpointId },
    webhookDeliveries: { nodes: [{ id: aDeliveryId }] },
    webhookDelivery: { id: aDeliveryId },
    verifyApiKey: { code: 'VALID' },
    verifyApiKeys: [{ code: 'VALID' }],
  };
  return queries[name] ?? { __typename: `${name.charAt(0).toUpperCase()}${name.slice(1)}Payload` };
}

function listed(name: string, { organizationId, key }: PopulatedWorkspace): unknown[] {
  const ids: Readonly<Record<string, unknown>> = {
    auditEvents: expect.any(String),
    workspaces: organizationId,
    webhookEndpoints: anEndpointId,
    webhookDeliveries: aDeliveryId,
  };
  return [{ id: ids[name] ?? key.id }];
}

/** Root fields with an id argument that people may call, and the path of the input that contains the id. */
const byId = Object.entries(rootFields).flatMap(([name, field]) => {
  const people = rows.find(([row]) => row === name)?.[1 + principalNames.indexOf('owner')];
  return people === 'ok' ? findIds(field).map((path) => [name, path] as const) : [];
});

describe('foreign, unknown and malformed ids', () => {
  let world: PopulatedWorkspace;
  beforeAll(async () => {
    world = await aPopulatedWorkspace(people);
  });

  test.each(byId)('%s by %s returns the same result for all of them', async (name, path) => {
    const { stranger } = world.clients;
    const variables = await sampleVariablesOf(name, world);
    const ask = async (id: string) =>
      shownWithoutRequest(await stranger.send(documentOf(name), withId(variables, path, id)));
    const foreign = await ask(readId(variables, path));
    expect(await ask(sameKindOfId(readId(variables, path)))).toEqual(foreign);
    expect(await ask('nonsense')).toEqual(foreign);
    expect(await ask('')).toEqual(foreign);
  });

  test('the message for one kind of id is the same in every root field', async () => {
    const another = await aPopulatedWorkspace(people);
    const messages = new Map<string, Set<unknown>>();
    for (const [name, path] of byId) {
      const { data } = await another.clients.stranger.send(documentOf(name), await sampleVariablesOf(name, another));
      const result = data?.[name];
      if (typeof result !== 'object' || result === null || !('message' in result)) continue;
      messages.set(path, (messages.get(path) ?? new Set()).add(result.message));
    }
    expect(Object.fromEntries([...messages].map(([path, { size }]) => [path, size]))).toEqual({
      'input.workspaceId': 1,
      'input.apiKeyId': 1,
      'input.invitationId': 1,
      'input.memberId': 1,
      'input.endpointId': 1,
      'input.deliveryId': 1,
      'input.secretId': 1,
    });
  });
});

function findIds({ args }: (typeof rootFields)[string]): string[] {
  return args.flatMap((arg) => {
    const type = getNamedType(arg.type);
    if (type === GraphQLID) return [arg.name];
    if (!isInputObjectType(type)) return [];
    const fields = Object.values(type.getFields());
    return fields.filter((field) => getNamedType(field.type) === GraphQLID).map(({ name }) => `${arg.name}.${name}`);
  });
}

function readId(variables: Variables, path: string): string {
  const value = path.split('.').reduce<unknown>((at, step) => (at as Variables)[step], variables);
  return String(Array.isArray(value) ? value[0] : value);
}

function withId(variables: Variables, path: string, id: string): Variables {
  const [step = '', field] = path.split('.');
  if (field !== undefined) return { ...variables, [step]: { ...(variables[step] as Variables), [field]: id } };
  return { ...variables, [step]: Array.isArray(variables[step]) ? [id] : id };
}

function sameKindOfId(id: string): string {
  return newId(findIdKind(id) ?? 'workspace');
}

function shownWithoutRequest(answer: Answer<Variables>) {
  const { status, data, errors } = shown(answer);
  return {
    status,
    data,
    errors: errors.map(({ message, extensions }) => ({ message, ...extensions, requestId: null })),
  };
}
