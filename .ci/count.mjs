// Prints what each JSON report of vitest counts, given as <name>=<path>, and as the last line their sum. Exits with 1 where a test failed
// or a report is missing.
import { readFileSync } from 'node:fs';

const sum = { passed: 0, failed: 0, skipped: 0 };
for (const argument of process.argv.slice(2)) {
  const [name, path] = argument.split('=');
  const report = read(path);
  const count = report === null ? { passed: 0, failed: 1, skipped: 0 } : countOf(report);
  console.log(`${name}: ${report === null ? 'no report' : describe(count)}`);
  for (const kind of Object.keys(sum)) sum[kind] += count[kind];
}

console.log(describe(sum));
// A run without a single report did not test anything.
process.exitCode = sum.failed === 0 && sum.passed > 0 ? 0 : 1;

function countOf(report) {
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + filesThatCouldNotRun(report),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function describe({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

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
