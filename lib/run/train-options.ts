/**
 * The options of a training run: one strict schema from which the command's flags, their help, the checks, the
 * defaults and `config.json` follow.
 *
 * Flat and JSON-able, so that a flag (`--learning-rate`), a key of config.json (`learningRate`) and a key of a
 * configuration file are the same thing.
 */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import type { LspError } from '../errors';
import { LOSS_NAMES } from '../lsp/loss-recipes';
import { LORA_TARGETS, MAX_RANK } from '../model/adapter/lora';
import { COMPUTES } from '../model/loading';
import { WEIGHT_TYPES } from '../model/memory';
import { SAMPLING_PRECISIONS } from '../model/types';
import { describe, invalid, isRecord, nearestName, unknownOption } from '../options';
import { targetsOf } from './lora-options';
import { bytes, choice, integer, metas, number, type OptionMeta, text } from './option-schema';
import {
  DAPO_OVERLONG_SHARE,
  DAPO_ROUNDS,
  DEFAULTS,
  defaultSelfReward,
  GAME_DEFAULTS,
  LORA_RATE_FACTOR,
} from './train-defaults';

const RUN = 'Run';
const PLAY = 'Self-play';
const LEARNING = 'Learning';
const LORA = 'LoRA';
const MACHINE = 'Machine';

/** Keys in the order of the help. Defaults that depend on other options are resolved in `resolveTrainOptions`. */
const schema = z.strictObject({
  steps: integer(
    { group: RUN, description: 'steps in total, those before a resume included', resumable: true },
    1,
  ),
  seed: integer({ group: RUN, description: 'all randomness follows from it' }, 0),
  checkpointEvery: integer({ group: RUN, description: 'steps between checkpoints (and probes)' }, 1),
  keep: integer(
    { group: RUN, description: 'checkpoints kept, besides the best one by the probe', resumable: true },
    1,
  ),
  probeSize: integer(
    { group: RUN, description: 'held-out prompts scored before, during and after; 0 is off' },
    0,
    1000,
  ),
  reportEvery: integer(
    { group: RUN, description: 'steps between the lines that tell how it goes', resumable: true },
    1,
  ),
  task: choice(['instructions', 'open', 'mathematics', 'sums', 'coding', 'world'], {
    group: PLAY,
    description:
      'what is played: verifiable instructions, open ones (for a reward model), word problems, sums, Python ' +
      'functions (in the sandbox), or the tiny world',
  }),
  queriesFile: text({
    group: PLAY,
    description: 'JSONL of queries: GRPO with data, no Challenger',
  }).optional(),
  reward: text({
    group: PLAY,
    description: 'module whose default export is a reward; it runs in a worker',
  }).optional(),
  rewardModel: text({
    group: PLAY,
    description: 'reward model that scores answers: a Hugging Face directory, or org/name of the hub',
  }).optional(),
  preset: choice(['recommended', 'paper', 'zero'], {
    group: PLAY,
    description: 'who is paid for what: see docs/self-play.md',
  }).optional(),
  challengerWeight: number(
    { group: PLAY, description: "weight of the Challenger's loss beside the Solver's (α)" },
    0,
  ),
  selfReward: number({ group: PLAY, description: 'weight of the quality self-reward; 0 is off' }, 0),
  queries: integer({ group: PLAY, description: 'queries a step (N)' }, 1, 4096),
  answers: integer({ group: PLAY, description: 'answers a query (G)' }, 2, 4096),
  maxNewTokens: integer({ group: PLAY, description: 'most tokens of an answer' }, 1, 1 << 20),
  queryTokens: integer(
    { group: PLAY, description: 'most tokens of a query as the Challenger writes it' },
    1,
    1 << 20,
  ),
  temperature: number({ group: PLAY, description: 'sampling temperature, of training too' }, 0, true),
  rollouts: choice(SAMPLING_PRECISIONS, {
    group: PLAY,
    description:
      'what the roles sample with: exact, what is trained, or int8, several times as fast and corrected for',
  }),
  learningRate: number({ group: LEARNING, description: 'of AdamW' }, 0, true),
  schedule: choice(['constant', 'linear', 'cosine'], {
    group: LEARNING,
    description: 'of the learning rate; the last two fall to 0 over the steps first asked for',
  }),
  warmupSteps: integer({ group: LEARNING, description: 'updates until the full learning rate' }, 0),
  weightDecay: number({ group: LEARNING, description: 'decoupled, on matrices only' }, 0),
  maxGradNorm: number({ group: LEARNING, description: 'the gradient is scaled down to this norm' }, 0, true),
  loss: choice(LOSS_NAMES, {
    group: LEARNING,
    description: 'ratio, clipping, advantages and reduction, as published: see docs/losses.md',
  }),
  samplingRounds: integer(
    {
      group: LEARNING,
      description: 'with queries of a file: most rounds of drawing others where all answers score the same',
    },
    1,
    64,
  ),
  overlongTokens: integer(
    {
      group: LEARNING,
      description: 'with queries of a file: last tokens of an answer that are charged for; 0 is off',
    },
    0,
    1 << 20,
  ),
  updatesPerBatch: integer({ group: LEARNING, description: 'updates from the same answers' }, 1, 64),
  klForm: choice(['k1', 'k2', 'k3'], {
    group: LEARNING,
    description: 'estimator of the KL to the starting model',
  }),
  klBeta: number({ group: LEARNING, description: 'weight of the KL; 0 is off' }, 0),
  referencePrecision: choice(SAMPLING_PRECISIONS, {
    group: LEARNING,
    description:
      'what the KL is to: the starting model itself (exact), or that model rounded to int8, faster',
  }),
  compute: choice(COMPUTES, {
    group: LEARNING,
    description:
      'of matrix products, in sampling and training: bf16 rounds their factors; see docs/precision.md',
  }).optional(),
  loraRank: integer(
    { group: LORA, description: 'train a LoRA adapter of this rank; the weights stay as they are' },
    1,
    MAX_RANK,
  ).optional(),
  loraAlpha: number(
    { group: LORA, description: 'the adapter is scaled by alpha / rank' },
    0,
    true,
  ).optional(),
  loraTargets: text({
    group: LORA,
    description: `projections that get one: some of ${LORA_TARGETS.join(',')}`,
    valueName: 'list',
  }).optional(),
  loraScaling: choice(['lora', 'rslora'], {
    group: LORA,
    description: 'alpha / rank, or alpha / the root of the rank',
  }).optional(),
  loraBase: choice(WEIGHT_TYPES, {
    group: LORA,
    description: 'how the frozen weights are held: bf16, int8, or as they are stored in the file',
  }).optional(),
  threads: integer({ group: MACHINE, description: 'compute threads', resumable: true }, 1, 256),
  memoryBudget: bytes({
    group: MACHINE,
    description: 'memory for the activations of a micro-batch, and for the key-value cache',
    resumable: true,
  }).optional(),
  activations: choice(['keep', 'recompute'], {
    group: MACHINE,
    description: 'for the backward pass: recompute takes a quarter of their memory and a third more time',
    resumable: true,
  }).optional(),
});

