/**
 * LspTrainer: Language Self-Play (arXiv 2509.07414). One step:
 *
 *   challenger samples N texts → parse and gate → solver samples G answers each → rewards (and self-rewards)
 *   → objective → advantages → one update of both roles
 *
 * What distinguishes LSP, LSP-Zero, R-Zero and the others is in the values passed in: task, gate, reward, objective.
 */
import type { PolicyModel } from '../learn/policy';
import type { RolloutBatch } from '../learn/update';
import { checkOptions, expectFunction, expectInteger, expectNumber, invalid } from '../options';
import { expectReward, scoreSamples, type Reward } from '../rewards/reward';
import { meanOf } from './advantages';
import { Challenger, type ChallengerOptions, type WrittenQuery } from './challenger';
import { clusters, countSeenBefore } from './duplicates';
import { defaultGate } from './gates';
import { groupSignals, noSignalWords, roleMetrics, shareOf } from './metrics';
import { recommended } from './objectives';
import {
  checkOutcome,
  countCauses,
  difficultyOf,
  groupByPrompt,
  paidAnswers,
  reports,
  samplesOf,
  type AnsweredQuery,
} from './played';
import { SelfReward, type SelfRewardOptions } from './self-reward';
import { Solver, type SolverOptions } from './solver';
import {
  Trainer,
  TRAINING_OPTION_NAMES,
  type Played,
  type StepContext,
  type TrainingOptions,
} from './trainer';
import type { Gate, Objective, ScoredStep, TrainerState } from './types';

export interface DuplicateOptions {
  /** Similarity from which two queries are near-duplicates, in (0, 1]; at 1 only the same text is. Default 0.6. */
  threshold?: number;
  /** Accepted queries of earlier steps that are remembered. Default 256. */
  history?: number;
}

export interface LspTrainerOptions extends TrainingOptions {
  /** Default: a Challenger of the learner's model with default options. */
  challenger?: Challenger | ChallengerOptions;
  /** Default: a Solver of the learner's model with default options. */
  solver?: Solver | SolverOptions;
  /** R, best in [0, 1]. */
  reward: Reward;
  /** R_Q: a judge, or options for one made of the reference. Default: none. */
  selfReward?: SelfReward | SelfRewardOptions;
  /** Who is paid for what. Default recommended(), without quality if there is no self-reward. */
  objective?: Objective;
  /** Which queries are answered. Default defaultGate(). */
  gate?: Gate;
  /** α_Ch in L = L_Sol + α_Ch · L_Ch. Default 1. */
  challengerWeight?: number;
  duplicates?: DuplicateOptions;
}

const OPTION_NAMES = [
  ...TRAINING_OPTION_NAMES,
  'challenger',
  'solver',
  'reward',
  'selfReward',
  'objective',
  'gate',
  'challengerWeight',
  'duplicates',
];

