/**
 * Objectives: who is paid for what. Each is a value; the trainer knows none of them by name.
 *
 * Notation: query q_i, i < N; answers a_i^j, j < G; R reward in [0, 1]; V(q) = mean_j R(q, a^j); R_Q / 7 quality in
 * [0, 1] and V_Q its mean; λ the weight of quality; s = V(q) the pass rate where R is 0 or 1.
 *
 * The paper leaves invalid queries open. Here they get a reward below any valid one and stay in the baseline,
 * A_Ch(q_i) = r_i − mean r over all N: were they dropped, the Challenger would never learn to be valid.
 */
import { LspError } from '../errors';
import { checkOptions, expectFunction, expectNumber } from '../options';
import { allSame, centred, meanOf, varianceOf, type GroupAdvantages } from './advantages';
import type { Objective, ScoredQuery, ScoredStep } from './types';

export interface ObjectiveParts {
  /** What an answer is paid; null: nothing, it is left out. Default: R. */
  solver?: (query: ScoredQuery, answer: number) => number | null;
  /** What a valid query is paid; null: nothing, it is left out. */
  challenger: (query: ScoredQuery, step: ScoredStep) => number | null;
  /** The least that `challenger` pays for rewards in [0, 1]. */
  lowest: number;
  /** How far below the least (of `lowest` and of the step) an invalid query is paid. Default 0.1. */
  invalidMargin?: number;
  /** How the pay of a group of answers becomes advantages. Default `centred`. */
  groupAdvantages?: GroupAdvantages;
}

/**
 * An objective from what the two roles are paid:
 *
 *     A_Sol(q_i, a_i^j) = pay_Sol(i, j) − mean_j pay_Sol(i, ·)   (or other `groupAdvantages`)
 *     A_Ch(q_i) = r_i − mean r,  r_i = pay_Ch(i), or min(lowest, min pay_Ch) − invalidMargin if q_i is invalid
 *
 * The Challenger's mean is over all N queries; where the harness drew part of the query, over those of the same draw
 * (a baseline per draw: the Challenger is not paid or charged for the luck of the draw).
 */
export function objectiveFrom(parts: ObjectiveParts): Objective {
  const known = ['solver', 'challenger', 'lowest', 'invalidMargin', 'groupAdvantages'];
  const checked = checkOptions(parts, known, 'objectiveFrom');
  const margin = expectNumber('invalidMargin', checked.invalidMargin ?? 0.1, { above: 0 });
  const lowest = expectNumber('lowest', checked.lowest);
  const payAnswer = checked.solver ?? ((query: ScoredQuery, answer: number) => query.rewards[answer] ?? null);
  const groupAdvantages = expectFunction('groupAdvantages', checked.groupAdvantages ?? centred);
  return (step) => {
    const solver = step.queries.map((query) => query.rewards.map((_, answer) => payAnswer(query, answer)));
    const valid = step.queries.map((query) => (query.valid ? checked.challenger(query, step) : null));
    const least = valid.reduce((low: number, pay) => Math.min(low, pay ?? low), lowest);
    const challenger = step.queries.map((query, i) => (query.valid ? (valid[i] ?? null) : least - margin));
    return {
      solver: solver.map(groupAdvantages),
      challenger: challengerAdvantages(challenger, step.queries),
      paid: { solver, challenger },
    };
  };
}

/** r_i − mean of r over the queries of the same draw (all N where nothing was drawn). */
function challengerAdvantages(
  paid: readonly (number | null)[],
  queries: readonly ScoredQuery[],
): Float32Array {
  const members = new Map<string | null, number[]>();
  queries.forEach(({ draw }, i) => members.set(draw, [...(members.get(draw) ?? []), i]));
  const result = new Float32Array(paid.length);
  for (const indices of members.values()) {
    const advantages = centred(indices.map((i) => paid[i]!));
    indices.forEach((i, k) => (result[i] = advantages[k]!));
  }
  return result;
}

/** V_Q(q) / 7; an error if nobody judged. */
function qualityValue(query: ScoredQuery): number {
  return meanOf(requireQuality(query)) ?? 0;
}