export type TrainOptions = z.infer<typeof schema> & {
  /** Steps over which a falling schedule falls: fixed when the run starts, whatever a resume asks for. */
  scheduleSteps: number;
};
export type TrainOptionName = keyof z.infer<typeof schema>;

export const TRAIN_OPTION_NAMES = Object.keys(schema.shape) as TrainOptionName[];

export function metaOf(name: TrainOptionName): OptionMeta {
  return metas.get(requiredSchema(name))!;
}

/** Checks the value of one option, whatever the others are. @throws LspError INVALID_ARGUMENT */
export function checkTrainOption(name: TrainOptionName, value: unknown, shownAs: string = name): void {
  if (!requiredSchema(name).safeParse(value).success) throw refusal(name, value, shownAs);
}

function refusal(name: TrainOptionName, value: unknown, shownAs: string = name): LspError {
  const meant = typeof value === 'string' ? nearestName(value, choicesOf(name)) : undefined;
  return invalid(shownAs, metaOf(name).expected, value, meant && `Did you mean '${meant}'?`);
}

/** Choices of an option that is one of a few words. */
export function choicesOf(name: TrainOptionName): readonly string[] {
  const inner = requiredSchema(name);
  return inner instanceof z.ZodEnum ? (inner.options as string[]) : [];
}

function requiredSchema(name: TrainOptionName): z.ZodType {
  const wrapped: z.ZodType = schema.shape[name];
  return wrapped instanceof z.ZodOptional ? (wrapped.unwrap() as z.ZodType) : wrapped;
}

/**
 * Checks options and fills in the defaults.
 *
 * @param given only what the user said
 * @throws LspError UNKNOWN_OPTION, INVALID_ARGUMENT
 */
