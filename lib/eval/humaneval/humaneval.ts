/**
 * HumanEval (Chen et al. 2021, arXiv 2107.03374): Python functions from their docstrings, judged by tests in a sandbox.
 *
 * It departs from the published harness in one thing: tests and answer are in two processes that exchange plain data,
 * so that an answer cannot reach the tests or the verdict (assets/sandbox/judge.py). All published solutions pass.
 */
import { checkOptions, expectArray, expectInteger, expectOneOf, invalid } from '../../options';
import type { Prompt } from '../../model/types';
import { expectSandbox } from '../../rewards/code';
import { inLanes, Sandbox, testSolution, type SolutionVerdict } from '../../sandbox';
import type {
  AnsweredItem,
  Evaluation,
  Generation,
  JudgeContext,
  ItemJudgement,
  Json,
  Metric,
} from '../evaluation';
import { passAtK } from './pass-at-k';
import { COMPLETION_STOPS, helpersOf, programOf, type AnswerStyle } from './program';
import { readItems, type HumanEvalItem } from './rows';

export interface HumanEvalOptions {
  /** Path of HumanEval's rows. Default: the hub's openai/openai_humaneval. */
  data?: string;
  /** Default: `await Sandbox.open()`. */
  sandbox?: Sandbox;
  /** 'chat' (default): the question in a message. 'completion': the question as it is, to be continued. */
  style?: AnswerStyle;
  /** pass@k for each. Default [1]; with others, `generation` samples as many answers as the largest. */
  k?: readonly number[];
  /** Milliseconds that the tests of one answer may take together, default 10 000. */
  timeoutMs?: number;
}

export type HumanEvalVerdict = {
  /** Answers that pass all tests, of how many. */
  correct: number;
  samples: number;
  /** What came of each answer. */
  outcomes: SolutionVerdict['outcome'][];
};

const REQUEST =
  'Complete this Python function. Answer with one Python code block that contains the whole function.';

interface Settings {
  items: readonly HumanEvalItem[];
  sandbox: Sandbox;
  style: AnswerStyle;
  k: readonly number[];
  timeoutMs: number;
}

export class HumanEval implements Evaluation<HumanEvalItem, HumanEvalVerdict> {
  readonly name = 'humaneval';
  readonly items: readonly HumanEvalItem[];
  readonly settings: Readonly<Record<string, Json>>;
  readonly generation: Generation;
  readonly sampleRange: { readonly min: number };
  readonly metrics: readonly Metric<HumanEvalVerdict>[];
  readonly #sandbox: Sandbox;
  readonly #style: AnswerStyle;
  readonly #mostK: number;
  readonly #timeoutMs: number;

  private constructor({ items, sandbox, style, k, timeoutMs }: Settings) {
    this.items = items;
    this.#sandbox = sandbox;
    this.#style = style;
    this.#mostK = Math.max(...k);
    this.#timeoutMs = timeoutMs;
    // Of the sandbox only what may change a verdict: an update of bubblewrap makes no other results.
    const python = /Python (\d+\.\d+)/.exec(sandbox.description)?.[1] ?? null;
    this.settings = { style, k, timeoutMs, python };
    this.generation = {
      maxNewTokens: 512,
      // Greedy for one answer; several equal ones would say no more than one. 0.8 as published for large k.
      temperature: this.#mostK === 1 ? 0 : 0.8,
      samples: this.#mostK,
      ...(style === 'completion' && { stop: COMPLETION_STOPS }),
    };
    this.sampleRange = { min: this.#mostK };
    this.metrics = k.map((count) => ({
      name: `pass_at_${count}`,
      label: `pass@${count}`,
      value: (verdicts) => meanPass(verdicts, count),
    }));
  }

  /**
   * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION, IO_ERROR (no such file), SANDBOX_UNAVAILABLE
   */
  static async load(options: HumanEvalOptions = {}): Promise<HumanEval> {
    const checked = checkOptions(options, ['data', 'sandbox', 'style', 'k', 'timeoutMs'], 'HumanEval.load');
    const k = expectArray('k', checked.k ?? [1], { nonEmpty: true }).map((count) =>
      expectInteger('k', count, { min: 1 }),
    );
    if (new Set(k).size < k.length) throw invalid('k', 'numbers that differ', k.join(', '));
    const style = expectOneOf('style', checked.style ?? 'chat', ['chat', 'completion']);
    const timeoutMs = expectInteger('timeoutMs', checked.timeoutMs ?? 10_000, { min: 1, max: 2 ** 31 - 1 });
    const items = await readItems(checked.data);
    const sandbox = checked.sandbox === undefined ? await Sandbox.open() : expectSandbox(checked.sandbox);
    return new HumanEval({ items, sandbox, style, k, timeoutMs });
  }

  prompt(item: HumanEvalItem): Prompt {
    if (this.#style === 'completion') return item.prompt;
    return [{ role: 'user', content: `${REQUEST}\n\n\`\`\`python\n${item.prompt.trim()}\n\`\`\`` }];
  }

  /**
   * @throws LspError INVALID_ARGUMENT for fewer answers an item than the largest k, or an item whose tests cannot be
   *   run; SANDBOX_UNAVAILABLE; the signal's reason
   */
  async judge(
    answered: readonly AnsweredItem<HumanEvalItem>[],
    { signal }: JudgeContext,
  ): Promise<ItemJudgement<HumanEvalVerdict>[]> {
    signal.throwIfAborted();
    for (const { item, answers } of answered) {
      if (answers.length >= this.#mostK) continue;
      throw invalid(
        'samples',
        `at least ${this.#mostK} answers for ${item.id}, the largest k`,
        answers.length,
      );
    }
    // One lane an answer: items with many answers would otherwise wait for each other.
    const flat = answered.flatMap(({ item, answers }) => answers.map(({ text }) => ({ item, text })));
    const verdicts = await inLanes(flat, this.#sandbox.concurrency, signal, ({ item, text }, _, either) =>
      this.#judgeAnswer(item, text, either),
    );
    let next = 0;
    return answered.map(({ answers }) => {
      const outcomes = verdicts.slice(next, next + answers.length).map(({ outcome }) => outcome);
      next += answers.length;
      const correct = outcomes.filter((outcome) => outcome === 'passed').length;
      return { verdict: { correct, samples: answers.length, outcomes } };
    });
  }

  /** The tests are one call, `check(f)`, and may use the helpers in the question. */
  #judgeAnswer(item: HumanEvalItem, answer: string, signal: AbortSignal): Promise<SolutionVerdict> {
    const tests = {
      tests: `${item.test}\n\ncheck(${item.entryPoint})\n`,
      entryPoint: item.entryPoint,
      prelude: helpersOf(item),
      limits: { timeoutMs: this.#timeoutMs },
    };
    return testSolution(this.#sandbox, programOf(item, answer, this.#style), tests, signal);
  }
}

function meanPass(verdicts: readonly HumanEvalVerdict[], k: number): number | null {
  if (verdicts.length === 0) return null;
  const passes = verdicts.map(({ samples, correct }) => passAtK(samples, correct, k));
  return passes.reduce((sum, pass) => sum + pass, 0) / passes.length;
}
