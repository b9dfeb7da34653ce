import { readFile } from 'node:fs/promises';
import {
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  isSpecifiedScalarType,
  isUnionType,
  lexicographicSortSchema,
  printSchema,
} from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import { builder } from '../../src/graphql/builder.js';
import { findDefinition } from '../../src/graphql/command-field.js';
import { buildSchema, declaredAuthScopes } from '../../src/graphql/schema.js';
import { getRootField, rootFields, schema } from './sample-operations.js';

const types = Object.values(schema.getTypeMap()).filter(
  (type) => !type.name.startsWith('__') && !isSpecifiedScalarType(type),
);
const fields = types.flatMap((type) =>
  isObjectType(type) || isInterfaceType(type)
    ? Object.values(type.getFields()).map((field) => ({ type, field, path: `${type.name}.${field.name}` }))
    : [],
);
const mutations = Object.values(schema.getMutationType()?.getFields() ?? {});
const capitalised = (name: string) => `${name.charAt(0).toUpperCase()}${name.slice(1)}`;

test('the committed schema.graphql equals the schema of the server', async () => {
  const committed = await readFile(new URL('../../schema.graphql', import.meta.url), 'utf8');
  expect(`${printSchema(lexicographicSortSchema(schema))}\n`).toBe(committed);
});

describe('the authorization of a root field', () => {
  test.each(Object.values(rootFields).map((field) => [field.name, field]))('%s has a declaration', (_name, field) => {
    const scopes = declaredAuthScopes(field);
    expect([{ public: true }, { permission: expect.stringMatching(/^[a-zA-Z]+:[a-z]+$/) }]).toContainEqual(scopes);
  });

  test('is public only for budget, node, nodes, products and viewer', () => {
    const open = Object.values(rootFields).filter(
      (field) => JSON.stringify(declaredAuthScopes(field)) === '{"public":true}',
    );
    expect(open.map(({ name }) => name).sort()).toEqual(['budget', 'node', 'nodes', 'products', 'viewer']);
  });

  test.each(['Query', 'Mutation'])(
    'is required: a schema with a field of %s without a declaration is refused',
    (name) => {
      const undeclared = new GraphQLObjectType({ name, fields: { undeclared: { type: GraphQLString } } });
      const toSchema = vi
        .spyOn(builder, 'toSchema')
        .mockReturnValue(
          new GraphQLSchema(
            name === 'Query' ? { query: undeclared } : { query: schema.getQueryType(), mutation: undeclared },
          ),
        );
      expect(() => buildSchema({ mutationsPerMinute: 60 })).toThrow(`${name}.undeclared does not say who may call it.`);
      toSchema.mockRestore();
    },
  );
});

describe('the definition of a mutation', () => {
  test.each(mutations.map((field) => [field.name, field]))(
    '%s: name, permission and audit actions agree',
    (name, field) => {
      const definition = findDefinition(field);
      expect(definition).toMatchObject({ name, throttled: expect.any(Boolean) });
      expect(declaredAuthScopes(field)).toEqual({
        permission: definition?.permissionToCall ?? definition?.permission,
      });
      if (name === 'verifyApiKey' || name === 'verifyApiKeys') expect(definition?.audit).toBeNull();
      else expect(definition?.audit?.refused).toMatch(/^[a-z][a-zA-Z]*\.[a-z]+\.refused$/);
    },
  );

  test('is required: a schema with a mutation without one is refused', () => {
    const mutation = new GraphQLObjectType({
      name: 'Mutation',
      fields: {
        undefinedMutation: {
          type: GraphQLString,
          extensions: { pothosOptions: { authScopes: { permission: 'apiKey:read' } } },
        },
      },
    });
    const toSchema = vi
      .spyOn(builder, 'toSchema')
      .mockReturnValue(new GraphQLSchema({ query: schema.getQueryType(), mutation }));
    expect(() => buildSchema({ mutationsPerMinute: 60 })).toThrow('Mutation.undefinedMutation has no definition.');
    toSchema.mockRestore();
  });

  test('exempts only the mutations of backends from the throttle', () => {
    const unthrottled = mutations.filter((field) => findDefinition(field)?.throttled === false).map(({ name }) => name);
    expect(unthrottled.sort()).toEqual([
      'captureCharge',
      'publishEvent',
      'refundCharge',
      'releaseCharge',
      'verifyApiKey',
      'verifyApiKeys',
    ]);
  });
});

