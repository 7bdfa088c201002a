/**
 * The coding task: the Challenger writes what a function does, and tests; the Solver writes the function; the sandbox
 * decides. A program that runs tells what is right without anybody's knowing it (Absolute Zero, arXiv 2505.03335).
 *
 * The form is one that a small model can keep to: a sentence, a def line, a few asserts, ended by an empty line.
 */
import { checkOptions, expectArray, expectInteger } from '../../options';
import { expectSandbox, SandboxedCode, type SandboxedCodeOptions } from '../../rewards/code';
import type { ChatMessage } from '../../model/types';
import type { Sandbox } from '../../sandbox';
import { allOf, copyGate, duplicateGate, lengthGate, markupGate, repetitionGate, scriptGate } from '../gates';
import {
  ASK_FOR_CODING_TASK,
  CODING_CHALLENGER_SYSTEM,
  renderCodingExample,
  type CodingExample,
} from '../prompts';
import { shuffledIndices } from '../random';
import type { ChallengerPrompt, ChallengerRequest, Gate, QueryReport, Task } from '../types';
import { CODING_EXAMPLES } from './coding-examples';
import { testsGate } from './coding-gate';
import { parseCodingQuery, type CodingForm, type CodingInfo } from './coding-query';

export interface CodingOptions {
  /** Where tests and answers run: `await Sandbox.open()`. */
  sandbox: Sandbox;
  /** Tests of a query, 1..10; what is beyond the most is left out. Default 2 and 5. */
  minTests?: number;
  maxTests?: number;
  /** Tests that the Solver sees, below `minTests`: one that sees all of them need not understand. Default 1. */
  shownTests?: number;
  /** As of `SandboxedCode`: 'all' (default) or 'share' of the tests. */
  score?: SandboxedCodeOptions['score'];
  /** Milliseconds for the tests of one answer, default 2000. */
  timeoutMs?: number;
  /** Worked examples shown to the Challenger, drawn from `examplePool`. Default 6. */
  examples?: number;
  examplePool?: readonly CodingExample[];
  /** Least queries of a step that are shown the same examples, and so share a prompt. Default 2. */
  queriesPerPrompt?: number;
}

/** The values that play it: `new LspTrainer({ challenger: { task, maxNewTokens: 160 }, gate, reward, … })`. */
export interface Coding {
  task: Task;
  /** Whether the tests test something (`testsGate`), after the checks of the sentence that all tasks have. */
  gate: Gate;
  reward: SandboxedCode;
}

/** The end of the form, and what a model begins with where it writes the function as well. */
const STOPS = ['\n\n', '\nprint', '\nif ', '\nfor ', '\nreturn', '\n#', '\nTask', '\n    '];

const OPTION_NAMES = [
  'sandbox',
  'minTests',
  'maxTests',
  'shownTests',
  'score',
  'timeoutMs',
  'examples',
  'examplePool',
  'queriesPerPrompt',
];

/**
 * Task, gate and reward of coding. `Query.info` is a `CodingInfo`; `difficulty` is the number of tests. Texts of the
 * Challenger take some 120 tokens (its `maxNewTokens`), answers about as many.
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function coding(options: CodingOptions): Coding {
  const checked = checkOptions(options, OPTION_NAMES, 'coding');
  const sandbox = expectSandbox(checked.sandbox);
  const minTests = expectInteger('minTests', checked.minTests ?? 2, { min: 1, max: 10 });
  const form: CodingForm = {
    minTests,
    maxTests: expectInteger('maxTests', checked.maxTests ?? Math.max(5, minTests), {
      min: minTests,
      max: 10,
    }),
    shownTests: expectInteger('shownTests', checked.shownTests ?? Math.min(1, minTests - 1), {
      min: 0,
      max: minTests - 1,
    }),
  };
  const pool = checked.examplePool ?? CODING_EXAMPLES;
  expectArray('examplePool', pool);
  const examples = expectInteger('examples', checked.examples ?? Math.min(6, pool.length), {
    min: 0,
    max: pool.length,
  });
  const queriesPerPrompt = expectInteger('queriesPerPrompt', checked.queriesPerPrompt ?? 2, { min: 1 });
  const { score, timeoutMs = 2000 } = checked;
  return {
    task: {
      name: 'coding',
      stop: STOPS,
      challengerPrompt: (request) => promptOf(request, pool, examples, queriesPerPrompt),
      parse: (text) => parseCodingQuery(text, form),
      solverMessages: (query) => [{ role: 'user', content: query.text }],
      difficulty: ({ info }) => (info as unknown as CodingInfo).tests.length,
    },
    gate: allOf(
      lengthGate(),
      markupGate,
      repetitionGate,
      scriptGate(),
      copyGate(pool.map(({ specification }) => specification)),
      duplicateGate(),
      testsGate(sandbox),
    ),
    reward: new SandboxedCode({ sandbox, score, timeoutMs, plainTests: true }),
  };
}

/** Examples differ between prompts, so that the queries do; which they are says nothing about difficulty: no draw. */
function promptOf(
  request: ChallengerRequest,
  pool: readonly CodingExample[],
  examples: number,
  queriesPerPrompt: number,
): ChallengerPrompt {
  const { index, count } = request;
  const prompts = Math.max(1, Math.floor(count / queriesPerPrompt));
  const order = shuffledIndices(pool.length, request.random(Math.floor((index * prompts) / count)));
  const turns = order.slice(0, examples).flatMap((i): ChatMessage[] => [
    { role: 'user', content: ASK_FOR_CODING_TASK },
    { role: 'assistant', content: renderCodingExample(pool[i]!) },
  ]);
  return {
    messages: [
      { role: 'system', content: CODING_CHALLENGER_SYSTEM },
      ...turns,
      { role: 'user', content: ASK_FOR_CODING_TASK },
    ],
    draw: null,
  };
}

/** What the queries of one step or several came to. */
export interface CodingMetrics {
  /** Share of the Challenger's texts that were answered. */
  usableShare: number;
  /** Texts by the cause of their rejection. */
  rejections: Record<string, number>;
  /** Share of answers whose reward is 1; null if there are none. */
  passRate: number | null;
  /** Mean number of tests of the usable queries; null if there are none. */
  testsPerQuery: number | null;
}

/** Sums up the `samples` of step results of the coding task. */
export function codingMetrics(samples: readonly QueryReport[]): CodingMetrics {
  const rejections: Record<string, number> = {};
  for (const { rejected } of samples) {
    if (rejected !== null) rejections[rejected] = (rejections[rejected] ?? 0) + 1;
  }
  const usable = samples.filter(({ rejected }) => rejected === null);
  const rewards = usable.flatMap(({ answers }) => answers.map(({ reward }) => reward));
  const tests = usable.map(({ info }) => (info as unknown as CodingInfo).tests.length);
  const mean = (values: readonly number[]): number | null =>
    values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    usableShare: mean(samples.map(({ rejected }) => (rejected === null ? 1 : 0))) ?? 0,
    rejections,
    passRate: mean(rewards.map((reward) => (reward === 1 ? 1 : 0))),
    testsPerQuery: mean(tests),
  };
}
