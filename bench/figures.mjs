import { listKeys, trivial, verifyByAliases, verifyMany, verifyOne, verifyWithBetterAuth } from './requests.mjs';

/**
 * @typedef {object} Figure one measurement, one line of the results
 * @property {string} id
 * @property {string} title
 * @property {string} subject the server under load: see subjects.mjs
 * @property {import('./requests.mjs').Request} [request] absent for a subject that generates its own load
 * @property {string} [population] the set of keys to draw from
 * @property {number} [wallets] for a subject that generates its own load
 * @property {number} [connections] if it is not the usual number
 * @property {string} [needs] a mutation; without it in the schema the figure is skipped
 * @property {{ share: number, of: string }} [atShareOf] an open loop at this share of another figure's median
 *   rate
 * @property {string} [against] the figure of its group that its ratio is relative to
 * @property {boolean} [isTollkeeper]
 */
/** @typedef {{ title: string, figures: Figure[] }} Group figures that are measured in turns */

/**
 * @param {{ many: string, few: string, most: string }} labels numbers of keys, for titles
 * @returns {Group[]}
 */
export function createGroups({ many, few, most }) {
  const verify = verifyOne();
  const charge = verifyOne({ charges: true });
  const tollkeeper = (figure) => ({ isTollkeeper: true, population: 'many', ...figure });
  return [
    {
      title: 'One process, and its peers',
      figures: [
        { id: 'bare-http', title: 'bare node:http, a JSON POST', subject: 'bare-http', request: trivial() },
        { id: 'yoga', title: 'Yoga through its adapter, a trivial mutation', subject: 'yoga', request: trivial() },
        { id: 'mercurius', title: 'mercurius with JIT, a trivial mutation', subject: 'mercurius', request: trivial() },
        tollkeeper({
          id: 'verify',
          title: `**verify**, ${many}`,
          subject: 'tollkeeper',
          request: verify,
          against: 'mercurius',
        }),
        tollkeeper({
          id: 'charge',
          title: `**verify and charge**, ${many}`,
          subject: 'tollkeeper',
          request: charge,
          against: 'mercurius',
        }),
        tollkeeper({
          id: 'charge-one-workspace',
          title: 'verify and charge, as many keys in one workspace',
          subject: 'tollkeeper',
          population: 'one',
          request: charge,
          against: 'charge',
        }),
        {
          id: 'better-auth',
          title: "better-auth's API-key plugin over HTTP, verify and decrement",
          subject: 'better-auth',
          population: 'many',
          request: verifyWithBetterAuth(),
        },
        {
          id: 'statement-many-wallets',
          title: 'one statement per charge over pg, no HTTP, 1,000 wallets',
          subject: 'statement-per-charge',
          wallets: 1_000,
        },
        {
          id: 'statement-one-wallet',
          title: 'one statement per charge over pg, no HTTP, one wallet',
          subject: 'statement-per-charge',
          wallets: 1,
        },
        tollkeeper({
          id: 'charge-idempotent',
          title: 'verify and charge, each with an idempotency key',
          subject: 'tollkeeper',
          request: verifyOne({ charges: true, idempotent: true }),
          against: 'charge',
        }),
        tollkeeper({
          id: 'charge-logged',
          title: 'verify and charge, with the request log (LOG_LEVEL=info) to a file',
          subject: 'tollkeeper-logging',
          request: charge,
          against: 'charge',
        }),
        tollkeeper({
          id: 'aliases',
          title: 'verify and charge, 100 aliases in a request',
          subject: 'tollkeeper',
          request: verifyByAliases(),
          against: 'charge',
        }),
        tollkeeper({
          id: 'verify-many',
          title: '`verifyApiKeys` of 100, verify',
          subject: 'tollkeeper',
          request: verifyMany(),
          needs: 'verifyApiKeys',
          against: 'verify',
        }),
        tollkeeper({
          id: 'charge-many',
          title: '`verifyApiKeys` of 100, verify and charge',
          subject: 'tollkeeper',
          request: verifyMany({ charges: true }),
          needs: 'verifyApiKeys',
          against: 'charge',
        }),
      ],
    },
    {
      title: 'At 70% of its own maximum: requests at a fixed rate, timed from when they were due',
      figures: [
        tollkeeper({
          id: 'charge-maximum',
          title: 'verify and charge, closed loop: the maximum',
          subject: 'tollkeeper',
          request: charge,
        }),
        tollkeeper({
          id: 'charge-at-70',
          title: 'verify and charge, open loop at 70% of it',
          subject: 'tollkeeper',
          request: charge,
          atShareOf: { share: 0.7, of: 'charge-maximum' },
          against: 'charge-maximum',
        }),
      ],
    },
    {
      title: 'Management: a page of 20 keys with their usage of a day in hours',
      figures: [
        tollkeeper({
          id: 'page-of-keys-alone',
          title: 'a page of keys, one connection',
          subject: 'tollkeeper',
          request: listKeys(),
          connections: 1,
        }),
        tollkeeper({
          id: 'page-of-keys',
          title: 'a page of keys, 64 connections',
          subject: 'tollkeeper',
          request: listKeys(),
          against: 'page-of-keys-alone',
        }),
      ],
    },
    {
      title: 'One process and two, on one database; connections are distributed evenly',
      figures: [
        tollkeeper({
          id: 'charge-one-process',
          title: 'verify and charge, one process',
          subject: 'tollkeeper',
          request: charge,
        }),
        tollkeeper({
          id: 'charge-two-processes',
          title: 'verify and charge, two processes',
          subject: 'tollkeeper-twice',
          request: charge,
          against: 'charge-one-process',
        }),
        tollkeeper({ id: 'verify-one-process', title: 'verify, one process', subject: 'tollkeeper', request: verify }),
        tollkeeper({
          id: 'verify-two-processes',
          title: 'verify, two processes',
          subject: 'tollkeeper-twice',
          request: verify,
          against: 'verify-one-process',
        }),
      ],
    },
    {
      title: 'The embedded database (PGlite)',
      figures: [
        tollkeeper({ id: 'verify-postgresql', title: 'verify, PostgreSQL', subject: 'tollkeeper', request: verify }),
        tollkeeper({
          id: 'verify-embedded',
          title: 'verify, PGlite',
          subject: 'tollkeeper-embedded',
          request: verify,
          against: 'verify-postgresql',
        }),
        tollkeeper({
          id: 'charge-postgresql',
          title: 'verify and charge, PostgreSQL',
          subject: 'tollkeeper',
          request: charge,
        }),
        tollkeeper({
          id: 'charge-embedded',
          title: 'verify and charge, PGlite',
          subject: 'tollkeeper-embedded',
          request: charge,
          against: 'charge-postgresql',
        }),
      ],
    },
    {
      title: `${few} and ${most} keys, ten to a workspace`,
      figures: [
        tollkeeper({ id: 'verify-few-keys', title: `verify, ${few} keys`, subject: 'tollkeeper-few', request: verify }),
        tollkeeper({
          id: 'verify-most-keys',
          title: `verify, ${most} keys`,
          subject: 'tollkeeper-most',
          request: verify,
          against: 'verify-few-keys',
        }),
        tollkeeper({
          id: 'charge-few-keys',
          title: `verify and charge, ${few} keys`,
          subject: 'tollkeeper-few',
          request: charge,
        }),
        tollkeeper({
          id: 'charge-most-keys',
          title: `verify and charge, ${most} keys`,
          subject: 'tollkeeper-most',
          request: charge,
          against: 'charge-few-keys',
        }),
      ],
    },
  ];
}
