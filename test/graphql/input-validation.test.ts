import {
  GraphQLID,
  type GraphQLInputType,
  GraphQLString,
  getNamedType,
  isInputObjectType,
  isListType,
  isNonNullType,
} from 'graphql';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Answer, Client } from '../harness.js';
import { readDatabaseState } from './database-state.js';
import { anyValue, type BadValue, badValues, shownElsewhere } from './invalid-values.js';
import { aPopulatedWorkspace, type PopulatedWorkspace } from './populated-workspace.js';
import { documentOf, rootFields, sampleVariablesOf, type Variables } from './sample-operations.js';

/** A principal that is authorized for the sample of a root field. */
function callerOf(name: string, { clients }: PopulatedWorkspace): Client {
  return name === 'createWorkspace' || name === 'acceptInvitation' ? clients.owner : clients.service;
}

/** Words of implementation details, which no message may contain. */
const inside = /prisma|postgres|pglite|\bsql|constraint|relation "|node_modules|\bat \S+ \(|\.(ts|js)\b|stack/i;

let world: PopulatedWorkspace;
beforeAll(async () => {
  world = await aPopulatedWorkspace();
});

/** Sends each invalid value in a valid input. Expects an error with the field name, and no write. */
async function expectRefusals(name: string, casesByPath: ReadonlyMap<string, readonly BadValue[]>): Promise<void> {
  const good = await sampleVariablesOf(name, world);
  let before = await readDatabaseState();
  for (const [path, cases] of casesByPath) {
    for (const [what, value, field = path] of cases) {
      const answer = await callerOf(name, world).send(documentOf(name), replaceAt(good, path.split('.'), value));
      const label = `${name}, ${path} ${what}`;
      expect
        .soft(refusalOf(name, answer), label)
        .toEqual({ code: expect.stringMatching(/^(BAD_USER_INPUT|NOT_FOUND)$/), field });
      expect.soft(JSON.stringify([answer.data, answer.errors]), label).not.toMatch(inside);
    }
    const after = await readDatabaseState();
    expect.soft(after, `${name}, ${path}`).toEqual(before);
    before = after;
  }
}

/** The code and field of the only error of a response: a typed result or an error of the request. */
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

describe('an invalid value is refused with the name of its field, and nothing is written', () => {
  test.each(Object.entries(badValues))('%s', (name, byPath) => expectRefusals(name, new Map(Object.entries(byPath))));

  test('every input of every root field has invalid values in the table or accepts any value', () => {
    const inputs = Object.values(rootFields).flatMap(({ name, args }) =>
      args.flatMap((arg) => findInputs(arg.name, arg.type)).map(({ path }) => [name, path] as const),
    );
    const missing = inputs.filter(
      ([name, path]) =>
        badValues[name]?.[path] === undefined &&
        ![...anyValue, ...shownElsewhere].some((pattern) => pattern.test(`${name} ${path}`)),
    );
    expect(missing).toEqual([]);
  });
});

/** Texts that PostgreSQL cannot store. */
const unstorable = {
  'NUL alone': '\0',
  'NUL within': 'a\0b',
  'half a surrogate pair': '\ud800',
  'the other half': 'a\udfffb',
};

describe('a text that cannot be stored is refused with the name of its field, in every text input', () => {
  // The samples create keys, and the number of keys per organization is limited.
  beforeAll(async () => {
    world = await aPopulatedWorkspace();
  });

  const withTexts = Object.values(rootFields)
    .map(({ name, args }): [string, Input[]] => [
      name,
      args.flatMap((arg) => findInputs(arg.name, arg.type)).filter(({ isText }) => isText),
    ])
    // These two return null for any id that does not exist.
    .filter(([name, inputs]) => inputs.length > 0 && name !== 'node' && name !== 'nodes');

  test.each(withTexts)('%s', (name, inputs) => {
    const casesByPath = new Map<string, BadValue[]>();
    for (const { path, isList } of inputs) {
      const [credential = path, half] = path.split('.pair.');
      const cases = Object.entries(unstorable).map(([what, text]): BadValue => {
        if (isList) return [what, [text], `${path}.0`];
        // A pair replaces the bearer token, because only one of them may be set.
        return half === undefined ? [what, text] : [what, { pair: { keyId: 'a', secret: 'a', [half]: text } }, path];
      });
      casesByPath.set(credential, [...(casesByPath.get(credential) ?? []), ...cases]);
    }
    return expectRefusals(name, casesByPath);
  });
});

interface Input {
  /** Path in the variables. 0 is the item of a list of inputs. */
  readonly path: string;
  readonly isText: boolean;
  readonly isList: boolean;
}

/** All scalars, enums, and lists of them, in an argument. */
function findInputs(path: string, type: GraphQLInputType): Input[] {
  if (isNonNullType(type)) return findInputs(path, type.ofType);
  if (isListType(type)) {
    const item = getNamedType(type);
    return isInputObjectType(item)
      ? findInputs(`${path}.0`, item)
      : findInputs(path, item).map((input) => ({ ...input, isList: true }));
  }
  if (isInputObjectType(type)) {
    return Object.values(type.getFields()).flatMap((field) => findInputs(`${path}.${field.name}`, field.type));
  }
  return [{ path, isText: type === GraphQLString || type === GraphQLID, isList: false }];
}

describe('extreme quantities of a charge', () => {
  test.each(['1e999', '-1e999', '0.0', '-0.0', '-1e-300', '1e308'])('%s is refused by field name', async (quantity) => {
    const { clients, key } = world;
    const charge = `{ action: "request", quantity: ${quantity} }`;
    const { data, errors } = await clients.service.send(
      `mutation { verifyApiKey(input: { credential: { bearer: "${key.secret}" }, charge: ${charge} }) { code } }`,
    );
    expect({ data, errors: errors.map(({ extensions }) => extensions) }).toEqual({
      data: null,
      errors: [{ code: 'BAD_USER_INPUT', field: 'input.charge.quantity', requestId: expect.stringMatching(/^req_/) }],
    });
  });

  test('1e-300 of a unit is above zero and costs one credit', async () => {
    const { clients, key } = world;
    const { data } = await clients.service.send(
      'mutation ($input: VerifyApiKeyInput!) { verifyApiKey(input: $input) { code charge { quantity credits } } }',
      { input: { credential: { bearer: key.secret }, charge: { action: 'request', quantity: 1e-300 } } },
    );
    expect(data).toEqual({ verifyApiKey: { code: 'VALID', charge: { quantity: 1e-300, credits: 1 } } });
  });
});
