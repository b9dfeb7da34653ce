import { expect, test } from 'vitest';
import { createOrigins } from '../../src/http/origins.js';

test("without a word of the operator, the server's own origin is the only one", () => {
  const origins = createOrigins('https://keys.example.com', []);
  expect([...origins.all]).toEqual(['https://keys.example.com']);
  for (const other of [
    null,
    'null',
    'http://keys.example.com',
    'https://keys.example.com:8443',
    'https://example.com',
  ]) {
    expect(origins.includes(other)).toBe(false);
  }
});

test.each(['http://127.0.0.1:4000', 'http://localhost:4000', 'http://0.0.0.0:4000'])(
  'a server on this machine is at home under both of its names (%s)',
  (publicUrl) => {
    const origins = createOrigins(publicUrl, []);
    expect(origins.includes('http://127.0.0.1:4000')).toBe(true);
    expect(origins.includes('http://localhost:4000')).toBe(true);
    expect(origins.includes('http://localhost:4001')).toBe(false);
    expect(origins.includes('https://localhost:4000')).toBe(false);
  },
);

test('an allowed origin is compared as browsers write it', () => {
  expect(
    createOrigins('https://keys.example.com', ['https://App.example.com:443/']).includes('https://app.example.com'),
  ).toBe(true);
});
