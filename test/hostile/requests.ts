import { getIntrospectionQuery } from 'graphql';
import { newId } from '../../src/db/ids.js';

/** One hostile HTTP request to `/graphql`. */
export interface HostileRequest {
  /** The kind of attack; unique together with the name. */
  readonly kind: string;
  readonly name: string;
  readonly method: 'GET' | 'POST';
  /** The query string of a GET, with its question mark. */
  readonly search: string;
  readonly contentType: string;
  readonly body: Buffer;
}

type Variables = Record<string, unknown>;

function post(kind: string, name: string, body: string | Buffer, contentType = 'application/json'): HostileRequest {
  return { kind, name, method: 'POST', search: '', contentType, body: Buffer.from(body as string) };
}

function operation(kind: string, name: string, query: string, variables: Variables = {}): HostileRequest {
  return post(kind, name, JSON.stringify({ query, variables }));
}

const times = (count: number, part: (index: number) => string, separator = ' ') =>
  Array.from({ length: count }, (_, index) => part(index)).join(separator);

/** Ids that look right and belong to nothing. */
const inventedKeys = Array.from({ length: 100 }, () => newId('apiKey'));
const inventedIds = inventedKeys.map((key, index) => (index % 2 === 0 ? key : newId('workspace')));

/** Root fields that are cheap alone. */
const rootFields: readonly (readonly [name: string, selection: string])[] = [
  ['typename', '__typename'],
  ['viewer', 'viewer { kind user { email } workspace { name } }'],
  ['products', 'products { slug title }'],
  ['node', `node(id: "${inventedKeys[0]}") { id }`],
  ['nodes', `nodes(ids: ["${inventedIds.slice(0, 10).join('","')}"]) { id }`],
  ['apiKeys', 'apiKeys(first: 100) { totalCount nodes { id name workspace { id } } }'],
  ['workspaces', 'workspaces(first: 100) { totalCount nodes { id members(first: 100) { nodes { user { email } } } } }'],
  ['auditEvents', `auditEvents(workspaceId: "${inventedIds[1]}", first: 100) { nodes { id } }`],
  ['credits', `credits(workspaceId: "${inventedIds[1]}") { balance entries(first: 100) { nodes { id } } }`],
  ['introspection', '__schema { types { name fields { name type { name } } } }'],
];

const aliases = rootFields.flatMap(([name, selection]) =>
  [10, 100, 440, 1_000].map((count) =>
    operation('aliases', `${count} of ${name}`, `{ ${times(count, (index) => `a${index}: ${selection}`)} }`),
  ),
);

const lists = [1, 10, 100, 245].flatMap((count) => [
  operation(
    'lists of ids',
    `${count} aliases of nodes with 100 invented ids`,
    `query ($i: [ID!]!) { ${times(count, (index) => `a${index}: nodes(ids: $i) { id }`)} }`,
    { i: inventedKeys },
  ),
  operation(
    'lists of ids',
    `${count} aliases of nodes with 100 equal ids`,
    `query ($i: [ID!]!) { ${times(count, (index) => `a${index}: nodes(ids: $i) { id }`)} }`,
    { i: inventedKeys.map(() => inventedKeys[0]) },
  ),
]);

const longLists = [101, 1_000, 10_000, 20_000].flatMap((count) => [
  operation('long lists', `${count} ids for nodes`, 'query ($i: [ID!]!) { nodes(ids: $i) { id } }', {
    i: Array.from({ length: count }, () => inventedKeys[0]),
  }),
  operation(
    'long lists',
    `${count} verifications`,
    'mutation ($i: [VerifyApiKeyInput!]!) { verifyApiKeys(inputs: $i) { code } }',
    {
      i: Array.from({ length: count }, () => ({ credential: { bearer: 'x' } })),
    },
  ),
  operation(
    'long lists',
    `${count} permissions`,
    'mutation ($i: CreateApiKeyInput!) { createApiKey(input: $i) { __typename } }',
    {
      i: { name: 'a', permissions: Array.from({ length: count }, () => 'a') },
    },
  ),
]);

