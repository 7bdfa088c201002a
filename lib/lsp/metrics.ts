/** Metrics of a role and of a step, from what was sampled and paid. */
import type { RoleStatistics } from '../learn/update';
import type { Completion } from '../model/types';
import { allSame, meanOf, varianceOf } from './advantages';
import type { RoleMetrics } from './types';

export interface RoleSamples {
  completions: readonly Completion[];
  /** What each was paid; null: nothing. */
  paid: readonly (number | null)[];
  advantages: readonly number[];
  statistics: RoleStatistics | undefined;
}

/** Everything about a role but `ratioClippedShare`, which is known after the update. */
export function roleMetrics({ completions, paid, advantages, statistics }: RoleSamples): RoleMetrics {
  const tokens = completions.reduce((sum, completion) => sum + completion.tokens.length, 0);
  const entropy = completions.reduce((sum, { entropies }) => sum + entropies.reduce((a, b) => a + b, 0), 0);
  const variance = varianceOf(paid);
  return {
    samples: completions.length,
    reward: meanOf(paid),
    rewardStd: variance === null ? null : Math.sqrt(variance),
    advantage: meanOf(advantages.map(Math.abs)) ?? 0,
    kl: statistics?.kl ?? null,
    entropy: tokens === 0 ? 0 : entropy / tokens,
    length: completions.length === 0 ? 0 : tokens / completions.length,
    clippedShare: shareOf(completions, ({ finishReason }) => finishReason === 'length'),
    loss: statistics?.loss ?? 0,
    ratioClippedShare: 0,
  };
}

export function shareOf<T>(items: readonly T[], test: (item: T) => boolean): number {
  return items.length === 0 ? 0 : items.filter(test).length / items.length;
}

/** How many groups of a step have something to learn from. */
export interface GroupSignals {
  groups: number;
  /** Groups in which the rewards R are all the same. */
  sameReward: number;
  /** Groups in which no answer has an advantage. */
  noAdvantage: number;
  /** Groups of either kind: where R is all the same, an advantage comes from what the objective adds to it. */
  zeroSignal: number;
}

export function groupSignals(
  groups: readonly { rewards: readonly (number | null)[]; advantages: Float32Array }[],
): GroupSignals {
  const same = groups.map(({ rewards }) => allSame(rewards));
  const silent = groups.map(({ advantages }) => advantages.every((advantage) => advantage === 0));
  const count = (test: (i: number) => boolean) => groups.filter((_, i) => test(i)).length;
  return {
    groups: groups.length,
    sameReward: count((i) => same[i]!),
    noAdvantage: count((i) => silent[i]!),
    zeroSignal: count((i) => same[i]! || silent[i]!),
  };
}

/** The words for a step in which no group had a signal, or none that reached the weights; null for any other. */
export function noSignalWords(signals: GroupSignals, updated: boolean): string | null {
  const { groups, sameReward, noAdvantage, zeroSignal } = signals;
  if (groups > 0 && noAdvantage < groups && !updated) {
    return 'no signal: every sample with an advantage was masked as truncated; weights and moments were left alone';
  }
  if (groups > 0 && zeroSignal < groups) return null;
  const cause =
    groups === 0
      ? 'no signal: no query was answered'
      : sameReward === groups
        ? 'no signal: all answers in every group scored the same'
        : 'no signal: no answer that scored differently has an advantage';
  if (noAdvantage < groups) return `${cause}; the Solver was trained on what the objective adds (quality)`;
  return updated
    ? `${cause}; only the Challenger was updated`
    : `${cause}; weights and moments were left alone`;
}
