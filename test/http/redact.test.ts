import { expect, test } from 'vitest';
import { createRedact } from '../../src/http/redact.js';

test('a percent-encoded signing secret in a URL is redacted completely', () => {
  const redact = createRedact();
  const secret = 'whsec_t/G0sObroYS1RJ4q7fQIw/QUOZA3EznFcJj1noCWyLE=';
  expect(redact(`/${secret}`)).toBe('/[redacted]');
  expect(redact(`/${encodeURIComponent(secret)}`)).toBe('/[redacted]');
});