/** `levels` connections within each other, with `first` items each. */
function nest(levels: number, first: number): string {
  const open = times(levels, () => `workspace { apiKeys(first: ${first}) { nodes {`);
  return `{ apiKeys(first: ${first}) { nodes { id ${open} id ${'} } } '.repeat(levels)} } } }`;
}

const nestedConnections = [1, 2, 3, 5, 8, 20].flatMap((levels) =>
  [1, 10, 100, 1_000_000].map((first) =>
    operation('nested connections', `${levels} levels of ${first}`, nest(levels, first)),
  ),
);

/** Each fragment spreads the next one twice, so the document doubles with every fragment. */
function doubling(count: number): string {
  const fragments = times(count, (index) => `fragment F${index} on Viewer { ...F${index + 1} ...F${index + 1} }`);
  return `{ viewer { ...F0 } } ${fragments} fragment F${count} on Viewer { kind }`;
}

const fragments = [
  ...[5, 10, 16, 30, 100].map((count) => operation('fragments', `${count} that double`, doubling(count))),
  ...[1, 2, 10, 100].map((count) =>
    operation(
      'fragments',
      `a cycle of ${count}`,
      `{ viewer { ...F0 } } ${times(count, (index) => `fragment F${index} on Viewer { ...F${(index + 1) % count} }`)}`,
    ),
  ),
  ...[10, 100, 1_000].map((count) =>
    operation(
      'fragments',
      `${count} unused`,
      `{ viewer { kind } } ${times(count, (index) => `fragment F${index} on Viewer { kind }`)}`,
    ),
  ),
  ...[10, 100, 1_000].map((count) =>
    operation('fragments', `${count} inline`, `{ viewer { ${times(count, () => '... on Viewer { kind }')} } }`),
  ),
  operation('fragments', 'a cycle through inline fragments', '{ ...A } fragment A on Query { ... on Query { ...A } }'),
  operation('fragments', 'on an unknown type', '{ ...A } fragment A on Nothing { a }'),
  operation(
    'fragments',
    'the same name twice',
    '{ ...A } fragment A on Query { __typename } fragment A on Query { __typename }',
  ),
];

const overlapping = [10, 99, 101, 1_000, 4_000].flatMap((count) => [
  operation('overlapping fields', `${count} equal`, `{ viewer { ${times(count, () => 'kind')} } }`),
  operation(
    'overlapping fields',
    `${count} with different arguments`,
    `{ ${times(count, (index) => `a: node(id: "${index}") { id }`)} }`,
  ),
  operation('overlapping fields', `${count} nested`, `{ ${times(count, () => 'viewer { workspace { id } }')} }`),
]);

const typeReference = (depth: number) => `${'ofType { name '.repeat(depth)}${'}'.repeat(depth)}`;
const introspection = [
  operation('introspection', 'the query of tools', getIntrospectionQuery()),
  ...[2, 5, 20, 100, 300].flatMap((count) => [
    operation(
      'introspection',
      `${count} aliases of __schema`,
      `{ ${times(count, (index) => `a${index}: __schema { ...F }`)} } fragment F on __Schema { types { name description fields { name description args { name description } } } }`,
    ),
    operation(
      'introspection',
      `${count} aliases of __type`,
      `{ ${times(count, (index) => `a${index}: __type(name: "Query") { fields { name type { name } } }`)} }`,
    ),
  ]),
  ...[1, 5, 9, 30, 90].map((depth) =>
    operation(
      'introspection',
      `ofType ${depth} levels deep`,
      `{ __schema { types { fields { type { ${typeReference(depth)} } } } } }`,
    ),
  ),
  ...[2, 3, 5, 8].map((depth) =>
    operation(
      'introspection',
      `fields of types of fields, ${depth} levels deep`,
      `{ __schema { types { ${'fields { type { '.repeat(depth)} name ${'} } '.repeat(depth)} } } }`,
    ),
  ),
  operation(
    'introspection',
    'possible types of interfaces of types',
    '{ __schema { types { possibleTypes { interfaces { possibleTypes { name } } } } } }',
  ),
];