/** Starts with a capital letter, backtick, keyword or digit, and ends with a full stop or question mark. */
const sentence = /^(?:[A-Z`]|null\b|true\b|false\b|[0-9]).*[.?]$/s;

test('every type, field, argument, enum value and input field has a description that is a sentence', () => {
  const described: [path: string, description: string | null | undefined][] = [];
  for (const type of types) {
    described.push([type.name, type.description]);
    if (isEnumType(type)) {
      for (const value of type.getValues()) described.push([`${type.name}.${value.name}`, value.description]);
    }
    if (isInputObjectType(type)) {
      for (const field of Object.values(type.getFields()))
        described.push([`${type.name}.${field.name}`, field.description]);
    }
  }
  for (const { field, path } of fields) {
    described.push([path, field.description]);
    for (const arg of field.args) described.push([`${path}(${arg.name}:)`, arg.description]);
  }
  expect(described.filter(([, description]) => !sentence.test(description ?? ''))).toEqual([]);
});

test('no field is deprecated before it has been released', () => {
  expect(fields.filter(({ field }) => field.deprecationReason != null)).toEqual([]);
});

/** Lists without pages, and their bounds. */
const boundedLists: Readonly<Record<string, string>> = {
  'ApiKey.allowedOrigins': '50 origins of a key',
  'ApiKey.permissions': 'the permissions of its product',
  'ApiKey.secrets': 'the newest 20',
  'ApiKey.usage': '1,000 buckets',
  'Credits.prices': 'the product files',
  'Credits.usage': '1,000 buckets',
  'Member.permissions': 'the permissions of this server',
  'Mutation.verifyApiKeys': '100 requests',
  'Product.features': 'the product file',
  'Product.headers': 'one, or a pair',
  'Product.keyFormats': 'one for each environment',
  'Product.permissions': 'the product file',
  'Product.prices': 'the product file',
  'Product.rateLimits': '4 in a product file',
  'Query.authenticationFailures': 'the kinds in seven days of hours',
  'Query.nodes': '100 ids',
  'Query.products': 'the product files',
  'UsageBucket.refusals': 'the codes of a verification',
  'VerificationExplanation.checks': 'the checks of a verification',
  'Verification.headers': 'the headers of rate limits',
  'Verification.rateLimits': '4 in a product file',
  'WebhookEndpoint.eventTypes': '50 types',
  'Workspace.features': 'the features of the product files',
};

describe('lists', () => {
  const isList = (type: unknown) => isListType(isNonNullType(type) ? type.ofType : type);

  test('every list is paged or has a declared bound', () => {
    const unpaged = fields.filter(({ type, field }) => isList(field.type) && !type.name.endsWith('Connection'));
    expect(unpaged.map(({ path }) => path).sort()).toEqual(Object.keys(boundedLists).sort());
  });

  test('every connection takes first, after, last and before, and has the same shape', () => {
    const connections = fields.filter(({ field }) => getNamedType(field.type).name.endsWith('Connection'));
    expect(connections.map(({ path }) => path).sort()).toEqual([
      'Credits.entries',
      'Query.apiKeys',
      'Query.auditEvents',
      'Query.webhookDeliveries',
      'Query.webhookEndpoints',
      'Query.workspaces',
      'WebhookDelivery.attempts',
      'WebhookEndpoint.deliveries',
      'Workspace.apiKeys',
      'Workspace.invitations',
      'Workspace.members',
    ]);
    for (const { field, path } of connections) {
      const args = Object.fromEntries(field.args.map((arg) => [arg.name, String(arg.type)]));
      expect(args, path).toMatchObject({ first: 'Int', after: 'String', last: 'Int', before: 'String' });
      const type = getNamedType(field.type);
      const shape = isObjectType(type)
        ? Object.values(type.getFields())
            .map(({ name }) => name)
            .sort()
        : [];
      const own = path === 'Query.auditEvents' ? ['intact'] : [];
      expect(shape, path).toEqual([...own, 'edges', 'nodes', 'pageInfo'].sort());
      expect(isNonNullType(field.type), path).toBe(true);
    }
  });
});

describe('mutations', () => {
  /** These return verifications, not results: a refusal is data, and a batch has one item per input. */
  const verifications = ['verifyApiKey', 'verifyApiKeys'];

  test.each(mutations.filter(({ name }) => name !== 'verifyApiKeys').map((field) => [field.name, field]))(
    '%s takes a single argument named input',
    (name, field) => {
      expect(field.args.map((arg) => [arg.name, String(arg.type)])).toEqual([['input', `${capitalised(name)}Input!`]]);
    },
  );

  const withResult = mutations.filter(({ name }) => !verifications.includes(name));

  test.each(withResult.map((field) => [field.name, field]))(
    '%s returns a union of its payload and errors with the interface Error',
    (name, field) => {
      const type = getNamedType(field.type);
      expect(String(field.type)).toBe(`${capitalised(name)}Result!`);
      if (!isUnionType(type)) throw new Error(`${type.name} is no union.`);
      const [payload, ...others] = type.getTypes().toSorted((a) => (a.name.endsWith('Payload') ? -1 : 1));
      expect(payload?.name).toBe(`${capitalised(name)}Payload`);
      expect(others.length).toBeGreaterThan(0);
      for (const other of others) expect(other.getInterfaces().map((each) => each.name)).toEqual(['Error']);
    },
  );

  test('verifyApiKey and verifyApiKeys return verifications instead of result unions', () => {
    const shapes = verifications.map((name) => {
      const field = getRootField(name);
      return [name, field.args.map((arg) => `${arg.name}: ${arg.type}`).join(), String(field.type)];
    });
    expect(shapes).toEqual([
      ['verifyApiKey', 'input: VerifyApiKeyInput!', 'Verification!'],
      ['verifyApiKeys', 'inputs: [VerifyApiKeyInput!]!', '[Verification]!'],
    ]);
  });
});

test('every expected error has a code and a message, and some have one more field', () => {
  const error = schema.getType('Error');
  if (!isInterfaceType(error)) throw new Error('Error is an interface.');
  const shape = (type: typeof error | GraphQLObjectType) =>
    Object.fromEntries(Object.values(type.getFields()).map((field) => [field.name, String(field.type)]));
  const common = { code: 'ErrorCode!', message: 'String!' };
  expect(shape(error)).toEqual(common);
  const errors = schema.getPossibleTypes(error);
  expect(Object.fromEntries(errors.map((type) => [type.name, shape(type)]))).toEqual({
    ConflictError: common,
    ForbiddenError: { ...common, permission: 'String!' },
    LimitReachedError: { ...common, limit: 'Int!' },
    NotFoundError: { ...common, field: 'String!' },
    SecretUnavailableError: { ...common, subjectId: 'ID!' },
    ValidationError: { ...common, field: 'String!' },
  });
});

test('every object type with an id implements Node', () => {
  const nodes = fields.filter(({ type, field }) => isObjectType(type) && field.name === 'id').map(({ type }) => type);
  expect(nodes.filter((type) => !type.getInterfaces().some(({ name }) => name === 'Node'))).toEqual([]);
});
