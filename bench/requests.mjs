import { createTemplate } from './load/template.mjs';
import { serviceToken } from './tollkeeper.mjs';

/** Number of verifications in a batch request. */
export const manySize = 100;

/** The fields that a backend needs to serve or refuse its customer's request. */
const answerFields =
  'valid code rejection { status code message } charge { id credits balanceAfter } headers { name value }';

const verification = { credential: { bearer: '<secret>' }, requires: ['data:read'] };
const charge = { action: 'request' };

/**
 * @typedef {object} Request
 * @property {string} path
 * @property {object} body
 * @property {boolean} charges whether each of its verifications takes a credit
 * @property {number} size number of verifications
 * @property {{ text: string, count: number }[]} expect texts that the response must contain, and how often
 */

/** @param {number} size @param {boolean} charges */
function expectValid(size, charges) {
  return [
    { text: '"valid":true', count: size },
    ...(charges ? [{ text: '"balanceAfter":', count: size }] : [{ text: '"charge":null', count: size }]),
  ];
}

/** One verification, as a backend sends it for each of its requests. @returns {Request} */
export function verifyOne({ charges = false, idempotent = false } = {}) {
  return {
    path: '/graphql',
    body: {
      query: `mutation ($i: VerifyApiKeyInput!) { verifyApiKey(input: $i) { ${answerFields} } }`,
      variables: {
        i: {
          ...verification,
          ...(charges ? { charge: { ...charge, ...(idempotent ? { idempotencyKey: '<unique>' } : {}) } } : {}),
        },
      },
    },
    charges,
    size: 1,
    expect: expectValid(1, charges),
  };
}

/** Many verifications as aliases of one document. @returns {Request} */
export function verifyByAliases() {
  const indexes = Array.from({ length: manySize }, (_, index) => index);
  return {
    path: '/graphql',
    body: {
      query: [
        `mutation (${indexes.map((index) => `$i${index}: VerifyApiKeyInput!`).join(' ')}) {`,
        ...indexes.map((index) => `a${index}: verifyApiKey(input: $i${index}) { ...answer }`),
        `} fragment answer on Verification { ${answerFields} }`,
      ].join(' '),
      variables: Object.fromEntries(indexes.map((index) => [`i${index}`, { ...verification, charge }])),
    },
    charges: true,
    size: manySize,
    expect: expectValid(manySize, true),
  };
}

/** Many verifications as one field. @returns {Request} */
export function verifyMany({ charges = false } = {}) {
  return {
    path: '/graphql',
    body: {
      query: `mutation ($i: [VerifyApiKeyInput!]!) { verifyApiKeys(inputs: $i) { ${answerFields} } }`,
      variables: { i: Array.from({ length: manySize }, () => (charges ? { ...verification, charge } : verification)) },
    },
    charges,
    size: manySize,
    expect: expectValid(manySize, charges),
  };
}

/** Number of keys on the page of {@link listKeys}. */
const pageSize = 20;
const dayMs = 86_400_000;

/**
 * What a dashboard shows of a page of keys: their state, and their usage of a day in hours. @returns
 * {Request}
 */
export function listKeys(to = new Date()) {
  const usage = 'usage(from: $from, to: $to, bucket: HOUR) { startsAt requests credits }';
  return {
    path: '/graphql',
    body: {
      query: [
        'query ($first: Int!, $from: DateTime!, $to: DateTime!) {',
        `apiKeys(first: $first) { edges { node { id name preview status createdAt lastUsedAt ${usage} } } }`,
        '}',
      ].join(' '),
      variables: { first: pageSize, from: new Date(to.getTime() - dayMs).toISOString(), to: to.toISOString() },
    },
    charges: false,
    size: 1,
    expect: [{ text: '"preview":', count: pageSize }],
  };
}

/** A mutation that does nothing. @returns {Request} */
export function trivial() {
  return {
    path: '/graphql',
    body: {
      query: 'mutation ($message: String!) { ping(message: $message) { message } }',
      variables: { message: 'a trivial mutation' },
    },
    charges: false,
    size: 1,
    expect: [{ text: '"a trivial mutation"', count: 1 }],
  };
}

/** Only a key, for better-auth. @returns {Request} */
export function verifyWithBetterAuth() {
  return {
    path: '/verify',
    body: { key: '<secret>' },
    charges: false,
    size: 1,
    expect: [{ text: '"valid":true', count: 1 }],
  };
}

/** @param {Request} request @param {number} secretLength */
export function templateOf({ path, body }, secretLength) {
  return createTemplate({
    path,
    body: JSON.stringify(body),
    headers: { Authorization: `Bearer ${serviceToken}` },
    secretLength,
  });
}