const directives = [
  ...[1, 10, 100, 1_000, 2_000].flatMap((count) => [
    operation('directives', `${count} unknown`, `{ viewer ${times(count, (index) => `@d${index}`)} { kind } }`),
    operation('directives', `${count} of @include`, `{ viewer { kind ${times(count, () => '@include(if: true)')} } }`),
    operation(
      'directives',
      `${count} fields with @skip`,
      `query ($s: Boolean!) { ${times(count, (index) => `a${index}: viewer @skip(if: $s) { kind }`)} }`,
      { s: false },
    ),
  ]),
  operation('directives', 'on a document', 'query @include(if: true) { viewer { kind } }'),
  operation('directives', 'of deferral', '{ ... @defer { viewer { kind } } }'),
  operation('directives', 'of streaming', '{ products @stream(initialCount: 0) { slug } }'),
];

const variables = [
  ...[10, 100, 1_000, 1_600].flatMap((count) => [
    operation(
      'variables',
      `${count} unused`,
      `query (${times(count, (index) => `$v${index}: Int`)}) { viewer { kind } }`,
    ),
    operation(
      'variables',
      `${count} undeclared`,
      '{ viewer { kind } }',
      Object.fromEntries(inventedIds.slice(0, count).map((id) => [id, 1])),
    ),
    operation(
      'variables',
      `${count} with defaults`,
      `query (${times(count, (index) => `$v${index}: [Int!] = [1, 2, 3]`)}) { viewer { kind } }`,
    ),
  ]),
  ...['true', '0', '""', '[]', '{}', 'null', '[[[[[]]]]]'].map((json) =>
    post('variables', `that are ${json}`, `{"query":"{ viewer { kind } }","variables":${json}}`),
  ),
  ...[true, 0, '', [], [[[]]], { a: { a: { a: 1 } } }].map((value) =>
    operation(
      'variables',
      `an input that is ${JSON.stringify(value)}`,
      'mutation ($i: VerifyApiKeyInput!) { verifyApiKey(input: $i) { code } }',
      { i: value },
    ),
  ),
  operation('variables', 'of an output type', 'query ($v: Viewer) { viewer { kind } }', { v: {} }),
  operation('variables', 'of an unknown type', 'query ($v: Nothing) { viewer { kind } }', { v: {} }),
  operation('variables', 'declared twice', 'query ($v: Int, $v: Int) { viewer { kind } }', { v: 1 }),
  operation(
    'variables',
    'of a type with 90 levels of lists',
    `query ($v: ${'['.repeat(90)}Int${']'.repeat(90)}) { viewer { kind } }`,
    { v: 1 },
  ),
];

