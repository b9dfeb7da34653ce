import { newId } from '../../src/db/ids.js';

/** A label, the invalid value, and the field in the error if it differs from the path of the input. */
export type BadValue = readonly [what: string, value: unknown, field?: string];

const characters = (count: number) => 'x'.repeat(count);

const names: BadValue[] = [
  ['empty', ''],
  ['blank', ' \t\n '],
  ['101 characters', characters(101)],
  ['a control character', 'a\u0007b'],
  ['a line break', 'a\nb'],
  ['a right-to-left override', 'gnp\u202etxt'],
  ['a zero-width space', 'Ac\u200bme'],
  ['a byte order mark', 'Ac\ufeffme'],
  ['only an invisible letter', '\u3164'],
  ['a joiner at its end', 'Acme\u200d'],
  ['a number', 5],
  ['a list', [['a']]],
];

const ids = (kind: Parameters<typeof newId>[0]): BadValue[] => [
  ['unknown', newId(kind)],
  ['of another kind', newId('auditEvent')],
  ['malformed', 'nonsense'],
  ['empty', ''],
  ['10,000 characters', characters(10_000)],
  ['null', null],
  ['a list', ['a', 'b']],
];

const reasons: BadValue[] = [
  ['501 characters', characters(501)],
  ['a number', 5],
];

const idempotencyKeys: BadValue[] = [
  ['empty', ''],
  ['blank', ' '],
  ['256 characters', characters(256)],
  ['not ASCII', 'ä'],
  ['a space', 'a b'],
  ['a line break', 'a\n'],
];

const slugs: BadValue[] = [
  ['unknown', 'nonsense'],
  ['empty', ''],
  ['of every object', 'constructor'],
  ['the prototype', '__proto__'],
  ['10,000 characters', characters(10_000)],
];

const permissions = (path: string): BadValue[] => [
  ['unknown', ['data:read', 'nonsense'], `${path}.1`],
  ['empty', [''], `${path}.0`],
  ['of every object', ['constructor'], `${path}.0`],
  ['that no key can hold', ['internal:call'], `${path}.0`],
  ['10,000 of them', Array(10_000).fill('data:read')],
];

const origins = (path: string): BadValue[] => [
  ...[
    'nonsense',
    '',
    'null',
    'example.com',
    'ftp://example.com',
    'javascript:alert(1)',
    'https://',
    'https://example.com/path',
    'https://example.com?query',
    'https://example.com#hash',
    'https://person@example.com',
    'https://example.com:99999',
    'https://exa mple.com',
    'https://*.example.com',
    `https://${characters(255)}.com`,
  ].map((origin): BadValue => [`the origin ${origin.slice(0, 30)}`, ['https://example.com', origin], `${path}.1`]),
  ['51 origins', Array.from({ length: 51 }, (_, index) => `https://${index}.example.com`)],
  ['10,000 origins', Array(10_000).fill('https://example.com')],
];

const futureTimes: BadValue[] = [
  ['in the past', '2020-01-01T00:00:00Z'],
  ['long past', '0001-01-01T00:00:00Z'],
  ['a word', 'tomorrow'],
  ['empty', ''],
  ['a date without a time', '2999-01-31'],
  ['a time without its offset', '2999-01-31T00:00:00'],
  ['a day that does not exist', '2999-02-31T00:00:00Z'],
  ['a leap day in no leap year', '2999-02-29T00:00:00Z'],
  ['a 13th month', '2999-13-01T00:00:00Z'],
  ['a 25th hour', '2999-01-31T25:00:00Z'],
  ['a 24th hour', '2999-01-31T24:00:00Z'],
  ['an offset of 25 hours', '2999-01-31T00:00:00+25:00'],
  ['a year of five digits', '+10000-01-01T00:00:00Z'],
  ['beyond the year 9999 with its offset', '9999-12-31T23:59:59-01:00'],
  ['a number', 4_102_444_800_000],
];

