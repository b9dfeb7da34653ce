// Prints the last line of a run: what vitest's JSON reports count, taken together. Exits with 1 where anything failed.
import { readFileSync } from 'node:fs';

const count = { passed: 0, failed: 0, skipped: 0 };
for (const path of process.argv.slice(2)) {
  const report = read(path);
  if (report === null) {
    console.log(`no report: ${path.split('/').at(-1)}`);
    count.failed += 1;
    continue;
  }
  count.passed += report.numPassedTests;
  count.failed += report.numFailedTests + filesThatCouldNotRun(report);
  count.skipped += report.numPendingTests + report.numTodoTests;
}

console.log(`${count.passed} passed, ${count.failed} failed${count.skipped === 0 ? '' : `, ${count.skipped} skipped`}`);
process.exitCode = count.failed === 0 ? 0 : 1;

/** @returns null where the suite ended before it wrote its report. */
function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

/** A file that fails before its first test has no failed test to count. */
function filesThatCouldNotRun({ testResults }) {
  return testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
  ).length;
}