const wrap = (json: string) => `{"query":"{ viewer { kind } }","variables":{"v":${json}}}`;
const json = [
  ...[10, 100, 1_000, 10_000, 100_000, 490_000].flatMap((depth) => [
    post('JSON', `${depth} nested lists`, wrap(`${'['.repeat(depth)}${']'.repeat(depth)}`)),
    post('JSON', `${depth} lists that do not end`, wrap('['.repeat(depth))),
  ]),
  ...[10, 1_000, 100_000, 160_000].map((depth) =>
    post('JSON', `${depth} nested objects`, wrap(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`)),
  ),
  ...[1_000, 10_000, 60_000].map((count) =>
    post('JSON', `an object with ${count} fields`, wrap(`{${times(count, (index) => `"k${index}":1`, ',')}}`)),
  ),
  ...[1_000, 100_000, 400_000].map((count) =>
    post('JSON', `a list of ${count} numbers`, wrap(`[${times(count, () => '1', ',')}]`)),
  ),
  ...[
    '',
    ' ',
    'null',
    '1',
    '"text"',
    '[]',
    '{',
    '{"query":',
    '{"query":1}',
    '{"query":null}',
    '{}',
    '{"query":""}',
  ].map((body) => post('JSON', `the body ${JSON.stringify(body)}`, body)),
  post('JSON', 'a text of 900 KB', wrap(`"${'x'.repeat(900_000)}"`)),
  post('JSON', 'a text of 150,000 escapes', wrap(`"${'\\u0041'.repeat(150_000)}"`)),
  post('JSON', 'a body over a megabyte', wrap(`"${'x'.repeat(1_000_000)}"`)),
];

const numbers = [
  '1e400',
  '-1e400',
  '1e308',
  '5e-324',
  '-0',
  '9007199254740993',
  '1'.repeat(5_000),
  `0.${'1'.repeat(5_000)}`,
  '1e999999999',
  '2147483648',
  '-2147483649',
].map((number) =>
  post(
    'numbers',
    number.slice(0, 20),
    `{"query":"mutation ($q: Float!) { verifyApiKey(input: { credential: { bearer: \\"x\\" }, charge: { action: \\"a\\", quantity: $q } }) { code } }","variables":{"q":${number}}}`,
  ),
);
const literals = ['1e400', '9'.repeat(4_000), `1.${'9'.repeat(4_000)}`, '-0', '1e-400'].map((number) =>
  operation('numbers', `the literal ${number.slice(0, 20)}`, `{ apiKeys(first: ${number}) { totalCount } }`),
);

const encodings = [
  ['invalid start bytes', [0xff, 0xfe, 0xfd]],
  ['a continuation without a start', [0x80, 0xbf]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
  ['a truncated character', [0xe2, 0x82]],
  ['NUL', [0x00]],
  ['a byte order mark', [0xef, 0xbb, 0xbf]],
].flatMap(([name, bytes]) => {
  const raw = Buffer.from(bytes as number[]);
  const text = Buffer.from('{"query":"{ viewer { kind } }"}');
  return [
    post('encodings', `${name} before the body`, Buffer.concat([raw, text])),
    post('encodings', `${name} after the body`, Buffer.concat([text, raw])),
    post(
      'encodings',
      `${name} in a text`,
      Buffer.concat([Buffer.from('{"query":"{ node(id: \\"'), raw, Buffer.from('\\") { id } }"}')]),
    ),
  ];
});
const utf16 = [
  post('encodings', 'UTF-16', Buffer.from('{"query":"{ viewer { kind } }"}', 'utf16le')),
  operation('encodings', 'half of a surrogate pair', '{ node(id: "\\uD800") { id } }'),
  operation('encodings', 'NUL in a variable', 'query ($i: ID!) { node(id: $i) { id } }', { i: '\0' }),
];

const prototypeNames = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf'];
const prototypes = prototypeNames.flatMap((name) => [
  post('prototype names', `${name} as a parameter`, `{"query":"{ viewer { kind } }","${name}":{"a":1}}`),
  post(
    'prototype names',
    `${name} as a variable`,
    `{"query":"query ($${name}: Int) { viewer { kind } }","variables":{"${name}":1}}`,
  ),
  post(
    'prototype names',
    `${name} as a field of an input`,
    `{"query":"mutation ($i: VerifyApiKeyInput!) { verifyApiKey(input: $i) { code } }","variables":{"i":{"${name}":{"a":1}}}}`,
  ),
  operation('prototype names', `${name} as a field`, `{ ${name} }`),
  operation('prototype names', `${name} as an alias`, `{ ${name === '__proto__' ? 'proto' : name}: viewer { kind } }`),
  operation('prototype names', `${name} as a fragment`, `{ ...${name} } fragment ${name} on Query { __typename }`),
  post(
    'prototype names',
    `${name} as the operation`,
    JSON.stringify({ query: '{ viewer { kind } }', operationName: name }),
  ),
]);

const duplicates = [
  post('duplicate keys', 'of the query', '{"query":"{ nothing }","query":"{ viewer { kind } }"}'),
  post('duplicate keys', 'of the variables', '{"query":"{ viewer { kind } }","variables":{"a":1},"variables":{"b":2}}'),
  ...[100, 50_000].map((count) =>
    post(
      'duplicate keys',
      `${count} times`,
      `{${times(count, () => '"query":"{ viewer { kind } }"', ',')}}`.slice(0, 990_000),
    ),
  ),
  operation('duplicate keys', 'of an argument', `{ node(id: "a", id: "b") { id } }`),
  operation(
    'duplicate keys',
    'of an input field',
    'mutation { verifyApiKey(input: { origin: "a", origin: "b", credential: { bearer: "x" } }) { code } }',
  ),
];

const batches = [0, 1, 10, 1_000, 20_000].map((count) =>
  post('batches', `${count} operations`, `[${times(count, () => '{"query":"{ viewer { kind } }"}', ',')}]`),
);

const lexing = [
  ...[100, 5_000, 100_000].flatMap((count) => [
    operation('lexing', `${count} braces`, '{'.repeat(count)),
    operation('lexing', `${count} nested braces`, `${'{ a '.repeat(count)}${'}'.repeat(count)}`),
    operation('lexing', `${count} nested lists`, `{ node(id: ${'['.repeat(count)}${']'.repeat(count)}) { id } }`),
    operation('lexing', `${count} nested objects`, `{ node(id: ${'{a: '.repeat(count)}1${'}'.repeat(count)}) { id } }`),
    operation('lexing', `${count} commas`, `{ viewer { kind ${','.repeat(count)} } }`),
    operation('lexing', `a comment of ${count} characters`, `{ viewer { kind } } #${'x'.repeat(count)}`),
    operation('lexing', `a name of ${count} characters`, `{ ${'x'.repeat(count)} }`),
    operation('lexing', `a text of ${count} characters`, `{ node(id: "${'x'.repeat(count)}") { id } }`),
    operation('lexing', `a block text of ${count} lines`, `{ node(id: """${' x\n'.repeat(count)}""") { id } }`),
    operation(
      'lexing',
      `${count} operations`,
      times(count, (index) => `query Q${index} { __typename }`),
    ),
  ]),
  ...[
    '{',
    '}',
    '{ }',
    '{ a(',
    '{ a(b: ',
    '"',
    '"""',
    '{ a b: }',
    '\\',
    '$',
    '...',
    '@',
    '{ 5 }',
    'type A { a: Int }',
    'schema { query: Q }',
    'subscription { a }',
  ].map((text) => operation('lexing', `the document ${text}`, text)),
];

const mutations = [2, 10, 100, 400].flatMap((count) => [
  operation(
    'mutations',
    `${count} of createWorkspace`,
    `mutation { ${times(count, (index) => `a${index}: createWorkspace(input: { name: "" }) { __typename }`)} }`,
  ),
  operation(
    'mutations',
    `${count} of verifyApiKey`,
    `mutation { ${times(count, (index) => `a${index}: verifyApiKey(input: { credential: { bearer: "x${index}" } }) { code }`)} }`,
  ),
]);

const gets = [
  ['an empty query', '?query='],
  [
    'a mutation',
    '?query=mutation%20%7B%20createWorkspace(input%3A%20%7Bname%3A%20%22a%22%7D)%20%7B%20__typename%20%7D%20%7D',
  ],
  ['the same parameter twice', '?query=%7B__typename%7D&query=%7B__schema%7B__typename%7D%7D'],
  ['broken variables', '?query=%7B__typename%7D&variables=%7B'],
  ['nested variables', `?query=%7B__typename%7D&variables=${'%5B'.repeat(3_000)}`],
  ['a query of 14 KB', `?query=%7B${times(1_700, (index) => `a${index}%3A__typename`, '+').slice(0, 14_000)}`],
  ['broken percent encoding', '?query=%ff%fe'],
].map(
  ([name = '', search = '']): HostileRequest => ({
    kind: 'GET',
    name,
    method: 'GET',
    search,
    contentType: 'application/json',
    body: Buffer.alloc(0),
  }),
);

const contentTypes = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
  'application/graphql',
  '',
].map((contentType) => post('media types', contentType || 'none', '{"query":"{ viewer { kind } }"}', contentType));

/**
 * Documents and bodies that were used, or could be used, to stop a GraphQL server: what OWASP, GraphQL Armor
 * and advisories of graphql-java, Apollo and others describe, and what this server was attacked with.
 */
export const hostileRequests: readonly HostileRequest[] = [
  ...aliases,
  ...lists,
  ...longLists,
  ...nestedConnections,
  ...fragments,
  ...overlapping,
  ...introspection,
  ...directives,
  ...variables,
  ...json,
  ...numbers,
  ...literals,
  ...encodings,
  ...utf16,
  ...prototypes,
  ...duplicates,
  ...batches,
  ...lexing,
  ...mutations,
  ...gets,
  ...contentTypes,
];
