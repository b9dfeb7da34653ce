import { randomUUID } from 'node:crypto';
import { getNamedType, isInterfaceType, isLeafType, isObjectType, isRequiredArgument, isUnionType } from 'graphql';
import { beforeAll, expect, test } from 'vitest';
import { readDatabaseState } from '../graphql/database-state.js';
import { aPopulatedWorkspace, type PopulatedWorkspace } from '../graphql/populated-workspace.js';
import { documentOf, getRootField, sampleVariablesOf, schema, type Variables } from '../graphql/sample-operations.js';

const mutations = Object.keys(schema.getMutationType()?.getFields() ?? {});

/** Fields that may differ in a replay: current state, and the replay marker itself. */
const shownAsOfNow = new Set(['rateLimits', 'headers', 'lastUsedAt', 'replayed', 'usage']);

/** Selects all fields without required arguments, deep enough to show everything that a mutation creates. */
function wholeSelectionOf(type: unknown, depth = 3): string {
  const named = getNamedType(type as Parameters<typeof getNamedType>[0]);
  if (isUnionType(named)) {
    const members = named.getTypes().filter(({ name }) => name.endsWith('Payload'));
    return `{ __typename ... on Error { code message } ${members.map((member) => `... on ${member.name} ${wholeSelectionOf(member, depth)}`).join(' ')} }`;
  }
  if (!isObjectType(named) && !isInterfaceType(named)) return '';
  const fields = Object.values(named.getFields())
    .filter((field) => !field.args.some(isRequiredArgument) && !shownAsOfNow.has(field.name))
    .map((field) => {
      const of = getNamedType(field.type);
      if (isLeafType(of)) return field.name;
      return depth === 0 || of.name.endsWith('Connection') ? '' : `${field.name} ${wholeSelectionOf(of, depth - 1)}`;
    });
  return `{ __typename ${fields.join(' ')} }`;
}

function wholeDocumentOf(name: string): string {
  const [head = ''] = documentOf(name).split(` { ${name}`);
  const { args, type } = getRootField(name);
  const given = args.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  return `${head} { ${name}(${given}) ${wholeSelectionOf(type)} }`;
}

/** A client that may run the sample of a mutation. */
function callerOf(name: string, { clients }: PopulatedWorkspace) {
  return name === 'createWorkspace' || name === 'acceptInvitation' ? clients.owner : clients.service;
}

let world: PopulatedWorkspace;
beforeAll(async () => {
  world = await aPopulatedWorkspace();
});

test.each(mutations)(
  '%s with an Idempotency-Key runs once, and a repeated request returns the same result',
  async (name) => {
    const caller = callerOf(name, world);
    const keyed = caller.with({ ...caller.headers, 'idempotency-key': randomUUID() });
    const variables = await sampleVariablesOf(name, world);
    const document = wholeDocumentOf(name);
    const original = await keyed.send<Variables>(document, variables);
    expect(original.errors).toEqual([]);
    expect(JSON.stringify(original.data)).not.toContain('Error');
    expect(original.headers.get('idempotency-replayed')).toBeNull();
    const before = await readDatabaseState();

    const repeated = await keyed.send<Variables>(document, variables);
    expect(repeated.errors).toEqual([]);
    expect(repeated.data).toEqual(original.data);
    expect(repeated.headers.get('idempotency-replayed')).toBe('true');
    expect(repeated.headers.get('idempotency-body-differs')).toBeNull();
    expect(await readDatabaseState()).toEqual(before);
  },
);
