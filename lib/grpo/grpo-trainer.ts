/**
 * GrpoTrainer: the data-driven baseline (arXiv 2402.03300). The same update as LspTrainer's, with queries from a data
 * set and no Challenger: A = R − V(q) within each group of answers.
 */
import { LspError } from '../errors';
import { centred, meanOf, type GroupAdvantages, type GroupFilter } from '../lsp/advantages';
import { groupSignals, noSignalWords, roleMetrics } from '../lsp/metrics';
import { Solver, type AnsweredPrompt, type SolverOptions } from '../lsp/solver';
import {
  Trainer,
  TRAINING_OPTION_NAMES,
  type Played,
  type StepContext,
  type TrainingOptions,
} from '../lsp/trainer';
import type { QueryReport, TrainerState } from '../lsp/types';
import { checkOptions, expectBoolean, expectFunction, expectInteger, invalid } from '../options';
import { expectReward, scoreSamples, type Reward, type Sample } from '../rewards/reward';
import { fingerprintOf, readQueries, rowsAt, type GrpoQuery, type QueryRow } from './queries';

export interface GrpoTrainerOptions extends TrainingOptions {
  /** Rows, or the path of a JSONL file of rows: `{ prompt | messages, …fields for the reward }`. */
  queries: readonly GrpoQuery[] | string;
  /** Queries per step. Default 8. */
  queriesPerStep?: number;
  /** Default: a Solver of the learner's model with default options. */
  solver?: Solver | SolverOptions;
  /** R, best in [0, 1]. */
  reward: Reward;
  /** From the scores of a group to its advantages. Default `centred`; `standardised` divides by the deviation. */
  groupAdvantages?: GroupAdvantages;
  /**
   * Which groups are trained on, by the rewards of their answers. Those left out count for no mean of the reduction.
   * Default: all.
   */
  groupFilter?: GroupFilter;
  /**
   * Most rounds of sampling in a step: after the first, a new query is drawn for each group that the filter left out,
   * until `queriesPerStep` are in (DAPO's dynamic sampling). Default 1: a step may have fewer.
   */
  samplingRounds?: number;
}

const OPTION_NAMES = [
  ...TRAINING_OPTION_NAMES,
  'queries',
  'queriesPerStep',
  'solver',
  'reward',
  'groupAdvantages',
  'groupFilter',
  'samplingRounds',
];

/** A row with its answers and what became of them. */
interface ScoredRow extends AnsweredPrompt {
  row: QueryRow;
  rewards: (number | null)[];
  advantages: Float32Array;
  /** False if the filter leaves it out. */
  trained: boolean;
}

