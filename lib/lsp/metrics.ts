/** Metrics of a role and of a step, from what was sampled and paid. */
import type { RoleStatistics } from '../learn/update';
import type { Completion } from '../model/types';
import { meanOf, varianceOf } from './advantages';
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

/** The words for a step in which no group had a signal. */
export function noSignalWords(groups: number, zeroSignalGroups: number, updated: boolean): string | null {
  if (groups > 0 && zeroSignalGroups < groups) {
    if (updated) return null;
    return 'no signal: every sample with an advantage was masked as truncated; weights and moments were left alone';
  }
  const cause =
    groups === 0
      ? 'no signal: no query was answered'
      : 'no signal: all answers in every group scored the same';
  return updated
    ? `${cause}; only the Challenger was updated`
    : `${cause}; weights and moments were left alone`;
}
