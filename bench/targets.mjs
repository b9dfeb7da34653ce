/**
 * The performance targets: one process, PostgreSQL with fsync, load generator and database on the same
 * machine.
 * @typedef {object} Target
 * @property {string} what
 * @property {[subject: string, peer: string]} [ratio] ids of figures; verifications per second are compared
 * @property {string} [p99Of] id of a figure
 * @property {'residentMemory'} [of]
 * @property {string[]} [subjects] whose memory counts
 * @property {number} [atLeast]
 * @property {number} [atMost]
 * @property {'×' | 'ms' | 'MB'} unit
 */

/** @type {Target[]} */
export const targets = [
  {
    what: 'verify and charge (durable), many workspaces, against mercurius answering a trivial mutation',
    ratio: ['charge', 'mercurius'],
    atLeast: 0.5,
    unit: '×',
  },
  {
    what: 'verify without charge, against the same',
    ratio: ['verify', 'mercurius'],
    atLeast: 0.7,
    unit: '×',
  },
  {
    what: 'one hot workspace against many, verify and charge',
    ratio: ['charge-one-workspace', 'charge'],
    atLeast: 0.9,
    unit: '×',
  },
  {
    what: "verify and charge against better-auth's verify over HTTP",
    ratio: ['charge', 'better-auth'],
    atLeast: 12,
    unit: '×',
  },
  {
    what: '`verifyApiKeys` of 100, keys per second, against single calls: verify',
    ratio: ['verify-many', 'verify'],
    atLeast: 4,
    unit: '×',
  },
  {
    what: '`verifyApiKeys` of 100, keys per second, against single calls: verify and charge',
    ratio: ['charge-many', 'charge'],
    atLeast: 4,
    unit: '×',
  },
  {
    what: '1,000,000 keys against 1,000: verify',
    ratio: ['verify-most-keys', 'verify-few-keys'],
    atLeast: 0.85,
    unit: '×',
  },
  {
    what: '1,000,000 keys against 1,000: verify and charge',
    ratio: ['charge-most-keys', 'charge-few-keys'],
    atLeast: 0.85,
    unit: '×',
  },
  { what: 'p99 of verify and charge at 70% of its own maximum', p99Of: 'charge-at-70', atMost: 15, unit: 'ms' },
  {
    what: 'resident memory of a process under load, with PostgreSQL and the default key cache',
    of: 'residentMemory',
    subjects: ['tollkeeper', 'tollkeeper-logging', 'tollkeeper-twice', 'tollkeeper-few'],
    atMost: 250,
    unit: 'MB',
  },
  {
    what: 'resident memory of a process under load, with the embedded database',
    of: 'residentMemory',
    subjects: ['tollkeeper-embedded'],
    atMost: 350,
    unit: 'MB',
  },
];