export class GrpoTrainer extends Trainer {
  readonly solver: Solver;
  protected readonly temperature: number;
  protected readonly needsReference = false;
  private readonly source: readonly GrpoQuery[] | string;
  private readonly queriesPerStep: number;
  private readonly reward: Reward;
  private readonly groupAdvantages: GroupAdvantages;
  private readonly groupFilter: GroupFilter;
  private readonly samplingRounds: number;
  private rows: QueryRow[] | null = null;
  private fingerprint = '';

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION, INVALID_CHECKPOINT (a state that is not this trainer's) */
  constructor(options: GrpoTrainerOptions) {
    checkOptions(options, OPTION_NAMES, 'GrpoTrainer');
    super('grpo', options);
    const { queries, reward, solver } = options;
    if (typeof queries !== 'string' && !Array.isArray(queries)) {
      throw invalid('queries', 'an array of queries or the path of a JSONL file', queries);
    }
    this.source = queries;
    this.queriesPerStep = expectInteger('queriesPerStep', options.queriesPerStep ?? 8, { min: 1 });
    this.solver = solver instanceof Solver ? solver : new Solver(this.learner.model, solver);
    if (this.solver.model !== this.learner.model) {
      throw invalid('solver', "a Solver of the learner's own model", 'one of another model');
    }
    if (this.solver.answers < 2)
      throw invalid('solver.answers', 'at least 2 (a group of one has no signal)', 1);
    this.temperature = this.solver.temperature;
    this.reward = expectReward(reward);
    this.groupAdvantages = expectFunction('groupAdvantages', options.groupAdvantages ?? centred);
    this.groupFilter = expectFunction('groupFilter', options.groupFilter ?? (() => true));
    this.samplingRounds = expectInteger('samplingRounds', options.samplingRounds ?? 1, { min: 1 });
  }

  protected async play(context: StepContext, state: Readonly<TrainerState>): Promise<Played> {
    const position = state.position ?? 0;
    const all = await this.loadRows(state, context.signal);
    const scored: ScoredRow[] = [];
    for (let round = 0; round < this.samplingRounds; round++) {
      const missing = this.queriesPerStep - scored.filter(({ trained }) => trained).length;
      if (missing === 0) break;
      const rows = rowsAt(all, context.seed, position + scored.length, missing);
      scored.push(...(await this.scoredRows(rows, scored.length, context)));
    }
    return this.played(scored, position);
  }

  /** @param first position of the first row in the step, for the random streams of its answers */
  private async scoredRows(
    rows: readonly QueryRow[],
    first: number,
    context: StepContext,
  ): Promise<ScoredRow[]> {
    const { step, seed, signal, sampling, phase } = context;
    for (const { messages } of rows) this.requireFit(messages);
    const answers = await phase('solver', (report) =>
      this.solver.answer(
        rows.map(({ messages }) => messages),
        { step, seed, indices: rows.map((_, i) => first + i), ...sampling, signal, onProgress: report },
      ),
    );
    const samples = samplesOf(rows, answers);
    const scores = await phase('reward', () =>
      scoreSamples(this.reward, samples, { timeoutMs: this.rewardTimeoutMs, signal }),
    );
    return rows.map((row, i) => {
      const rewards = scores.filter((_, k) => samples[k]!.queryIndex === i);
      const trained = expectBoolean('groupFilter', this.groupFilter(rewards));
      const advantages = trained ? this.checkedAdvantages(rewards) : new Float32Array(rewards.length);
      return { ...answers[i]!, row, rewards, advantages, trained };
    });
  }

  private played(scored: readonly ScoredRow[], position: number): Played {
    const completions = scored.flatMap((entry) => entry.completions);
    const signals = groupSignals(scored);
    return {
      batches: [
        {
          role: 'solver',
          weight: 1,
          maxNewTokens: this.solver.maxNewTokens,
          groups: scored
            .filter(({ trained }) => trained)
            .map(({ promptTokens, completions: answers, advantages }) => ({
              prompt: promptTokens,
              completions: answers,
              advantages,
            })),
        },
      ],
      metrics: (statistics) => ({
        solver: roleMetrics({
          completions,
          paid: scored.flatMap(({ rewards }) => rewards),
          advantages: scored.flatMap(({ advantages }) => [...advantages]),
          statistics: statistics['solver'],
        }),
        challenger: null,
        value: meanOf(scored.map(({ rewards }) => meanOf(rewards))),
        quality: null,
        validQueries: scored.length,
        queries: scored.length,
        rejections: {},
        duplicateShare: null,
        difficulty: null,
        zeroSignalGroups: signals.zeroSignal,
        tokens: completions.reduce((sum, { tokens }) => sum + tokens.length, 0),
      }),
      noSignal: (updated) => noSignalWords(signals, updated),
      samples: scored.map(reportOf),
      commit: (state) => {
        state.position = position + scored.length;
        state.queriesFingerprint = this.fingerprint;
      },
    };
  }

  /** Reads the rows once, and refuses to continue a run on others. */
  private async loadRows(
    state: Readonly<TrainerState>,
    signal: AbortSignal | undefined,
  ): Promise<QueryRow[]> {
    if (this.rows === null) {
      this.rows = await readQueries(this.source, signal);
      this.fingerprint = fingerprintOf(this.rows);
    }
    if (state.queriesFingerprint !== undefined && state.queriesFingerprint !== this.fingerprint) {
      throw new LspError(
        'INVALID_CHECKPOINT',
        'Expected the queries of the run for `queries` but received others.',
        { remedy: 'Resume with the same rows in the same order, or start a new run.' },
      );
    }
    return this.rows;
  }

  private requireFit(messages: QueryRow['messages']): void {
    if (this.solver.fits(messages)) return;
    const { maxPositions } = this.learner.model.config;
    throw new LspError(
      'PROMPT_TOO_LONG',
      `Expected a prompt of at most ${maxPositions - this.solver.maxNewTokens} tokens for \`queries\` but received ` +
        `a longer one: ${JSON.stringify(messages.at(-1)!.content.slice(0, 60))}.`,
      { remedy: 'Leave it out, shorten it, or lower `maxNewTokens`.' },
    );
  }

  private checkedAdvantages(rewards: readonly (number | null)[]): Float32Array {
    const advantages = this.groupAdvantages(rewards);
    if (advantages.length !== rewards.length || !advantages.every(Number.isFinite)) {
      throw invalid('groupAdvantages', `${rewards.length} finite numbers, one per answer,`, advantages);
    }
    return advantages;
  }
}

function samplesOf(rows: readonly QueryRow[], answers: readonly AnsweredPrompt[]): Sample[] {
  return answers
    .flatMap(({ messages, completions }, queryIndex) =>
      completions.map((completion, answerIndex) => ({
        query: messages.at(-1)!.content,
        messages,
        answer: completion.text,
        completion,
        info: rows[queryIndex]!.info,
        queryIndex,
        answerIndex,
      })),
    )
    .map((sample, index) => ({ ...sample, index }));
}

function reportOf({ row, rewards, advantages, completions }: ScoredRow): QueryReport {
  const query = row.messages.at(-1)!.content;
  return {
    written: query,
    query,
    rejected: null,
    info: row.info,
    value: meanOf(rewards),
    advantage: null,
    answers: completions.map((answer, j) => ({
      text: answer.text,
      tokens: answer.tokens.length,
      finishReason: answer.finishReason,
      reward: rewards[j] ?? null,
      quality: null,
      advantage: advantages[j]!,
    })),
  };
}