export function resolveTrainOptions(given: Readonly<Record<string, unknown>>): TrainOptions {
  if (!isRecord(given)) throw invalid('train options', 'an object', given);
  const preset = given.preset ?? 'recommended';
  const ofGame = { ...DEFAULTS, ...GAME_DEFAULTS[String(given.task)]?.values };
  const maxNewTokens = Number(given.maxNewTokens ?? ofGame.maxNewTokens);
  const withDefaults = {
    ...ofGame,
    selfReward: defaultSelfReward(given, preset),
    ...(given.loraRank !== undefined && {
      learningRate: Number((LORA_RATE_FACTOR * Number(ofGame.learningRate)).toPrecision(12)),
    }),
    threads: availableParallelism(),
    ...(given.loss === 'dapo' &&
      given.queriesFile !== undefined && {
        samplingRounds: DAPO_ROUNDS,
        overlongTokens: Math.ceil(maxNewTokens * DAPO_OVERLONG_SHARE),
      }),
    ...(given.queriesFile === undefined && { preset }),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
  const options = parse(withDefaults);
  checkTogether(options, given);
  return { ...options, scheduleSteps: options.steps };
}

/**
 * The options of a resumed run: those it was started with, except what changes no result.
 *
 * @throws LspError INVALID_ARGUMENT for any other option
 */
export function resumeTrainOptions(
  stored: Readonly<Record<string, unknown>>,
  given: Readonly<Record<string, unknown>>,
): TrainOptions {
  const { scheduleSteps, ...rest } = stored;
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === stored[name]) continue;
    if (!TRAIN_OPTION_NAMES.includes(name as TrainOptionName)) {
      throw unknownOption(name, TRAIN_OPTION_NAMES, 'train');
    }
    if (!metaOf(name as TrainOptionName).resumable) {
      throw invalid(
        name,
        `${describe(stored[name])}, as the run was started with,`,
        value,
        'A resumed run keeps its options. Start a new run from its last model to change them.',
      );
    }
  }
  // What runs of earlier versions were silent about is what they did.
  const { task, reportEvery, challengerWeight, loss, samplingRounds, overlongTokens } = DEFAULTS;
  const { rollouts, referencePrecision } = DEFAULTS;
  const earlier = { task, reportEvery, challengerWeight, loss, samplingRounds, overlongTokens };
  const unsaid = { ...earlier, rollouts, referencePrecision };
  const options = parse({ ...unsaid, ...rest, ...given });
  if (typeof scheduleSteps !== 'number')
    throw invalid('scheduleSteps', 'a number in config.json', scheduleSteps);
  if (options.schedule !== 'constant' && options.steps > scheduleSteps) {
    throw invalid(
      'steps',
      `at most ${scheduleSteps}, where the learning rate of the run has fallen to 0,`,
      options.steps,
      'Start a new run from its last model to train on.',
    );
  }
  return { ...options, scheduleSteps };
}

function parse(values: Record<string, unknown>): z.infer<typeof schema> {
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') throw unknownOption(issue.keys[0]!, TRAIN_OPTION_NAMES, 'train');
  const name = String(issue.path[0]);
  throw refusal(name as TrainOptionName, values[name]);
}

const LORA_OPTIONS = ['loraAlpha', 'loraTargets', 'loraScaling', 'loraBase'] as const;

/** What no option alone can tell. */
function checkTogether(options: z.infer<typeof schema>, given: Readonly<Record<string, unknown>>): void {
  if (options.reward !== undefined && options.rewardModel !== undefined) {
    throw invalid(
      'rewardModel',
      'nothing beside `reward`',
      options.rewardModel,
      'Only one of them scores answers.',
    );
  }
  if (options.task === 'open' && options.reward === undefined && options.rewardModel === undefined) {
    throw invalid('rewardModel', "a reward model (or a `reward`) with the task 'open'", undefined);
  }
  if (options.loraRank === undefined) {
    const [name] = LORA_OPTIONS.filter((one) => options[one] !== undefined);
    if (name !== undefined) {
      throw invalid(
        name,
        'nothing without `loraRank`',
        options[name],
        'The rank makes it a training of an adapter.',
      );
    }
  }
  targetsOf(options.loraTargets);
  if (options.overlongTokens > options.maxNewTokens) {
    throw invalid('overlongTokens', 'at most `maxNewTokens`', options.overlongTokens);
  }
  if (options.queriesFile === undefined) {
    for (const [name, off] of [
      ['samplingRounds', 1],
      ['overlongTokens', 0],
    ] as const) {
      if (options[name] === off) continue;
      const remedy = 'In self-play it would change what the Challenger is paid for.';
      throw invalid(name, `${off} without \`queriesFile\``, options[name], remedy);
    }
  } else {
    for (const name of ['preset', 'queryTokens', 'challengerWeight', 'selfReward'] as const) {
      if (given[name] === undefined || given[name] === 0) continue;
      throw invalid(
        name,
        'nothing beside `queriesFile`',
        given[name],
        'With queries from a file there is no Challenger and no judge.',
      );
    }
  }
  if (options.preset === 'zero' && options.selfReward > 0) {
    throw invalid('selfReward', "0 with the preset 'zero'", options.selfReward, "Use the preset 'paper'.");
  }
}
