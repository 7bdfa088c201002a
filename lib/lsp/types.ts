/**
 * The vocabulary of self-play: tasks, queries, gates, objectives, and what a step reports.
 *
 * Everything that distinguishes one method from another is a value of one of these types, so that a new method is a
 * new value and the trainer stays as it is.
 */
import type { Mismatch } from '../learn/importance';
import type { PolicyLearner, PolicyModel } from '../learn/policy';
import type { Awaitable } from '../rewards/reward';
import type { ChatMessage, FinishReason } from '../model/types';

/** A source of uniform numbers in [0, 1), fully determined by what it was made from. */
export type Random = () => number;

/** A query as the Solver gets it. */
export interface Query {
  /** What the Solver is asked: the task's text with its constraints rendered. */
  text: string;
  /** The part the Challenger wrote: compared for duplicates, checked by the gate. */
  core: string;
  /** What rewards need to know about it (`Sample.info`), e.g. `{ constraints }`. JSON-able. */
  info: Readonly<Record<string, unknown>>;
}

/** What one Challenger sample is asked. */
export interface ChallengerPrompt {
  messages: readonly ChatMessage[];
  /**
   * What the harness drew for it, or null. Queries of one draw differ only by what the Challenger wrote, so their
   * rewards are compared with each other (a baseline per draw), never with those of an easier or harder draw.
   */
  draw: string | null;
  /** Handed to `parse` as it is. */
  context?: unknown;
}

export interface ChallengerRequest {
  step: number;
  /** Position of the query in the step, 0..count-1. */
  index: number;
  /** N. */
  count: number;
  /** Tokens an answer may have: what is asked must be feasible within them. */
  maxNewTokens: number;
  /** Random numbers derived from (seed, step, key): the same key draws the same numbers. */
  random(key: number): Random;
}

/** A kind of self-play: how the Challenger is asked, how its text is read, how the Solver is asked. */
export interface Task {
  readonly name: string;
  /** Strings that end the Challenger's text (a text of one line cannot ramble). */
  readonly stop?: readonly string[];
  challengerPrompt(request: ChallengerRequest): ChallengerPrompt;
  /** The query in the Challenger's text, or why there is none (a short cause such as 'no-task'). */
  parse(text: string, prompt: ChallengerPrompt): Query | { rejected: string };
  solverMessages(query: Query): readonly ChatMessage[];
  /** How hard a query is, in the task's own measure (levels, say); for the metrics. */
  difficulty?(query: Query): number;
}

export interface GateContext {
  step: number;
  /** `core` of queries accepted in earlier steps, oldest first. */
  history: readonly string[];
  signal?: AbortSignal;
}

/**
 * Decides which queries are answered: per query null to let it pass, or the cause of its rejection. Sees the whole
 * batch, so that it can compare. Only queries that parsed arrive here.
 */
export type Gate = (queries: readonly Query[], context: GateContext) => Awaitable<(string | null)[]>;

/** One query of a step with all that an objective may look at. */
export interface ScoredQuery {
  /** False: did not parse or was rejected by the gate; it has no answers. */
  valid: boolean;
  /** R of each answer, null where the reward abstained. Empty for an invalid query. */
  rewards: readonly (number | null)[];
  /** R_Q / 7 of each answer in [0, 1], null where the judge gave none. Null without a self-reward. */
  quality: readonly (number | null)[] | null;
  /** Baseline key of the draw, or null. */
  draw: string | null;
  /** Cluster of near-duplicates within the batch: queries with the same number are near-duplicates. */
  cluster: number;
  /** Near-duplicates among the queries of earlier steps. */
  seenBefore: number;
}

export interface ScoredStep {
  step: number;
  queries: readonly ScoredQuery[];
}

/**
 * Advantages of a step. `solver[i]`: one value per answer of query i (empty for an invalid query); `challenger`: one
 * per query. Must be finite. `paid` is for the metrics alone: what the advantages were made from.
 */
export type Objective = (step: ScoredStep) => {
  solver: Float32Array[];
  challenger: Float32Array;
  paid?: { solver: (number | null)[][]; challenger: (number | null)[] };
};

export type Role = 'challenger' | 'solver';

