// Prints the closing line of continuous integration from vitest's reports, the linters counting as one test:
// tally.mjs passed|failed REPORT...
import { readFileSync } from 'node:fs';

const [lint, ...reports] = process.argv.slice(2);

/** A report that is missing, or a test file that broke before its first test, is a failure too.
 * @param {string} report */
function count(report) {
  try {
    /** @type {{ numPassedTests: number, numFailedTests: number, testResults: { status: string, assertionResults: { status: string }[] }[] }} */
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
    const broken = testResults.filter(
      ({ status, assertionResults }) =>
        status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
    );
    return { passed: numPassedTests, failed: numFailedTests + broken.length };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

const counts = reports.map(count);
const passed = counts.reduce((sum, one) => sum + one.passed, 0);
const failed = counts.reduce((sum, one) => sum + one.failed, 0);
const linted = Number(lint === 'passed');
console.log(`${passed + linted} passed, ${failed + 1 - linted} failed`);
process.exitCode = failed > 0 || linted === 0 || passed === 0 ? 1 : 0;
