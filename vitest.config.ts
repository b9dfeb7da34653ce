import { createRequire } from 'node:module';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const report = process.env.TEST_REPORT;
const isLong = process.env.TEST_LONG === 'true';
const require = createRequire(import.meta.url);

/** Starts the files first that wait longest, so that none of them is left alone at the end. */
class LongWaitsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) =>
      ['/test/fault-injection/', '/test/process/', '/test/db/lock'].some((part) => moduleId.includes(part)) ? 0 : 1;
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}

export default defineConfig({
  resolve: {
    // Vitest can load two copies of graphql, one as a module and one as CommonJS, and a schema of one is foreign to the
    // other. Node's own `require` says which one the libraries get.
    alias: [{ find: /^graphql$/, replacement: require.resolve('graphql') }],
  },
  test: {
    // Measurements need a quiet machine, so they have commands of their own.
    include: process.env.TEST_MEASURE === 'true' ? ['test/**/*.measure.ts'] : ['test/**/*.test.ts'],
    // `npm test` leaves out what takes long; CI and `npm run test:services` run it. See CONTRIBUTING.md.
    exclude: isLong ? [] : ['test/**/*.long.test.ts'],
    // CI counts what a report says; people read what is printed.
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    globalSetup: ['test/global-setup.ts'],
    setupFiles: ['test/setup.ts'],
    sequence: { sequencer: LongWaitsFirst },
    pool: 'forks',
    // Each test makes its own tenant, so files can share a process; loading the schema once per process saves most of the time.
    isolate: false,
    // One more than a small machine has cores: some tests wait for minutes to pass.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