export interface RoleMetrics {
  /** Number of samples. */
  samples: number;
  /** Mean and standard deviation of what the role was paid; null where nobody was. */
  reward: number | null;
  rewardStd: number | null;
  /** Mean absolute advantage: how much signal there was. */
  advantage: number;
  /**
   * Mean over tokens of log π_θ − log π_ref (k1): an unbiased estimate of KL(π_θ ‖ π_ref) in nats per token, by
   * chance a little below 0 when the true value is small. Null without a KL term, unless `measureKl` is set.
   */
  kl: number | null;
  /** Mean over tokens of the entropy in nats, at temperature 1. */
  entropy: number;
  /** Mean number of tokens. */
  length: number;
  /** Share of samples cut off by `maxNewTokens`. */
  clippedShare: number;
  /** Value of the role's loss before the (first) update. */
  loss: number;
  /** Share of tokens whose ratio was clipped in the last update; 0 with one update per batch. */
  ratioClippedShare: number;
}

export interface Difficulty {
  mean: number;
  max: number;
}

export interface StepMetrics {
  /** Steps done, this one included: 1 for the first. */
  step: number;
  solver: RoleMetrics;
  /** Null where there is no Challenger (GRPO). */
  challenger: RoleMetrics | null;
  /** V̄: mean of V(q) over answered queries; null if none was answered. */
  value: number | null;
  /** Mean of V_Q(q) / 7 over answered queries; null without a self-reward. */
  quality: number | null;
  /** Queries answered. */
  validQueries: number;
  /** Queries sampled: N. */
  queries: number;
  /** Rejected queries by cause: parsing and the gate. */
  rejections: Record<string, number>;
  /** Share of queries that are near-duplicates of another of the batch or of the history. */
  duplicateShare: number | null;
  /** Of the answered queries, in the task's own measure; null where it has none, or where none was answered. */
  difficulty: Difficulty | null;
  /** Groups without a signal: R is the same for all answers (whatever the judge adds), or none has an advantage. */
  zeroSignalGroups: number;
  /** Tells in words that no group had a signal, and what was updated all the same; null otherwise. */
  noSignal: string | null;
  /** False when neither role had a signal: weights and moments were left alone. */
  updated: boolean;
  /** Global L2 norm before clipping, of the last update; null if there was none. */
  gradNorm: number | null;
  learningRate: number | null;
  /** Tokens sampled by both roles. */
  tokens: number;
  /** How far int8 rollouts were from the trained policy; absent where it sampled itself. */
  mismatch?: Mismatch;
  /** Wall time of each phase. */
  seconds: Record<Phase | 'total', number>;
  /** What the watchers have to say. */
  warnings: string[];
}

/** One answer as reported. */
export interface AnswerReport {
  text: string;
  tokens: number;
  finishReason: FinishReason;
  reward: number | null;
  /** R_Q / 7, null without a self-reward. */
  quality: number | null;
  advantage: number;
}

/** One query as reported, with its answers. JSON-able. */
export interface QueryReport {
  /** What the Challenger wrote; the prompt's last message for GRPO. */
  written: string;
  /** What the Solver was asked; null if the query was rejected. */
  query: string | null;
  /** Cause of the rejection, or null. */
  rejected: string | null;
  info: Readonly<Record<string, unknown>>;
  /** V(q); null if there is none. */
  value: number | null;
  /** Challenger advantage; null for GRPO. */
  advantage: number | null;
  answers: AnswerReport[];
}

export interface StepResult {
  /** Same as `metrics.step`. */
  step: number;
  metrics: StepMetrics;
  samples: QueryReport[];
}

export type Phase = 'challenger' | 'solver' | 'reward' | 'judge' | 'reference' | 'update';

export interface PhaseProgress {
  phase: Phase;
  /** 0 at its beginning, 1 at its end. */
  fraction: number;
}

export interface RoleBaseline {
  entropy: number;
  length: number;
}

/**
 * All a trainer needs to continue besides weights and moments. JSON-able; random numbers have no state (each derives
 * from seed, step, role and index).
 */
export interface TrainerState {
  format: 1;
  kind: 'lsp' | 'grpo';
  /** Index of the next step = steps done. */
  nextStep: number;
  seed: string;
  /** Updates of the weights so far. */
  updates: number;
  /** LSP: `core` of accepted queries, oldest first. */
  history: string[];
  /** What each role was like in the first step, which the watchers compare with. */
  baseline: Partial<Record<Role, RoleBaseline>>;
  /** GRPO: queries drawn so far, and a fingerprint of the query set they are drawn from. */
  position?: number;
  queriesFingerprint?: string;
}

/** Called at step boundaries: every `every` steps and after the last. */
export interface Checkpointer {
  /** Steps between checkpoints, at least 1. */
  readonly every: number;
  save(state: TrainerState, learner: PolicyLearner, model: PolicyModel, step: number): Promise<void>;
}

export interface RunOptions {
  /** Steps in total, those done before a resume included. */
  steps: number;
  /** Leaves the step under way without a trace and makes `run` throw its reason. */
  signal?: AbortSignal;
}
