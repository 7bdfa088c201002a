/**
 * Tests against a solution that nobody has read: the typed side of assets/sandbox/judge.py, which says how the two are
 * kept apart.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LspError } from '../errors';
import { isRecord } from '../options';
import { SANDBOX_ASSETS } from './probe';
import type { Sandbox } from './sandbox';
import type { SandboxLimits, SandboxResult, SandboxStatus } from './types';

export interface SolutionTests {
  /**
   * Python. A statement at the top level is a test if it asserts, calls or raises, on its own or within (a loop of asserts
   * is one test); definitions, imports and assignments prepare. Runners that print failures (`unittest.main`) are refused.
   */
  tests: string;
  /** The function under test. Default: all names that the tests use and do not define are the solution's. */
  entryPoint?: string;
  /** Python that the tests may use, run before them. */
  prelude?: string;
  /** Refuses tests that are more than asserts on plain data: for tests that a model wrote. Default false. */
  plain?: boolean;
  limits?: Partial<SandboxLimits>;
}

export interface TestVerdict {
  passed: boolean;
  /** What went wrong, e.g. `AssertionError: `; null for a test that passed. At most some 200 characters. */
  why: string | null;
}

export interface SolutionVerdict {
  /** `passed`: all of `tests` ran to its end, and without an exception. The others as in `SandboxStatus`: which limit stopped it. */
  outcome: 'passed' | Exclude<SandboxStatus, 'ok'>;
  /** One a test; those that were not reached have failed. Empty if it was stopped before the first. */
  tests: TestVerdict[];
}

/** Reports are short; a test cannot write to them. */
const REPORT_BYTES = 2 ** 20;

/**
 * Runs tests against a solution, each in a process of its own within one sandbox.
 *
 * @throws LspError INVALID_ARGUMENT if the tests are no Python, have no test, or are not plain; SANDBOX_UNAVAILABLE;
 *   the signal's reason
 */
export async function testSolution(
  sandbox: Sandbox,
  solution: string,
  tests: SolutionTests,
  signal?: AbortSignal,
): Promise<SolutionVerdict> {
  const nonce = randomBytes(16).toString('hex');
  const request = {
    nonce,
    solution,
    tests: tests.tests,
    entryPoint: tests.entryPoint ?? null,
    prelude: tests.prelude ?? '',
    plain: tests.plain ?? false,
  };
  const result = await sandbox.run(
    {
      ...tests.limits,
      maxOutputBytes: REPORT_BYTES,
      command: [sandbox.python, '-s', '-S', '-B', '/program/judge.py'],
      readOnlyFiles: await sandboxAssets('judge.py', 'worker.py', 'codec.py', 'plain.py'),
      stdin: JSON.stringify(request),
    },
    { signal },
  );
  const reports = reportsOf(result.stdout, nonce);
  // Before its first report nothing of the solution has run: it cannot be to blame.
  if (reports.length === 0 && ['ok', 'failed'].includes(result.status)) throw endedEarly('judge.py', result);
  return verdictOf(result.status, reports);
}

function verdictOf(status: SandboxStatus, reports: readonly Record<string, unknown>[]): SolutionVerdict {
  const [head, ...rest] = reports;
  if (typeof head?.['invalid'] === 'string') {
    throw new LspError(
      'INVALID_ARGUMENT',
      `Expected tests in Python for \`tests\` but received some that fail by themselves: ${head['invalid']}.`,
    );
  }
  const count = typeof head?.['tests'] === 'number' ? head['tests'] : 0;
  const stopped = status === 'ok' || status === 'failed' ? 'the judge was stopped' : status;
  const verdicts = Array.from({ length: count }, (_, i): TestVerdict => {
    const { passed, why } = rest[i] ?? {};
    if (passed === true) return { passed, why: null };
    return { passed: false, why: typeof why === 'string' ? why : stopped };
  });
  // What follows the last test can fail, too, and who stops the judge there must not pass.
  const done = rest[count]?.['done'] === true && rest.length === count + 1;
  if (status === 'ok' && count > 0 && done && verdicts.every(({ passed }) => passed)) {
    return { outcome: 'passed', tests: verdicts };
  }
  return { outcome: status === 'ok' ? 'failed' : status, tests: verdicts };
}

/** The lines of a program of ours that bear the nonce. */
export function reportsOf(output: string, nonce: string): Record<string, unknown>[] {
  return output.split('\n').flatMap((line) => {
    try {
      const report: unknown = JSON.parse(line);
      return isRecord(report) && report['nonce'] === nonce ? [report] : [];
    } catch {
      return []; // an empty line, or one that was cut when the program was stopped
    }
  });
}

/** The error of a program of ours that did not do its work; throw what it returns. */
export function endedEarly(name: string, { status, exitCode, stderr }: SandboxResult): LspError {
  return new LspError(
    'SANDBOX_UNAVAILABLE',
    `Expected a report of ${name} in the sandbox but received none (${status}, exit code ${String(exitCode)}: ` +
      `${stderr.trim().slice(-300)}).`,
    { remedy: 'Check that Python 3.9 or newer runs in the sandbox, with its standard library.' },
  );
}

/** Python programs of this package by name. */
export async function sandboxAssets(...names: string[]): Promise<Record<string, string>> {
  const contents = names.map(async (name) => [name, await readFile(join(SANDBOX_ASSETS, name), 'utf8')]);
  return Object.fromEntries(await Promise.all(contents)) as Record<string, string>;
}