const integers: BadValue[] = [
  ['2³¹', 2_147_483_648],
  ['1e308', 1e308],
  ['a fraction', 1.5],
  ['a text', '1'],
];

const quantities: BadValue[] = [
  ['negative', -1],
  ['zero', 0],
  ['negative zero', -0],
  ['1e308', 1e308],
  ['more than an Int of credits', 2_147_483_648],
  ['a text', 'NaN'],
  ['Infinity', 'Infinity'],
];

const verification: Readonly<Record<string, BadValue[]>> = {
  credential: [
    ['null', null],
    ['none', {}],
    ['two at once', { bearer: 'a', pair: { keyId: 'a', secret: 'b' } }],
    ['half a pair', { pair: { keyId: 'a' } }, '.pair'],
  ],
  product: slugs,
  environment: [['unknown', 'MOON']],
  requires: [
    ['unknown', ['data:read', 'nonsense'], '.1'],
    ['21 of them', Array(21).fill('data:read')],
    ['10,000 of them', Array(10_000).fill('data:read')],
  ],
  origin: origins('').flatMap(([what, value]): BadValue[] => {
    const origin = Array.isArray(value) && value.length === 2 ? value[1] : '';
    // A request without an origin and a request with an opaque origin are both common.
    return origin === '' || origin === 'null' ? [] : [[what, origin]];
  }),
  'charge.action': slugs,
  'charge.quantity': quantities,
  'charge.hold': [['a text', 'true']],
  'charge.idempotencyKey': idempotencyKeys,
};

/** The inputs of one verification, below `path`. */
function verificationAt(path: string): Readonly<Record<string, BadValue[]>> {
  return Object.fromEntries(
    Object.entries(verification).map(([field, values]) => [
      `${path}.${field}`,
      values.map(([what, value, below]): BadValue => [what, value, `${path}.${field}${below ?? ''}`]),
    ]),
  );
}

/** Only the paths that a batch refuses as a whole; all others fail only their item. */
function only(all: Readonly<Record<string, BadValue[]>>, paths: string[]): Readonly<Record<string, BadValue[]>> {
  return Object.fromEntries(paths.map((path) => [path, all[path] ?? []]));
}

const urls: BadValue[] = [
  ...[
    '',
    'nonsense',
    'https://',
    'http://example.com/',
    'ftp://example.com/',
    'javascript:alert(1)',
    'file:///etc/passwd',
    'https://name:password@example.com/',
    'https://name@example.com/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0177.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://169.254.169.254/latest/meta-data',
    'https://exa mple.com/',
    'https://example.com:99999/',
  ].map((url): BadValue => [`the URL ${url}`, url]),
  ['2,001 characters', `https://example.com/${characters(1_981)}`],
  ['more than 2,000 characters once it is written out', `https://example.com/${'ä'.repeat(1_000)}`],
  ['a number', 5],
];

const eventTypes: BadValue[] = [
  ['not one of this server', ['job.finished', 'api_key.eaten'], 'input.eventTypes.1'],
  ['one word', ['job'], 'input.eventTypes.0'],
  ['empty', [''], 'input.eventTypes.0'],
  ['a pattern', ['api_key.*'], 'input.eventTypes.0'],
  ['101 characters', [`a.${characters(99)}`], 'input.eventTypes.0'],
  ['51 of them', Array.from({ length: 51 }, (_, index) => `job.event_${index}`)],
];

const endpoint = { 'input.endpointId': ids('webhookEndpoint') };
const changeableEndpoint = {
  'input.url': urls,
  'input.eventTypes': eventTypes,
  'input.description': [['501 characters', characters(501)] as const, ['a number', 5] as const],
};

/** `depth` objects, nested. */
const nested = (depth: number): unknown => (depth === 0 ? {} : { a: nested(depth - 1) });

