// The import rules of docs/architecture.md. `npm run lint` checks them.

/** Floors of src/, from top to bottom. A file imports from its own floor and from those below. */
const floors = [
  ['composition', '^src/(main\\.ts$|cli/|server/)'],
  ['http', '^src/http/'],
  ['graphql', '^src/graphql/'],
  ['domain', '^src/domain/'],
  ['db', '^src/db/'],
];

/** Files that every floor may import, and which import nothing above them. */
const foundation = '^src/(products/|settings\\.ts$|errors\\.ts$|clock\\.ts$|generated/)';

/** Rooms of src/domain/, from top to bottom. Rooms of one row do not import each other. */
const rooms = [
  ['verification', 'webhooks'],
  ['credits'],
  ['usage', 'rate-limits'],
  ['keys'],
  ['ledger'],
  ['identity'],
  ['workspaces'],
  ['commands'],
  ['events'],
  ['audit'],
  ['access'],
];

const pathsOf = (entries) => entries.map(([, path]) => path).join('|');
const roomPath = (names) => `^src/domain/(${names.join('|')})/`;

const floorRules = floors.slice(1).map(([name, path], index) => ({
  name: `${name}-imports-down`,
  comment: `${name} must not import from a floor above it.`,
  severity: 'error',
  from: { path },
  to: { path: pathsOf(floors.slice(0, index + 1)) },
}));

const roomRules = rooms.flatMap((row, index) =>
  row.map((room) => ({
    name: `room-${room}-imports-down`,
    comment: `${room} imports only from rooms below it.`,
    severity: 'error',
    from: { path: roomPath([room]) },
    to: { path: roomPath([...rooms.slice(0, index).flat(), ...row.filter((other) => other !== room)]) },
  })),
);

export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'No file imports itself, directly or not.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    ...floorRules,
    {
      name: 'foundation-imports-nothing-above',
      comment: 'Products, settings, errors and the clock import from no floor.',
      severity: 'error',
      from: { path: foundation },
      to: { path: pathsOf(floors) },
    },
    ...roomRules,
    {
      name: 'webhooks-are-composed',
      comment: 'Rooms announce through events. Only composition and GraphQL import webhooks.',
      severity: 'error',
      from: { path: '^src/(domain|http)/', pathNot: '^src/domain/webhooks/' },
      to: { path: '^src/domain/webhooks/' },
    },
    {
      name: 'domain-knows-no-transport',
      comment: 'The domain knows neither GraphQL nor HTTP.',
      severity: 'error',
      from: { path: '^src/(domain|db)/' },
      to: { path: 'node_modules/(graphql|graphql-[^/]+|@pothos/[^/]+|better-auth)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^src/generated/' },
    // TypeScript 7 has no compiler API yet.
    parser: 'swc',
    tsPreCompilationDeps: true,
  },
};
