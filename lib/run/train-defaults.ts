/** What a run does when nobody says: values that depend on the game, the preset, the loss and what is trained. */
import type { TrainOptionName } from './train-options';

/**
 * Chosen so that 20 steps of a model of 135 million parameters take some ten minutes on two cores, and so
 * that it learns within them.
 */
export const DEFAULTS = {
  steps: 100,
  seed: 0,
  checkpointEvery: 10,
  reportEvery: 1,
  task: 'instructions',
  keep: 2,
  probeSize: 32,
  challengerWeight: 1,
  queries: 8,
  answers: 6,
  maxNewTokens: 64,
  queryTokens: 48,
  temperature: 1,
  rollouts: 'exact',
  learningRate: 2e-5,
  schedule: 'constant',
  warmupSteps: 0,
  weightDecay: 0,
  maxGradNorm: 1,
  loss: 'dr-grpo',
  samplingRounds: 1,
  overlongTokens: 0,
  updatesPerBatch: 1,
  klForm: 'k2',
  klBeta: 0.05,
  referencePrecision: 'exact',
} as const;

/** What differs in the tiny world: its model has 1.2 million parameters, its answers a handful of tokens. */
const WORLD_DEFAULTS = {
  steps: 250,
  checkpointEvery: 25,
  reportEvery: 10,
  probeSize: 304,
  challengerWeight: 0.1,
  queries: 76,
  answers: 8,
  maxNewTokens: 24,
  queryTokens: 32,
  learningRate: 4e-4,
  schedule: 'linear',
  klBeta: 0,
} as const;

/**
 * An adapter wants a rate some ten times that of all weights (Schulman et al. 2025, "LoRA without regret"; docs/lora.md
 * has our own curves).
 */
export const LORA_RATE_FACTOR = 10;

/** A function takes more tokens than a sentence, its specification and tests too; a sum and its story some. */
const CODING_DEFAULTS = { maxNewTokens: 128, queryTokens: 160 } as const;
const MATHEMATICS_DEFAULTS = { maxNewTokens: 96, queryTokens: 96 } as const;

/** What differs from `DEFAULTS` in some games, and what these are called in the help. */
export const GAME_DEFAULTS: Readonly<
  Record<string, { words: string; values: Partial<Record<TrainOptionName, string | number>> }>
> = {
  world: { words: 'the tiny world', values: WORLD_DEFAULTS },
  mathematics: { words: 'mathematics', values: MATHEMATICS_DEFAULTS },
  coding: { words: 'coding', values: CODING_DEFAULTS },
};

/**
 * λ, the weight of the self-reward, of each preset. Small where the task is checked by a program: a weak judge must
 * not drown it. In the tiny world the program knows every right answer, and `recommended` does without a judge.
 */
const SELF_REWARD: Readonly<Record<string, number>> = { recommended: 0.1, paper: 0.2, zero: 0 };

export function defaultSelfReward(
  { queriesFile, task }: Readonly<Record<string, unknown>>,
  preset: unknown,
): number {
  if (queriesFile !== undefined || typeof preset !== 'string') return 0;
  return task === 'world' && preset === 'recommended' ? 0 : (SELF_REWARD[preset] ?? 0);
}

/** What DAPO has besides its loss, where queries come from a file: as many rounds as we see fit, and its share of 1/5. */
export const DAPO_ROUNDS = 4;
export const DAPO_OVERLONG_SHARE = 1 / 5;

/** What the help shows as default: a value, or words. */
export function defaultOf(name: TrainOptionName): string {
  if (name === 'samplingRounds') return `1; ${DAPO_ROUNDS} with the loss dapo and a file`;
  if (name === 'overlongTokens') return '0; a fifth of the most tokens with the loss dapo and a file';
  if (name === 'task') return 'world for the model tiny, else instructions';
  if (name in DEFAULTS) {
    const usual = DEFAULTS[name as keyof typeof DEFAULTS];
    const others = Object.values(GAME_DEFAULTS).flatMap(({ words, values }) =>
      values[name] === undefined || values[name] === usual ? [] : [`${values[name]} in ${words}`],
    );
    const adapters = name === 'learningRate' ? [`${LORA_RATE_FACTOR} times that for LoRA`] : [];
    return [`${usual}`, [...others, ...adapters].join(', ')].filter((part) => part !== '').join('; ');
  }
  if (name === 'preset') return 'recommended';
  if (name === 'loraRank') return 'none: all weights are trained';
  if (name === 'loraAlpha') return 'twice the rank';
  if (name === 'loraTargets') return 'all';
  if (name === 'loraScaling') return 'lora';
  if (name === 'loraBase') return 'f32; bf16 with the compute bf16';
  if (name === 'compute') return 'f32';
  if (name === 'selfReward') return '0.1 with recommended (0 in the tiny world), 0.2 with paper, else 0';
  if (name === 'threads') return 'all cores';
  if (name === 'activations') return 'keep';
  if (name === 'memoryBudget') return '512 MiB, less where memory is short';
  return '';
}