function requireQuality(query: ScoredQuery): readonly (number | null)[] {
  if (query.quality !== null) return query.quality;
  throw new LspError('INVALID_ARGUMENT', 'Expected a quality for each answer in `step` but received null.', {
    remedy: 'This objective pays for quality: give the trainer a `selfReward`, or use lspZero().',
  });
}

/** R + λ · R_Q / 7; where the judge gave none, the group's mean quality stands in, so that nobody gains by silence. */
function rewardPlusQuality(weight: number): (query: ScoredQuery, answer: number) => number | null {
  return (query, answer) => {
    const reward = query.rewards[answer] ?? null;
    if (reward === null || weight === 0) return reward;
    return reward + weight * (requireQuality(query)[answer] ?? qualityValue(query));
  };
}

/** f(V(q)), or null where every answer's reward abstained. */
function ofValue(f: (value: number, query: ScoredQuery) => number): ObjectiveParts['challenger'] {
  return (query) => {
    const value = meanOf(query.rewards);
    return value === null ? null : f(value, query);
  };
}

export interface AdvantageOptions {
  /** How the pay of a group of answers becomes advantages. Default `centred`. */
  groupAdvantages?: GroupAdvantages;
}

/**
 * LSP-Zero (arXiv 2509.07414, section 3): minimax. A_Sol = R − V(q), A_Ch = V̄ − V(q): the Challenger is paid −V(q).
 */
export function lspZero(options: AdvantageOptions = {}): Objective {
  const { groupAdvantages } = checkOptions(options, ['groupAdvantages'], 'lspZero');
  return objectiveFrom({ challenger: ofValue((value) => -value), lowest: -1, groupAdvantages });
}

export interface QualityOptions extends AdvantageOptions {
  /** λ, the weight of R_Q / 7. Default 0.2: a weak judge must not drown the task. */
  qualityWeight?: number;
}

/**
 * LSP (arXiv 2509.07414, section 3): the game plus quality, no longer zero-sum.
 * Solver: R + λ · R_Q / 7. Challenger: −V(q) + λ · V_Q(q) / 7.
 */
export function lsp(options: QualityOptions = {}): Objective {
  const checked = checkOptions(options, ['qualityWeight', 'groupAdvantages'], 'lsp');
  const weight = expectNumber('qualityWeight', checked.qualityWeight ?? 0.2, { min: 0 });
  return objectiveFrom({
    solver: rewardPlusQuality(weight),
    challenger: ofValue((value, query) => -value + (weight === 0 ? 0 : weight * qualityValue(query))),
    lowest: -1,
    groupAdvantages: checked.groupAdvantages,
  });
}

export interface BandOptions {
  /** Least V(q) whose answers are trained on. */
  low: number;
  /** Greatest V(q) whose answers are trained on. */
  high: number;
}

/** The objective with no advantage for answers of queries whose V(q) lies outside [low, high]. */
export function inBand(objective: Objective, band: BandOptions): Objective {
  const checked = checkOptions(band, ['low', 'high'], 'band');
  const low = expectNumber('band.low', checked.low);
  const high = expectNumber('band.high', checked.high, { min: low });
  return trainedWhere(objective, ({ rewards }) => {
    const value = meanOf(rewards);
    return value !== null && value >= low && value <= high;
  });
}

/** The objective with no advantage for answers of other queries. */
function trainedWhere(objective: Objective, test: (query: ScoredQuery) => boolean): Objective {
  return (step) => {
    const result = objective(step);
    const solver = result.solver.map((advantages, i) =>
      test(step.queries[i]!) ? advantages : advantages.map(() => 0),
    );
    return { ...result, solver };
  };
}

export interface RecommendedOptions extends QualityOptions {
  /** V(q) of the queries whose answers are trained on. Default 0.05 to 0.95. */
  band?: BandOptions;
  /** Charge for a query that is a near-duplicate of all others, or of an earlier one. Default 0.5. */
  duplicateCharge?: number;
}

