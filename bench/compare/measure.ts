/** One method, one seed: trains a fresh copy of the bundled model and measures it on held-out tasks along the way. */
import { constant, Learner, LanguageModel, LspError, type StepMetrics } from '../../lib';
import { evaluateWorld, heldOutTasks, KIND_NAMES, type WorldEvaluation } from '../../lib/world';
import { CODE_HASH } from './code';
import { train, type Method } from './methods';

/** Held-out tasks at the end, with as many answers to each, and along the way. */
const FINAL = { perCell: 8 };
const FINAL_SAMPLES = 16;
const ALONG = { perCell: 4 };
/** Levels beyond those of pre-training. */
const BEYOND = { levels: [5, 6], perCell: 8 };
/** Measurements along the way. */
const POINTS = 8;

export interface Measurement {
  method: string;
  seed: number;
  budget: number;
  learningRate: number;
  /** SHA-256 of the base model's weights: results of another model are not compared. */
  model: string;
  /** `CODE_HASH`, for the same reason. */
  code: string;
  steps: number;
  tokens: number;
  /** Held-out accuracy after so many generated tokens. */
  curve: { tokens: number; accuracy: number }[];
  /** pass@1 at temperature 1, on the larger suite. */
  accuracy: number;
  /** Of greedy answers. */
  greedy: number;
  /** pass@1 on levels 5 and 6. */
  beyond: number;
  byKind: Record<string, number>;
  /** Of the last tenth of the steps: what was played by then. */
  late: Late;
  /** Greatest difficulty of a query that was answered; null without a Challenger. */
  hardest: number | null;
  seconds: number;
  /** Why the training ended early, if it did. */
  failed: string | null;
}

export interface Late {
  value: number | null;
  validShare: number;
  difficulty: number | null;
  entropy: number;
  zeroSignalShare: number | null;
  challengerKl: number | null;
  solverKl: number | null;
}

export interface MeasureOptions {
  seed: number;
  budget: number;
  learningRate: number;
  threads: number;
  /** Where the base model lies, and the hash of its weights. */
  model: { path: string; sha256: string };
}

/** The base model itself, measured like the others. */
export async function measureBase(options: MeasureOptions): Promise<Measurement> {
  await using model = await LanguageModel.load(options.model.path, { threads: options.threads });
  return { ...header('base', options), ...(await final(model)), ...untrained() };
}

export async function measure(method: Method, options: MeasureOptions): Promise<Measurement> {
  const started = performance.now();
  const { budget, seed, threads } = options;
  await using model = await LanguageModel.load(options.model.path, { threads });
  await using reference = await model.clone();
  await using learner = await Learner.create(model, { learningRate: constant(options.learningRate) });
  const tasks = heldOutTasks(ALONG);
  const accuracy = async () => (await evaluateWorld(model, { tasks })).accuracy;
  const curve = [{ tokens: 0, accuracy: await accuracy() }];
  const steps: StepMetrics[] = [];
  let tokens = 0;
  let failed: string | null = null;
  try {
    for await (const { metrics } of train(method, { learner, reference, seed }, budget)) {
      steps.push(metrics);
      tokens += metrics.tokens;
      if (tokens >= (budget * curve.length) / POINTS && curve.length < POINTS)
        curve.push({ tokens, accuracy: await accuracy() });
    }
  } catch (error) {
    if (!(error instanceof LspError && error.code === 'TRAINING_DIVERGED')) throw error;
    failed = error.message;
  }
  curve.push({ tokens, accuracy: await accuracy() });
  return {
    ...header(method.name, options),
    ...(await final(model)),
    steps: steps.length,
    tokens,
    curve,
    late: lateOf(steps.slice(-Math.ceil(steps.length / 10))),
    hardest: greatest(steps.map(({ difficulty }) => difficulty?.max ?? null)),
    seconds: (performance.now() - started) / 1000,
    failed,
  };
}

function header(method: string, { seed, budget, learningRate, model }: MeasureOptions) {
  return { method, seed, budget, learningRate, model: model.sha256, code: CODE_HASH };
}

async function final(model: LanguageModel) {
  const tasks = heldOutTasks(FINAL);
  const sampled = await evaluateWorld(model, { tasks, samples: FINAL_SAMPLES });
  const greedy = await evaluateWorld(model, { tasks, temperature: 0 });
  const beyond = await evaluateWorld(model, { tasks: heldOutTasks(BEYOND) });
  return {
    accuracy: sampled.accuracy,
    greedy: greedy.accuracy,
    beyond: beyond.accuracy,
    byKind: byKind(sampled),
  };
}

function byKind({ byKind: groups }: WorldEvaluation): Record<string, number> {
  return Object.fromEntries(
    KIND_NAMES.map((kind) => [kind, groups.find(({ name }) => name === kind)!.score]),
  );
}

function untrained() {
  return { steps: 0, tokens: 0, curve: [], late: lateOf([]), hardest: null, seconds: 0, failed: null };
}

function lateOf(steps: readonly StepMetrics[]): Late {
  const of = (valueOf: (metrics: StepMetrics) => number | null) => meanOf(steps.map(valueOf));
  return {
    value: of(({ value }) => value),
    validShare: of(({ validQueries, queries }) => validQueries / queries) ?? 0,
    difficulty: of(({ difficulty }) => difficulty?.mean ?? null),
    entropy: of(({ solver }) => solver.entropy) ?? 0,
    zeroSignalShare: of(({ zeroSignalGroups, validQueries }) =>
      validQueries === 0 ? null : zeroSignalGroups / validQueries,
    ),
    challengerKl: of(({ challenger }) => challenger?.kl ?? null),
    solverKl: of(({ solver }) => solver.kl),
  };
}

function meanOf(values: readonly (number | null)[]): number | null {
  const present = values.filter((value) => value !== null);
  return present.length === 0 ? null : present.reduce((sum, value) => sum + value, 0) / present.length;
}

function greatest(values: readonly (number | null)[]): number | null {
  return values.reduce(
    (best, value) => (value !== null && (best === null || value > best) ? value : best),
    null,
  );
}
