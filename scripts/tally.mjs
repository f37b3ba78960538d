// Prints each failed test of vitest's reports, and the closing line of continuous integration, the linters counting as one test:
// tally.mjs passed|failed REPORT...
import { readFileSync } from 'node:fs';

const [lint, ...reports] = process.argv.slice(2);

/** @typedef {{ status: string, fullName: string, failureMessages: string[] }} Assertion */

/** A report that is missing, or a test file that broke before its first test, is a failure too.
 * @param {string} report */
function count(report) {
  try {
    /** @type {{ numPassedTests: number, testResults: { name: string, status: string, message: string, assertionResults: Assertion[] }[] }} */
    const { numPassedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
    const failures = testResults.flatMap(({ name, status, message, assertionResults }) => {
      const failed = assertionResults.filter((assertion) => assertion.status === 'failed');
      if (status === 'failed' && failed.length === 0) return [`${name}: ${message}`];
      return failed.map(({ fullName, failureMessages }) => `${name}: ${fullName}\n${failureMessages.join('\n')}`);
    });
    return { passed: numPassedTests, failures };
  } catch (error) {
    return { passed: 0, failures: [`${report}: ${error}`] };
  }
}

const counts = reports.map(count);
const passed = counts.reduce((sum, one) => sum + one.passed, 0);
const failures = counts.flatMap((one) => one.failures);
if (lint !== 'passed') failures.push('lint');
for (const failure of failures) console.log(`FAILED ${failure}\n`);
console.log(`${passed + Number(lint === 'passed')} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 || passed === 0 ? 1 : 0;
