// Prints the closing line of continuous integration from vitest's report, the linters counting as one test:
// tally.mjs REPORT passed|failed
import { readFileSync } from 'node:fs';

const [report = '', lint] = process.argv.slice(2);

/** A report that is missing, or a test file that broke before its first test, is a failure too. */
function count() {
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

const { passed, failed } = count();
const linted = Number(lint === 'passed');
console.log(`${passed + linted} passed, ${failed + 1 - linted} failed`);
process.exitCode = failed > 0 || linted === 0 || passed === 0 ? 1 : 0;