const key = { 'input.apiKeyId': ids('apiKey') };
const workspace = { 'input.workspaceId': ids('workspace') };
const changeableKey = {
  'input.name': names,
  'input.permissions': permissions('input.permissions'),
  'input.allowedOrigins': origins('input.allowedOrigins'),
  'input.spendLimit.credits': [['none', 0] as const, ['negative', -1] as const, ...integers],
  'input.spendLimit.period': [['unknown', 'YEAR'] as const],
  'input.expiresAt': futureTimes,
};
const feature = { ...workspace, 'input.product': slugs, 'input.feature': slugs };

/** The invalid values of each input of each root field. */
export const badValues: Readonly<Record<string, Readonly<Record<string, readonly BadValue[]>>>> = {
  apiKeys: {
    'filter.status': [['unknown', 'NEW']],
    'filter.environment': [['unknown', 'MOON']],
    filter: [['a text', 'ACTIVE']],
  },
  auditEvents: {
    'filter.actorKind': [['unknown', 'MOON']],
    'filter.refused': [['a text', 'true']],
    'filter.from': [['a word', 'yesterday']],
    'filter.to': [['a date without a time', '2999-01-31']],
    filter: [['a text', 'apiKey.revoked']],
  },
  authenticationFailures: {
    from: [['a word', 'yesterday'] as const, ['later than `to`', '2999-01-01T00:00:00Z', 'to'] as const],
    to: [
      ['a word', 'tomorrow'],
      ['earlier than `from`', '2020-01-01T00:00:00Z'],
      ['more than seven days later', '2030-01-09T00:00:00Z'],
    ],
  },
  nodes: { ids: [['10,000 of them', Array(10_000).fill('nonsense')]] },
  explainVerification: verificationAt('input'),
  webhookDeliveries: {
    'filter.state': [['unknown', 'NEW']],
    filter: [['a text', 'PENDING']],
  },

  createWorkspace: {
    'input.name': [...names, ['null', null]],
    input: [
      ['null', null],
      ['a text', 'Acme'],
      ['missing a field', {}],
    ],
  },
  updateWorkspace: { ...workspace, 'input.name': names },
  suspendWorkspace: { ...workspace, 'input.reason': reasons },
  resumeWorkspace: workspace,
  enableFeature: feature,
  disableFeature: feature,

  inviteMember: {
    ...workspace,
    'input.email': [
      ...[
        '',
        'nonsense',
        'a@',
        '@example.com',
        'a b@example.com',
        'a@b@example.com',
        'a@exa_mple.com',
        'a\u0007@example.com',
      ].map((address): BadValue => [`the address ${JSON.stringify(address)}`, address]),
      ['the address of 300 characters', `a@${characters(300)}.com`],
    ],
    'input.role': [
      ['unknown', 'BOSS'],
      ['empty', ''],
      ['a number', 1],
    ],
  },
  revokeInvitation: { 'input.invitationId': ids('invitation') },
  acceptInvitation: {
    'input.token': [
      ['unknown', `tki_${characters(43)}`],
      ['malformed', 'nonsense'],
      ['empty', ''],
      ['10,000 characters', characters(10_000)],
    ],
  },
  updateMember: {
    'input.memberId': ids('member'),
    'input.role': [['unknown', 'BOSS']],
    'input.permissions': [
      ['unknown', ['nonsense'], 'input.permissions.0'],
      ['that cannot be granted', ['settings:manage', 'workspace:suspend'], 'input.permissions.1'],
      ['10,000 of them', Array(10_000).fill('settings:manage')],
    ],
  },
  removeMember: { 'input.memberId': ids('member') },

  createApiKey: {
    'input.workspaceId': ids('workspace'),
    ...changeableKey,
    // Without a product, the first product of the server applies.
    'input.product': slugs,
    'input.environment': [['unknown', 'MOON']],
  },
  updateApiKey: {
    ...key,
    ...changeableKey,
    'input.enabled': [['a text', 'false']],
  },
  rotateApiKey: {
    ...key,
    'input.overlapSeconds': [['negative', -1], ['more than seven days', 604_801], ['null', null], ...integers],
  },
  retireSecret: { 'input.secretId': ids('keySecret') },
  revokeApiKey: { ...key, 'input.reason': reasons },
  deleteApiKey: key,
  rotateSigningSecret: {
    ...key,
    'input.overlapSeconds': [['negative', -1], ['more than a week', 604_801], ...integers],
  },

  createWebhookEndpoint: { ...key, ...changeableEndpoint },
  updateWebhookEndpoint: { ...endpoint, ...changeableEndpoint, 'input.enabled': [['a text', 'false']] },
  deleteWebhookEndpoint: endpoint,
  sendTestWebhook: endpoint,
  redeliverWebhook: { 'input.deliveryId': ids('webhookDelivery') },
  publishEvent: {
    ...key,
    // A key and a workspace cannot both be set.
    'input.workspaceId': ids('workspace').filter(([what]) => what !== 'null'),
    'input.type': [
      ['empty', ''],
      ['one word', 'finished'],
      ['one of this server', 'api_key.created'],
      ['like one of this server', 'webhook.made_up'],
      ['a space', 'job. finished'],
      ['101 characters', `a.${characters(99)}`],
    ],
    'input.data': [
      ['null', null],
      ['a text', 'finished'],
      ['a number', 5],
      ['a list', [{ jobId: 1 }]],
      ['more than 64 KB', { a: characters(65_536) }],
      ['22 levels deep', nested(21)],
      ['1,000 levels deep', nested(1_000)],
    ],
    'input.idempotencyKey': idempotencyKeys,
  },
  setCreditsLowAt: { ...workspace, 'input.credits': [['negative', -1], ...integers] },

  grantCredits: {
    ...workspace,
    'input.credits': [['none', 0], ['negative', -1], ['more than an account holds', 2_147_483_647], ...integers],
    'input.reason': reasons,
    'input.idempotencyKey': idempotencyKeys,
    'input.expiresAt': futureTimes,
    'input.priority': [['above 1000', 1001], ['below -1000', -1001], ['the least Int', -2_147_483_648], ...integers],
  },
  captureCharge: {
    'input.chargeId': ids('charge'),
    'input.credits': [['negative', -1], ['more than is held', 3], ...integers],
    'input.quantity': [['more than is held', 3], ...quantities],
  },
  releaseCharge: { 'input.chargeId': ids('charge') },
  refundCharge: {
    'input.chargeId': ids('charge'),
    'input.credits': [['none', 0], ['negative', -1], ['more than was taken', 3], ...integers],
    'input.reason': reasons,
    'input.idempotencyKey': idempotencyKeys,
  },
  verifyApiKey: verificationAt('input'),
  verifyApiKeys: {
    ...only(verificationAt('inputs.0'), ['inputs.0.credential', 'inputs.0.environment']),
    inputs: [['101 of them', Array(101).fill({ credential: { bearer: '' } })]],
  },
};

/** Inputs without invalid values: any text is a credential, valid or not; unknown items are not listed. */
export const anyValue: readonly RegExp[] = [
  /^(explainVerification|verifyApiKeys?) inputs?(\.0)?\.credential\.(bearer|pair\.(keyId|secret))$/,
  /^apiKeys (filter\.product|workspaceId)$/,
  /^auditEvents (filter\.(action|actorId|subjectId)|workspaceId)$/,
  /^(apiKey|credits|node|workspace|webhookEndpoint|webhookDelivery) (id|workspaceId)$/,
  /^webhook(Endpoints|Deliveries) (workspaceId|apiKeyId|filter\.(endpointId|eventId|eventType))$/,
];

/** Inputs covered elsewhere: pages by pages.test.ts, items of a batch by verify-api-keys.test.ts. */
export const shownElsewhere: readonly RegExp[] = [
  /^(apiKeys|auditEvents|workspaces|webhookEndpoints|webhookDeliveries) (first|last|after|before)$/,
  /^verifyApiKeys inputs\.0\.(product|requires|origin|charge\..*)$/,
];
