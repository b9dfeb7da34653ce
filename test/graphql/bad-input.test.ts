import { GraphQLID, type GraphQLInputType, GraphQLString, isInputObjectType, isListType, isNonNullType } from 'graphql';
import { describe, expect, test } from 'vitest';
import type { Answer, Client } from '../harness.js';
import { type BadValue, badValues } from './bad-values.js';
import { readDatabaseState } from './database-state.js';
import { documentOf, rootFields, specimenOf, type Variables } from './specimens.js';
import { aWorld, type World } from './world.js';

/** Who is served what a specimen asks for. */
function callerOf(name: string, { clients }: World): Client {
  return name === 'createWorkspace' || name === 'acceptInvitation' ? clients.owner : clients.service;
}

/** Words that only this server's inside uses. */
const inside = /prisma|postgres|pglite|\bsql|constraint|relation "|node_modules|\bat \S+ \(|\.(ts|js)\b|stack/i;

/** Sends each bad value in the place of the good one, and sees that the error names it and that nothing was written. */
async function expectRefusals(name: string, cases: readonly [path: string, ...BadValue][]): Promise<void> {
  const world = await aWorld();
  const good = await specimenOf(name, world);
  let before = await readDatabaseState();
  for (const [path, what, value, field = path] of cases) {
    const answer = await callerOf(name, world).send(documentOf(name), replaceAt(good, path.split('.'), value));
    const label = `${name}, ${path} ${what}`;
    expect
      .soft(refusalOf(name, answer), label)
      .toEqual({ code: expect.stringMatching(/^(BAD_USER_INPUT|NOT_FOUND)$/), field });
    expect.soft(JSON.stringify([answer.data, answer.errors]), label).not.toMatch(inside);
    const after = await readDatabaseState();
    expect.soft(after, label).toEqual(before);
    before = after;
  }
}

/** The code and the field of the one error of an answer, be it a member of a result or an error of the request. */
function refusalOf(name: string, { data, errors }: Answer<Variables>): unknown {
  const [error, ...others] = errors;
  if (others.length > 0) return errors;
  if (error !== undefined) return { code: error.extensions?.code, field: error.extensions?.field };
  const result = data?.[name];
  return typeof result === 'object' && result !== null && 'field' in result && 'code' in result
    ? { code: result.code, field: result.field }
    : result;
}

function replaceAt(good: unknown, [step, ...rest]: string[], value: unknown): Variables {
  if (step === undefined) return good as Variables;
  const part = (good as Variables | undefined)?.[step];
  const replaced = { [step]: rest.length === 0 ? value : replaceAt(part, rest, value) };
  return Object.assign(Array.isArray(good) ? [...good] : { ...(good as Variables) }, replaced);
}

const cases = Object.entries(badValues).map(([name, byPath]): [string, [path: string, ...BadValue][]] => [
  name,
  Object.entries(byPath).flatMap(([path, values]) => values.map((value): [string, ...BadValue] => [path, ...value])),
]);

describe('a value that cannot be is refused by name, and nothing is written', () => {
  test.each(cases)('%s', (name, its) => expectRefusals(name, its));

  test('every root field that takes an input is in the table', () => {
    const takesInput = Object.values(rootFields).filter(({ args }) => args.some(({ name }) => /^inputs?$/.test(name)));
    expect(Object.keys(badValues)).toEqual(expect.arrayContaining(takesInput.map(({ name }) => name)));
  });
});

/** What PostgreSQL cannot store, and what no text can hold. */
const unstorable = {
  'NUL alone': '\0',
  'NUL within': 'a\0b',
  'half a surrogate pair': '\ud800',
  'the other half': 'a\udfffb',
};

describe('a text that cannot be stored is refused by name, in every input that is a text', () => {
  const withTexts = Object.values(rootFields)
    .map((field): [string, string[]] => [field.name, field.args.flatMap((arg) => findTexts(arg.name, arg.type))])
    // Whatever id these are asked for, what does not exist is null.
    .filter(([name, paths]) => paths.length > 0 && name !== 'node' && name !== 'nodes');

  test.each(withTexts)('%s', (name, paths) =>
    expectRefusals(
      name,
      paths
        .flatMap((path) =>
          Object.entries(unstorable).map(([what, value]): [string, ...BadValue] => {
            // A list has one item, and it is the bad one. The pair stands in the place of the bearer token.
            const list = path.endsWith('.0') && !path.startsWith('inputs');
            const target = list ? path.slice(0, -2) : path;
            return path.includes('.pair.')
              ? [
                  path.replace(/\.pair\..*/, ''),
                  what,
                  { pair: { keyId: 'a', secret: 'a', [path.replace(/.*\./, '')]: value } },
                  path,
                ]
              : [target, what, list || path.endsWith('requires.0') ? [value] : value, path];
          }),
        )
        .map(([path, ...rest]): [string, ...BadValue] => [
          path.endsWith('requires.0') ? path.slice(0, -2) : path,
          ...rest,
        ]),
    ),
  );
});

function findTexts(path: string, type: GraphQLInputType): string[] {
  if (isNonNullType(type)) return findTexts(path, type.ofType);
  if (isListType(type)) return findTexts(`${path}.0`, type.ofType);
  if (isInputObjectType(type)) {
    return Object.values(type.getFields()).flatMap((field) => findTexts(`${path}.${field.name}`, field.type));
  }
  return type === GraphQLString || type === GraphQLID ? [path] : [];
}

describe('a quantity that JSON or GraphQL can write and no charge can take', () => {
  test.each(['1e999', '-1e999', '0.0', '-0.0', '-1e-300', '1e308'])('%s is refused by name', async (quantity) => {
    const { clients, key } = await aWorld();
    const charge = `{ action: "request", quantity: ${quantity} }`;
    const { data, errors } = await clients.service.send(
      `mutation { verifyApiKey(input: { credential: { bearer: "${key.secret}" }, charge: ${charge} }) { code } }`,
    );
    expect({ data, errors: errors.map(({ extensions }) => extensions) }).toEqual({
      data: null,
      errors: [{ code: 'BAD_USER_INPUT', field: 'input.charge.quantity', requestId: expect.stringMatching(/^req_/) }],
    });
  });

  test('1e-300 of a unit is above zero, so it costs one credit', async () => {
    const { clients, key } = await aWorld();
    const { data } = await clients.service.send(
      'mutation ($input: VerifyApiKeyInput!) { verifyApiKey(input: $input) { code charge { quantity credits } } }',
      { input: { credential: { bearer: key.secret }, charge: { action: 'request', quantity: 1e-300 } } },
    );
    expect(data).toEqual({ verifyApiKey: { code: 'VALID', charge: { quantity: 1e-300, credits: 1 } } });
  });
});