export class LspTrainer extends Trainer {
  readonly challenger: Challenger;
  readonly solver: Solver;
  protected readonly temperature: number;
  private readonly reward: Reward;
  private readonly selfReward: SelfReward | SelfRewardOptions | null;
  private readonly objective: Objective;
  private readonly gate: Gate;
  private readonly challengerWeight: number;
  private readonly duplicateThreshold: number;
  private readonly historyLength: number;
  private judge: SelfReward | null;

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION, INVALID_CHECKPOINT (a state that is not this trainer's) */
  constructor(options: LspTrainerOptions) {
    checkOptions(options, OPTION_NAMES, 'LspTrainer');
    super('lsp', options);
    const { model } = this.learner;
    this.challenger = madeFrom(Challenger, options.challenger, model, 'challenger');
    this.solver = madeFrom(Solver, options.solver, model, 'solver');
    if (this.solver.answers < 2)
      throw invalid('solver.answers', 'at least 2 (a group of one has no signal)', 1);
    if (this.challenger.temperature !== this.solver.temperature) {
      throw invalid('challenger.temperature', "the solver's temperature", this.challenger.temperature);
    }
    this.temperature = this.solver.temperature;
    this.reward = expectReward(options.reward);
    this.selfReward = options.selfReward ?? null;
    this.judge = this.selfReward instanceof SelfReward ? this.selfReward : null;
    this.objective = expectFunction(
      'objective',
      options.objective ?? recommended(this.selfReward === null ? { qualityWeight: 0 } : {}),
    );
    this.gate = expectFunction('gate', options.gate ?? defaultGate());
    this.challengerWeight = expectNumber('challengerWeight', options.challengerWeight ?? 1, { min: 0 });
    const duplicates = checkOptions(options.duplicates, ['threshold', 'history'], 'duplicates');
    this.duplicateThreshold = expectNumber('duplicates.threshold', duplicates.threshold ?? 0.6, {
      above: 0,
      max: 1,
    });
    this.historyLength = expectInteger('duplicates.history', duplicates.history ?? 256, { min: 0 });
  }

  protected get needsReference(): boolean {
    return this.selfReward !== null && this.judge === null;
  }

  protected async play(context: StepContext, state: Readonly<TrainerState>): Promise<Played> {
    const { step, seed, signal, sampling, phase } = context;
    const written = await phase('challenger', (report) =>
      this.challenger.write({
        step,
        seed,
        maxAnswerTokens: this.solver.maxNewTokens,
        ...sampling,
        signal,
        onProgress: report,
      }),
    );
    await this.applyGate(written, step, state.history, signal);
    const answered = await this.solve(written, context);
    await this.score(answered, context);
    const scored = this.scoredStep(written, answered, step, state.history);
    const outcome = checkOutcome(this.objective(scored), scored);
    return this.played(written, answered, scored, outcome);
  }

  /** Marks the queries that the gate rejects, and those that do not fit into the context. */
  private async applyGate(
    written: WrittenQuery[],
    step: number,
    history: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const parsed = written.filter(({ query }) => query !== null);
    const queries = parsed.map(({ query }) => query!);
    const causes = await this.gate(queries, { step, history, signal });
    if (causes.length !== queries.length) throw invalid('gate', `${queries.length} verdicts`, causes);
    parsed.forEach((entry, i) => {
      const fits = () => this.solver.fits(this.challenger.task.solverMessages(entry.query!));
      entry.rejected = causes[i] ?? (fits() ? null : 'too-long-for-context');
    });
  }

  private async solve(written: readonly WrittenQuery[], context: StepContext): Promise<AnsweredQuery[]> {
    const { step, seed, signal, sampling } = context;
    const indices = written.flatMap(({ rejected }, i) => (rejected === null ? [i] : []));
    const prompts = indices.map((i) => this.challenger.task.solverMessages(written[i]!.query!));
    const answers = await context.phase('solver', (report) =>
      this.solver.answer(prompts, { step, seed, indices, ...sampling, signal, onProgress: report }),
    );
    return answers.map((answer, k) => {
      const index = indices[k]!;
      return { ...answer, index, query: written[index]!.query!, rewards: [], quality: null };
    });
  }

  /** Fills in R and R_Q of every answer. */
  private async score(answered: AnsweredQuery[], context: StepContext): Promise<void> {
    const { step, seed, signal, sampling, phase } = context;
    const samples = samplesOf(answered);
    const rewards = await phase('reward', () =>
      scoreSamples(this.reward, samples, { timeoutMs: this.rewardTimeoutMs, signal }),
    );
    const judge = this.findJudge();
    const judgements = judge
      ? await phase('judge', () => judge.judge(samples, { step, seed, ...sampling, signal }))
      : null;
    let next = 0;
    for (const entry of answered) {
      const end = next + entry.completions.length;
      entry.rewards = rewards.slice(next, end);
      entry.quality = judgements?.slice(next, end).map(({ quality }) => quality) ?? null;
      next = end;
    }
  }

  private findJudge(): SelfReward | null {
    if (this.judge === null && this.selfReward !== null && this.reference !== null) {
      this.judge = new SelfReward(this.reference, this.selfReward as SelfRewardOptions);
    }
    return this.judge;
  }

  private scoredStep(
    written: readonly WrittenQuery[],
    answered: readonly AnsweredQuery[],
    step: number,
    history: readonly string[],
  ): ScoredStep {
    const texts = written.map(({ query, completion }) => query?.core ?? completion.text);
    const cluster = clusters(texts, this.duplicateThreshold);
    const seenBefore = countSeenBefore(texts, history, this.duplicateThreshold);
    const byIndex = new Map(answered.map((entry) => [entry.index, entry]));
    const queries = written.map(({ prompt }, i) => {
      const entry = byIndex.get(i);
      return {
        valid: entry !== undefined,
        rewards: entry?.rewards ?? [],
        quality: entry?.quality ?? (this.judge ? [] : null),
        draw: prompt.draw,
        cluster: cluster[i]!,
        seenBefore: seenBefore[i]!,
      };
    });
    return { step, queries };
  }

  private played(
    written: readonly WrittenQuery[],
    answered: readonly AnsweredQuery[],
    scored: ScoredStep,
    outcome: ReturnType<Objective>,
  ): Played {
    const solverAdvantages = answered.map(({ index }) => outcome.solver[index]!);
    const signals = groupSignals(
      answered.map(({ rewards }, k) => ({ rewards, advantages: solverAdvantages[k]! })),
    );
    const completions = answered.flatMap((entry) => entry.completions);
    const challengerCompletions = written.map(({ completion }) => completion);
    const tokens = [...completions, ...challengerCompletions].reduce((sum, c) => sum + c.tokens.length, 0);
    return {
      batches: this.batches(written, answered, outcome),
      metrics: (statistics) => ({
        solver: roleMetrics({
          completions,
          paid: paidAnswers(answered, outcome),
          advantages: solverAdvantages.flatMap((group) => [...group]),
          statistics: statistics['solver'],
        }),
        challenger: roleMetrics({
          completions: challengerCompletions,
          paid: outcome.paid?.challenger ?? written.map(() => null),
          advantages: [...outcome.challenger],
          statistics: statistics['challenger'],
        }),
        value: meanOf(answered.map(({ rewards }) => meanOf(rewards))),
        quality: meanOf(answered.map(({ quality }) => meanOf(quality ?? []))),
        validQueries: answered.length,
        queries: written.length,
        rejections: countCauses(written),
        duplicateShare: shareOf(
          scored.queries,
          (query) =>
            query.seenBefore > 0 || scored.queries.some((q) => q !== query && q.cluster === query.cluster),
        ),
        difficulty: difficultyOf(this.challenger.task, answered),
        zeroSignalGroups: signals.zeroSignal,
        tokens,
      }),
      noSignal: (updated) => noSignalWords(signals, updated),
      samples: reports(written, answered, outcome),
      commit: (state) => {
        const accepted = answered.map(({ query }) => query.core);
        const history = [...state.history, ...accepted];
        state.history = history.slice(Math.max(0, history.length - this.historyLength));
      },
    };
  }

  /** Rollouts of both roles, in the order in which they were sampled. */
  private batches(
    written: readonly WrittenQuery[],
    answered: readonly AnsweredQuery[],
    outcome: ReturnType<Objective>,
  ): RolloutBatch[] {
    const solver = answered.map(({ index, promptTokens, completions }) => ({
      prompt: promptTokens,
      completions,
      advantages: outcome.solver[index]!,
    }));
    return [
      { role: 'solver', weight: 1, maxNewTokens: this.solver.maxNewTokens, groups: solver },
      {
        role: 'challenger',
        weight: this.challengerWeight,
        maxNewTokens: this.challenger.maxNewTokens,
        groups: groupByPrompt(written, outcome.challenger),
      },
    ];
  }
}

/** An instance as it is, or one made of options for the learner's model. */
function madeFrom<T extends { model: PolicyModel }, O extends object>(
  make: new (model: PolicyModel, options?: O) => T,
  given: T | O | undefined,
  model: PolicyModel,
  name: string,
): T {
  const made = given instanceof make ? given : new make(model, given as O | undefined);
  if (made.model === model) return made;
  throw invalid(name, `a ${make.name} of the learner's own model`, 'one of another model');
}
