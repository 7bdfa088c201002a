/** The reward of code: whether it passes tests, found out in a sandbox. */
import { LspError } from '../errors';
import { checkOptions, expectBoolean, expectInteger, expectOneOf, expectString, invalid } from '../options';
import { inLanes, Sandbox, testSolution, type SolutionVerdict } from '../sandbox';
import { extractCode } from './code/extract';
import { RewardError, type Reward, type RewardContext, type Sample } from './reward';

export interface SandboxedCodeOptions {
  /** Where the code runs: `await Sandbox.open()`. Its limits hold. */
  sandbox: Sandbox;
  /** 'all' (default): 1 if every test passes, else 0. 'share': the share of tests that pass. */
  score?: 'all' | 'share';
  /** Milliseconds that the tests of one answer may take together, default 5000. */
  timeoutMs?: number;
  /**
   * Refuses tests that are more than asserts on plain data (`assert f(1) == 2`): for tests that a model wrote, which
   * run beside the verdict. Default false.
   */
  plainTests?: boolean;
}

/** What a sample's `info` must have for this reward. */
export interface CodeInfo {
  /** Python: one text, or asserts. */
  tests: string | readonly string[];
  /** The function under test. Default: all names that the tests use and do not define. */
  entryPoint?: string;
}

/**
 * Scores answers that are Python (a fenced block, or bare) by `info.tests`, which never meet the code in one process:
 * arguments and results pass between them as plain data (None, numbers, text, bytes, and containers of them), so
 * functions that take or return other objects cannot be tested. What is stopped at a limit scores 0. Abstains (null)
 * where there are no tests.
 *
 * A limit of time makes scores depend on the machine, if only for code that is nearly too slow.
 */
export class SandboxedCode implements Reward {
  readonly name = 'sandboxed-code';
  readonly #sandbox: Sandbox;
  readonly #score: 'all' | 'share';
  readonly #timeoutMs: number;
  readonly #plain: boolean;

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(options: SandboxedCodeOptions) {
    checkOptions(options, ['sandbox', 'score', 'timeoutMs', 'plainTests'], 'SandboxedCode');
    this.#sandbox = expectSandbox(options.sandbox);
    this.#score = expectOneOf('score', options.score ?? 'all', ['all', 'share']);
    this.#timeoutMs = expectInteger('timeoutMs', options.timeoutMs ?? 5000, { min: 1, max: 2 ** 31 - 1 });
    this.#plain = expectBoolean('plainTests', options.plainTests ?? false);
  }

  /**
   * @throws RewardError (code REWARD_FAILED) with the sample's index for tests that cannot be run, or if the sandbox
   *   fails; LspError INVALID_ARGUMENT if a sample's info has something else as tests; the signal's reason
   */
  async score(samples: readonly Sample[], context?: RewardContext): Promise<(number | null)[]> {
    context?.signal.throwIfAborted();
    const infos = samples.map(({ info }) => codeInfo(info));
    return inLanes(samples, this.#sandbox.concurrency, context?.signal, async (sample, i, signal) => {
      const info = infos[i];
      return info ? this.#scoreSample(sample, info, i, signal) : null;
    });
  }

  async #scoreSample(sample: Sample, info: Info, index: number, signal: AbortSignal): Promise<number> {
    const code = extractCode(sample.answer, info.entryPoint)?.code ?? sample.answer;
    if (code.trim() === '') return 0;
    let verdict: SolutionVerdict;
    try {
      const limits = { timeoutMs: this.#timeoutMs };
      verdict = await testSolution(this.#sandbox, code, { ...info, plain: this.#plain, limits }, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof LspError)) throw error;
      throw new RewardError(
        `Expected a score for sample ${index} from reward \`${this.name}\` but received: ${error.message}`,
        { cause: error, sampleIndex: index, remedy: 'No weight was changed.' },
      );
    }
    if (verdict.outcome !== 'passed' && verdict.outcome !== 'failed') return 0;
    const passed = verdict.tests.filter((test) => test.passed).length;
    if (this.#score === 'share' && verdict.tests.length > 0) return passed / verdict.tests.length;
    return verdict.outcome === 'passed' ? 1 : 0;
  }
}

interface Info {
  tests: string;
  entryPoint?: string;
}

/** The tests of a query's `info`; null if it has none. @throws LspError INVALID_ARGUMENT */
function codeInfo(info: Readonly<Record<string, unknown>>): Info | null {
  const { tests, entryPoint } = info;
  if (tests === undefined || tests === null) return null;
  const lines = Array.isArray(tests) ? tests.map((test) => expectString('info.tests', test)) : null;
  const text = lines ? lines.join('\n') : expectString('info.tests', tests);
  if (text.trim() === '') return null;
  if (entryPoint === undefined || entryPoint === null) return { tests: text };
  return { tests: text, entryPoint: expectIdentifier('info.entryPoint', entryPoint) };
}

function expectIdentifier(name: string, value: unknown): string {
  if (typeof value === 'string' && /^[\p{L}_][\p{L}\p{N}_]*$/u.test(value)) return value;
  throw invalid(name, 'the name of a Python function', value);
}

/** An open sandbox. @throws LspError INVALID_ARGUMENT */
export function expectSandbox(value: unknown): Sandbox {
  if (value instanceof Sandbox) return value;
  throw invalid('sandbox', 'an open sandbox', value, 'Open one with `await Sandbox.open()`.');
}
