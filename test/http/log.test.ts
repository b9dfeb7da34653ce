import { expect, test } from 'vitest';
import { createLog } from '../../src/http/log.js';
import { createRedact } from '../../src/http/redact.js';
import { loadProducts } from '../../src/products/load.js';
import { generateSecret } from '../../src/products/secret-format.js';

function capture(run: (log: ReturnType<typeof createLog>) => void): Record<string, unknown> {
  const lines: string[] = [];
  run(createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } }));
  return JSON.parse(lines.join('')) as Record<string, unknown>;
}

test('fields named like secrets are masked at every depth, and ids of secrets are not', () => {
  const line = capture((log) =>
    log.info({
      authorization: 'a',
      headers: { 'set-cookie': 'b', 'x-vendor-key-secret': 'c', accept: 'd' },
      input: { apiKey: { secret: 'e', signingSecret: 'f', id: 'g' }, tokens: ['h'] },
      secretId: 'i',
      encryptionKey: Buffer.from('j'),
    }),
  );
  const mask = '[redacted]';
  expect(line).toMatchObject({
    authorization: mask,
    headers: { 'set-cookie': mask, 'x-vendor-key-secret': mask, accept: 'd' },
    input: { apiKey: { secret: mask, signingSecret: mask, id: 'g' }, tokens: mask },
    secretId: 'i',
    encryptionKey: mask,
  });
});

test('an error is logged with stack, code and cause but without other attached properties', () => {
  const error = new Error('outer', { cause: new Error('inner') });
  Object.assign(error, { code: 'E1', request: { headers: { authorization: 'Bearer abc' } } });
  const line = capture((log) => log.error({ err: error }, 'failed'));
  expect(line).toMatchObject({
    err: { type: 'Error', message: 'outer', code: 'E1', stack: expect.any(String), cause: { message: 'inner' } },
  });
  expect(JSON.stringify(line)).not.toContain('abc');
});

test('secrets of every preset and of this server are redacted by their format', async () => {
  const products = await loadProducts(['default', 'makistry', 'makra', 'masko', 'makepay', 'craftkit']);
  const redact = createRedact(products.all);
  const secrets = [
    ...products.all.flatMap(({ credential: { secrets } }) => [secrets.LIVE, ...(secrets.TEST ? [secrets.TEST] : [])]),
  ].map((format) => generateSecret(format));
  const own = [
    `tks_${'a1'.repeat(20)}`,
    `whsec_${Buffer.alloc(32, 1).toString('base64')}`,
    'Ab1'.repeat(11).slice(0, 32),
    `eyJhbGciOiJSUzI1NiJ9.${'e30'.repeat(20)}.${'sig'.repeat(20)}`,
  ];
  for (const secret of [...secrets, ...own]) {
    for (const text of [secret, `"${secret}"`, `value: ${secret}.`, `Bearer ${secret}`]) {
      expect(redact(text)).not.toContain(secret);
      expect(redact(text)).toContain('[redacted]');
    }
  }
});

test('ids, names and paths are not redacted', () => {
  const redact = createRedact();
  const text = `key_${'0'.repeat(32)} of wsp_${'f'.repeat(32)}: Cannot query field "signingSecretRotatedAt" at src/http/handler.ts:10`;
  expect(redact(text)).toBe(text);
});
