/**
 * The methods that are compared, each a value: how a model is trained on from where it stands. All take the same
 * steps of 76 queries and 8 answers, and stop when their share of the generated tokens is used up, those of the
 * Challenger included.
 */
import {
  absoluteZero,
  GrpoTrainer,
  LspTrainer,
  MajorityVote,
  preset,
  rZero,
  sqlm,
  duplicateGate,
  type GrpoTrainerOptions,
  type Learner,
  type LanguageModel,
  type LspTrainerOptions,
  type StepResult,
} from '../../lib';
import { normalizeAnswer, tinyWorld, trainingQueries, worldJudge, WorldReward } from '../../lib/world';

export interface MethodParts {
  learner: Learner;
  /** The base model. */
  reference: LanguageModel;
  seed: number;
}

/** One stretch of training: `share` of the tokens with one trainer. */
export interface Stage {
  share: number;
  start(parts: MethodParts): LspTrainer | GrpoTrainer;
}

export interface Method {
  name: string;
  title: string;
  /** What its data, reward and the Challenger's pay are. */
  description: string;
  stages: readonly Stage[];
}

const QUERIES = 76;
export const SOLVER = { answers: 8, maxNewTokens: 24 };
const CHALLENGER = { task: tinyWorld(), queries: QUERIES, maxNewTokens: 32 };
/** α of the self-play methods, where nothing else is said. */
const CHALLENGER_WEIGHT = 0.1;

/** What all methods have in common, for people. */
export const SETTINGS: readonly (readonly [string, string])[] = [
  ['a step', `${QUERIES} queries, ${SOLVER.answers} answers to each, temperature 1, one AdamW update`],
  ['tokens', `at most ${CHALLENGER.maxNewTokens} a query, ${SOLVER.maxNewTokens} an answer`],
  ["weight of the Challenger's loss", `${CHALLENGER_WEIGHT} where nothing else is said`],
  ['KL', 'measured; not part of the loss where nothing else is said'],
];

/** λ of the methods with a judge. */
const QUALITY_WEIGHT = 0.2;

/**
 * What all methods share. A method that goes bad is to be seen going bad: KL is measured, but neither it nor a fall of
 * entropy ends the training.
 */
function common({ learner, reference, seed }: MethodParts) {
  return {
    learner,
    reference,
    seed,
    solver: SOLVER,
    kl: { coefficient: 0 },
    measureKl: true,
    watch: { maxKl: Infinity, minEntropy: 0 },
    reward: new WorldReward(),
  };
}

export function grpo(parts: MethodParts, options: Partial<GrpoTrainerOptions> = {}): GrpoTrainer {
  const queries = trainingQueries({ count: 16_384, seed: parts.seed });
  return new GrpoTrainer({ ...common(parts), queries, queriesPerStep: QUERIES, ...options });
}

function selfPlay(parts: MethodParts, options: Partial<LspTrainerOptions>): LspTrainer {
  return new LspTrainer({
    ...common(parts),
    challenger: CHALLENGER,
    challengerWeight: CHALLENGER_WEIGHT,
    duplicates: { threshold: 1, history: 1024 },
    ...options,
  });
}

function lspZero(parts: MethodParts, options: Partial<LspTrainerOptions> = {}): LspTrainer {
  const { objective, gate } = preset('zero');
  return selfPlay(parts, { objective, gate, ...options });
}

function lsp(parts: MethodParts): LspTrainer {
  const { objective, gate } = preset('paper', { qualityWeight: QUALITY_WEIGHT });
  return selfPlay(parts, { objective, gate, selfReward: worldJudge(parts.reference) });
}

export const onlyStage = (start: Stage['start']): Stage[] => [{ share: 1, start }];

/** Answers vote as the checker compares them. */
const vote = new MajorityVote({ extract: normalizeAnswer });

/** A task is asked once: the gate of the methods that have one. */
const gate = duplicateGate({ threshold: 1 });

export const METHODS: readonly Method[] = [
  {
    name: 'grpo',
    title: 'GRPO with data',
    description: '16,384 training tasks of levels 1 to 4; no Challenger',
    stages: onlyStage((parts) => grpo(parts)),
  },
  {
    name: 'lsp-zero',
    title: 'LSP-Zero',
    description: 'no data; Challenger paid −V; no gate but parsing',
    stages: onlyStage((parts) => lspZero(parts)),
  },
  {
    name: 'lsp-zero-full',
    title: 'LSP-Zero, full weight',
    description: "as LSP-Zero, but with the paper's weight of the Challenger's loss, 1",
    stages: onlyStage((parts) => lspZero(parts, { challengerWeight: 1 })),
  },
  {
    name: 'lsp-zero-kl',
    title: 'LSP-Zero, full weight and KL',
    description: 'as LSP-Zero, full weight, with a KL term of weight 0.05 (k2) for both roles',
    stages: onlyStage((parts) => {
      const { kl } = preset('zero');
      return lspZero(parts, { challengerWeight: 1, kl });
    }),
  },
  {
    name: 'lsp',
    title: 'LSP',
    description: `no data; Challenger paid −V + λ V_Q, Solver R + λ R_Q, λ = ${QUALITY_WEIGHT}; no gate but parsing`,
    stages: onlyStage(lsp),
  },
  {
    name: 'recommended',
    title: 'Recommended',
    description:
      'no data; Challenger paid 4 Var(R) − ½ duplicates; band of pass rates; gate against repetition',
    stages: onlyStage((parts) => {
      const { objective } = preset('recommended', { qualityWeight: 0 });
      return selfPlay(parts, { objective, gate });
    }),
  },
  {
    name: 'grpo-then-lsp',
    title: 'GRPO, then LSP',
    description:
      'half of the tokens GRPO with data, the other half LSP, with the base model as reference and judge',
    stages: [
      { share: 0.5, start: (parts) => grpo(parts) },
      { share: 0.5, start: lsp },
    ],
  },
  {
    name: 'r-zero',
    title: 'R-Zero',
    description: 'no data, no checker: majority vote; Challenger paid 1 − 2 |s − ½| − repetition',
    stages: onlyStage((parts) => selfPlay(parts, { objective: rZero(), reward: vote, gate })),
  },
  {
    name: 'absolute-zero',
    title: 'Absolute Zero',
    description: 'no data; Challenger paid 1 − s where s > 0',
    stages: onlyStage((parts) => selfPlay(parts, { objective: absoluteZero(), gate })),
  },
  {
    name: 'sqlm',
    title: 'SQLM',
    description: 'no data, no checker: majority vote; Challenger paid 1 where 0 < s < 1',
    stages: onlyStage((parts) => selfPlay(parts, { objective: sqlm(), reward: vote, gate })),
  },
];

/** Trains along the stages and yields every step; `budget` is in generated tokens. */
export async function* train(method: Method, parts: MethodParts, budget: number): AsyncGenerator<StepResult> {
  let used = 0;
  let allowed = 0;
  for (const { share, start } of method.stages) {
    allowed += share * budget;
    await using trainer = start(parts);
    for await (const result of trainer.run({ steps: Number.MAX_SAFE_INTEGER })) {
      used += result.metrics.tokens;
      yield result;
      if (used >= allowed) break;
    }
  }
}
