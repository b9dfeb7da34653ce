import fc from 'fast-check';
import { coerceInputValue, type GraphQLInputType, isInputType } from 'graphql';
import { expect, test } from 'vitest';
import { compileCoercion, notCoerced } from '../../../src/graphql/compiled/coerce-input.js';
import { buildSchema } from '../../../src/graphql/schema.js';

const schema = buildSchema({ mutationsPerMinute: 60 });

function inputType(name: string): GraphQLInputType {
  const type = schema.getType(name);
  if (!isInputType(type)) throw new Error(`${name} is no input.`);
  return type;
}

/** The value coerced by graphql-js, or null if graphql-js reports an error. */
function coerceByTheBook(type: GraphQLInputType, value: unknown): { value: unknown } | null {
  let isRefused = false;
  const coerced: unknown = coerceInputValue(value, type, () => {
    isRefused = true;
  });
  return isRefused ? null : { value: coerced };
}

const text = fc.oneof(fc.constantFrom('', 'LIVE', 'TEST', 'request'), fc.string());
const anything = fc.oneof(
  { weight: 3, arbitrary: text },
  fc.boolean(),
  fc.integer(),
  fc.double(),
  fc.constant(null),
  fc.array(text, { maxLength: 3 }),
  fc.dictionary(fc.constantFrom('bearer', 'pair', 'keyId', 'secret', 'toString'), text, { maxKeys: 3 }),
);
/** A valid value in most cases, any value in some. */
const mostly = (good: fc.Arbitrary<unknown>) => fc.oneof({ weight: 6, arbitrary: good }, anything);
const some = (fields: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record({ ...fields, unknown: anything }, { requiredKeys: [] }).map(({ unknown, ...rest }) =>
    // Some inputs have an unknown field.
    typeof unknown === 'boolean' ? { ...rest, unknown } : rest,
  );
const questions = some({
  credential: fc.oneof(
    { weight: 4, arbitrary: fc.record({ bearer: text }) },
    mostly(some({ bearer: mostly(text), pair: mostly(some({ keyId: mostly(text), secret: mostly(text) })) })),
  ),
  product: mostly(text),
  environment: mostly(fc.constantFrom('LIVE', 'TEST', 'OTHER')),
  requires: mostly(fc.array(mostly(text), { maxLength: 3 })),
  origin: mostly(text),
  charge: mostly(
    some({
      action: mostly(text),
      quantity: mostly(fc.double()),
      hold: mostly(fc.boolean()),
      idempotencyKey: mostly(text),
    }),
  ),
});

test('a compiled coercion returns the value of graphql-js, and never accepts an input that graphql-js refuses', () => {
  const type = inputType('VerifyApiKeyInput');
  const coerce = compileCoercion(type);
  let plainCount = 0;
  fc.assert(
    fc.property(mostly(questions), (question) => {
      const value: unknown = JSON.parse(JSON.stringify(question));
      const expected = coerceByTheBook(type, value);
      const coerced = coerce(value);
      if (coerced === notCoerced) return;
      plainCount += 1;
      expect(expected).not.toBeNull();
      expect(coerced).toEqual(expected?.value);
    }),
    { numRuns: 3_000 },
  );
  expect(plainCount).toBeGreaterThan(300);
});

test('the usual input of backends is coerced by the compiled coercion, including defaults', () => {
  const question = { credential: { bearer: 'x' }, requires: ['data:read'], charge: { action: 'request' } };
  expect(compileCoercion(inputType('VerifyApiKeyInput'))(question)).toEqual({
    ...question,
    charge: { action: 'request', quantity: 1, hold: false },
  });
});

test.each([
  ['two credentials', { credential: { bearer: 'x', pair: { keyId: 'a', secret: 'b' } } }],
  ['a credential that is null', { credential: { bearer: null } }],
  ['no credential', {}],
  ['a field of another name', { credential: { bearer: 'x' }, name: 'x' }],
  ['a field that every object inherits', { credential: { bearer: 'x' }, constructor: 'x' }],
  ['a number for a text', { credential: { bearer: 1 } }],
])('an input with %s is left to the executor', (_what, question) => {
  expect(compileCoercion(inputType('VerifyApiKeyInput'))(question)).toBe(notCoerced);
});
