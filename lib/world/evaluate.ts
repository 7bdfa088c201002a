/** How well a model solves tasks of the tiny world. */
import type { ProbeGroup } from '../eval/probe';
import type { PolicyModel } from '../learn/policy';
import {
  checkOptions,
  expectArray,
  expectInteger,
  expectNumber,
  expectSignal,
  expectUint64,
} from '../options';
import { solverMessages } from './roles';
import { heldOutTasks } from './suite';
import { isRight } from './tasks';
import type { WorldTask } from './types';

/** Most tokens of an answer, where no right one is longer: those up to level 6 have at most 22. */
export const ANSWER_TOKENS = 24;

/** Answers to each task, which make its score less of a matter of luck. */
const SAMPLES = 4;

export interface WorldEvaluationOptions {
  /** Default: heldOutTasks(). */
  tasks?: readonly WorldTask[];
  /** Answers to each task. Default 4, or 1 where they are greedy. */
  samples?: number;
  /** Default 1: the model as it is trained. 0 is greedy. */
  temperature?: number;
  /** Most tokens of an answer. Default 24, or as many as the longest right answer takes. */
  maxNewTokens?: number;
  seed?: number | bigint;
  signal?: AbortSignal;
  /** Called as answers are finished, with their share in [0, 1]. */
  onProgress?: (fraction: number) => void;
}

export interface WorldEvaluation {
  /** Share of answers that are exactly right: pass@1. */
  accuracy: number;
  /** Share of tasks with a right answer among their samples: pass@k with k = samples. */
  passAtK: number;
  /** Share of right answers to each task, in the order of the tasks. */
  scores: number[];
  /** The answers, [task][sample]. */
  answers: string[][];
  /** Mean score of the tasks of each kind, and of each level. */
  byKind: ProbeGroup[];
  byLevel: ProbeGroup[];
  /** Mean number of tokens of an answer. */
  meanTokens: number;
}

const OPTION_NAMES = ['tasks', 'samples', 'temperature', 'maxNewTokens', 'seed', 'signal', 'onProgress'];

/**
 * Answers the tasks and checks the answers. The same weights, tasks and seed give the same result.
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION; the signal's reason when aborted
 */
export async function evaluateWorld(
  model: PolicyModel,
  options: WorldEvaluationOptions = {},
): Promise<WorldEvaluation> {
  const checked = checkOptions(options, OPTION_NAMES, 'evaluateWorld');
  const tasks = checked.tasks ?? heldOutTasks();
  expectArray('tasks', tasks, { nonEmpty: true });
  const signal = expectSignal('signal', checked.signal);
  const temperature = expectNumber('temperature', checked.temperature ?? 1, { min: 0 });
  const samples = expectInteger('samples', checked.samples ?? (temperature === 0 ? 1 : SAMPLES), { min: 1 });
  const completions = await model.generate(
    tasks.map(({ text }) => solverMessages(text)),
    {
      maxNewTokens: expectInteger('maxNewTokens', checked.maxNewTokens ?? roomFor(model, tasks), { min: 1 }),
      temperature,
      samples,
      seed: expectUint64('seed', checked.seed ?? 0),
      ...(signal && { signal }),
      onProgress: ({ finished, total }) => checked.onProgress?.(finished / total),
    },
  );
  const answers = completions.map((ofTask) => ofTask.map(({ text }) => text));
  const scores = tasks.map((task, i) => mean(answers[i]!.map((answer) => (isRight(task, answer) ? 1 : 0))));
  const groups = (nameOf: (task: WorldTask) => string) => accuracies(tasks.map(nameOf), scores);
  return {
    accuracy: mean(scores),
    passAtK: mean(scores.map((score) => (score > 0 ? 1 : 0))),
    scores,
    answers,
    byKind: groups(({ kind }) => kind),
    byLevel: groups(({ level }) => String(level)),
    meanTokens: mean(completions.flatMap((ofTask) => ofTask.map(({ tokens }) => tokens.length))),
  };
}

/** Tokens that the longest right answer and its end take, but no fewer than `ANSWER_TOKENS`. */
function roomFor({ tokenizer }: PolicyModel, tasks: readonly WorldTask[]): number {
  return Math.max(ANSWER_TOKENS, ...tasks.map(({ answer }) => tokenizer.encode(answer).length + 1));
}

/** Mean score of each name, in the order in which the names first occur. */
function accuracies(names: readonly string[], scores: readonly number[]): ProbeGroup[] {
  return [...new Set(names)].map((name) => {
    const own = scores.filter((_, i) => names[i] === name);
    return { name, score: mean(own), count: own.length };
  });
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
