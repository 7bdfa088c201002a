/**
 * The gate of the coding task: do the tests test something? Found out in the sandbox, one process for the batch.
 *
 * That tests are valid does not make them true: those that ask for the impossible are passed by nobody, and an objective
 * that pays only for what is sometimes solved pays nothing for them.
 */
import { randomBytes } from 'node:crypto';
import { endedEarly, reportsOf, sandboxAssets } from '../../sandbox/judge';
import type { Sandbox } from '../../sandbox';
import { expectSandbox } from '../../rewards/code';
import type { Gate, Query } from '../types';
import type { CodingInfo } from './coding-query';

const TIMEOUT_MS = 5000;

/**
 * Causes: `not-python`; `not-plain` (more than asserts of literals, operators, pure built-ins and calls of the function:
 * hence nothing random, nothing that depends on time); `not-called` (an assert without a call of the function);
 * `duplicate-tests`; `contradictory` (one call, two results); `trivial` (a constant or an argument as it is passes all
 * of them); `too-slow` (the tests do not end by themselves, or stop the
 * process that runs them).
 */
export function testsGate(sandbox: Sandbox): Gate {
  expectSandbox(sandbox);
  return async (queries, { signal }) => {
    const causes: (string | null)[] = [];
    while (causes.length < queries.length) {
      const rest = queries.slice(causes.length);
      const found = await causesOf(sandbox, rest, signal);
      causes.push(...found.slice(0, rest.length));
      // The set without an answer is the one that stopped the process; those after it get another.
      if (causes.length < queries.length) causes.push('too-slow');
    }
    return causes;
  };
}

/** The causes of the first queries: all of them, unless one stopped the process. */
async function causesOf(
  sandbox: Sandbox,
  queries: readonly Query[],
  signal: AbortSignal | undefined,
): Promise<(string | null)[]> {
  const nonce = randomBytes(16).toString('hex');
  const sets = queries.map(({ info }) => {
    const { tests, entryPoint } = info as unknown as CodingInfo;
    return { tests: tests.join('\n'), entryPoint };
  });
  const result = await sandbox.run(
    {
      command: [sandbox.python, '-s', '-S', '-B', '/program/gate.py'],
      readOnlyFiles: await sandboxAssets('gate.py', 'plain.py'),
      stdin: JSON.stringify({ nonce, sets }),
      timeoutMs: TIMEOUT_MS,
    },
    { signal },
  );
  const [ready, ...causes] = reportsOf(result.stdout, nonce);
  // A set can stop the process, but only once it runs; and without having stopped it, none is left out.
  if (ready === undefined || (result.status === 'ok' && causes.length < queries.length)) {
    throw endedEarly('gate.py', result);
  }
  return causes.map(({ cause }) => (typeof cause === 'string' ? cause : null));
}
