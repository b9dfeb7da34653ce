import { expect, test } from 'vitest';
import { createOrigins } from '../../src/http/origins.js';

test('by default only the origin of the server itself is allowed', () => {
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
  'a server on %s allows both localhost and 127.0.0.1 as its origin',
  (publicUrl) => {
    const origins = createOrigins(publicUrl, []);
    expect(origins.includes('http://127.0.0.1:4000')).toBe(true);
    expect(origins.includes('http://localhost:4000')).toBe(true);
    expect(origins.includes('http://localhost:4001')).toBe(false);
    expect(origins.includes('https://localhost:4000')).toBe(false);
  },
);

test('allowed origins are normalized as browsers send them', () => {
  expect(
    createOrigins('https://keys.example.com', ['https://App.example.com:443/']).includes('https://app.example.com'),
  ).toBe(true);
});