/**
 * What we recommend: the Challenger is paid for tasks that the Solver sometimes solves.
 *
 *     r_Ch(q) = 4 · Var_j R(q, a^j) + λ · V_Q(q) / 7 − c · d(q)
 *
 * 4 · Var is 4 s (1 − s) where R is 0 or 1: 1 at a pass rate of one half, 0 where all answers score the same, which
 * is where nobody learns; pure −V drives the game there. With partial scores it still asks for answers that differ,
 * which |V − ½| would not. d(q) ∈ [0, 1] is the share of the batch's other queries that are near-duplicates, or 1 if
 * the query was seen before. Solver: R + λ · R_Q / 7, trained only where V(q) lies in the band and where R differs
 * between answers: the judge shades what the program decides, it never decides alone.
 */
export function recommended(options: RecommendedOptions = {}): Objective {
  const known = ['qualityWeight', 'band', 'duplicateCharge', 'groupAdvantages'];
  const checked = checkOptions(options, known, 'recommended');
  const weight = expectNumber('qualityWeight', checked.qualityWeight ?? 0.2, { min: 0 });
  const charge = expectNumber('duplicateCharge', checked.duplicateCharge ?? 0.5, { min: 0 });
  const objective = objectiveFrom({
    solver: rewardPlusQuality(weight),
    challenger: (query, step) => {
      const variance = varianceOf(query.rewards);
      if (variance === null) return null;
      const quality = weight === 0 ? 0 : weight * qualityValue(query);
      return 4 * variance + quality - charge * duplicateShare(query, step);
    },
    lowest: -charge,
    groupAdvantages: checked.groupAdvantages,
  });
  const shaded = trainedWhere(objective, ({ rewards }) => !allSame(rewards));
  return inBand(shaded, checked.band ?? { low: 0.05, high: 0.95 });
}

/** Share of the step's other queries that are near-duplicates; 1 if it was seen in an earlier step. */
function duplicateShare(query: ScoredQuery, step: ScoredStep): number {
  if (query.seenBefore > 0) return 1;
  return step.queries.length < 2 ? 0 : (clusterSize(query, step) - 1) / (step.queries.length - 1);
}

function clusterSize(query: ScoredQuery, step: ScoredStep): number {
  return step.queries.filter(({ cluster }) => cluster === query.cluster).length;
}

/** A relative of LSP: only the Challenger's pay differs, as a function of the pass rate s = V(q). */
function ofPassRate(pay: (passRate: number) => number): Objective {
  return objectiveFrom({ challenger: ofValue(pay), lowest: 0 });
}

/**
 * R-Zero (arXiv 2508.05004): r = max(0, 1 − 2 |s − ½| − |cluster of q| / N), s the share of answers that agree with
 * the majority (use a majority-vote reward); the cluster is that of its near-duplicates in the whole batch.
 */
export function rZero(): Objective {
  return objectiveFrom({
    challenger: (query, step) => {
      const passRate = meanOf(query.rewards);
      if (passRate === null) return null;
      const repetition = clusterSize(query, step) / step.queries.length;
      return Math.max(0, 1 - 2 * Math.abs(passRate - 0.5) - repetition);
    },
    lowest: 0,
  });
}

/** Absolute Zero (arXiv 2505.03335, eq. 4): r = 1 − s if s > 0, else 0. */
export function absoluteZero(): Objective {
  return ofPassRate((passRate) => (passRate > 0 ? 1 - passRate : 0));
}

/** SQLM (arXiv 2508.03682): r = 1 if the majority is neither unanimous nor absent (0 < s < 1), else 0. */
export function sqlm(): Objective {
  return ofPassRate((passRate) => (passRate > 0 && passRate < 1 ? 1 : 0));
}

/**
 * SPICE (arXiv 2510.24684): r = exp(−(s (1 − s) − ¼)² / (2 · 0.01)), a bell over the variance of the pass rate, with
 * its peak at s = ½. The document that only its Challenger sees belongs to the task.
 */
export function spice(): Objective {
  return ofPassRate((passRate) => Math.exp(-((passRate * (1 - passRate) - 0.25) ** 2) / (2 * 0.01)));
}
